/**
 * Handlers of FXSAVE, FXRSTOR and the XSAVE family: checks that depend on the mode; the helpers (fxsave.ts, xsave.ts) do the rest.
 * SDM Vol. 2A "FXSAVE", Vol. 2D "XSAVE", "XRSTOR", "XSAVEC", "XSAVEOPT", "XSAVES", "XRSTORS".
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import { CR4_OSXSAVE } from '../system/cr-bits.ts';
import { EAX, ENV, EXC, HF_EM, HF_OSFXSR, HF_TS } from '../state.ts';
import { addressArguments, demandAlignment, is64, isWide, onStack } from './address.ts';
import { FX_LONG, FX_STACK, FX_WIDE, FX_XMM } from './fxsave.ts';
import { XS_COMPACT, XS_OPTIMIZE } from './xsave.ts';

/** Which layout: by mode and REX.W; and whose fault a bad address is. */
const form = (t: Translator): number =>
  (is64(t) ? FX_LONG : 0) | (isWide(t) ? FX_WIDE : 0) | (onStack(t) ? FX_STACK : 0);

// --- FXSAVE -----------------------------------------------------------------------------------------------------------
/** Without CR4.OSFXSR the XMM registers are neither saved nor restored. */
const fxForm = (t: Translator): Value => t.b.i32(form(t) | ((t.flags & HF_OSFXSR) !== 0 ? FX_XMM : 0));
function fxReady(t: Translator): boolean {
  if ((t.flags & (HF_EM | HF_TS)) === 0) return true;
  t.raise(EXC.NM);
  return false;
}
/** The last byte is not state. With it the size were a power of two, and alignment to that is not what #AC is about. */
function fxAddress(t: Translator, access: number): Value {
  const address = t.memory(511, access);
  demandAlignment(t, address, 16);
  return address;
}
const fxsave: Handler = (t) => {
  if (!fxReady(t)) return;
  const address = fxAddress(t, ACCESS_WRITE);
  t.call('fxsave', ...addressArguments(t, address), fxForm(t));
};
const fxrstor: Handler = (t) => {
  if (!fxReady(t)) return;
  const address = fxAddress(t, ACCESS_READ);
  t.call('fxrstor', ...addressArguments(t, address), fxForm(t));
  t.exitNext();
};

// --- XSAVE ------------------------------------------------------------------------------------------------------------
/** Legacy region and header; the helper checks what lies behind them. */
const AREA = 576;

/** Address and mask; -1 when the block has ended in an exception. */
function xsaveArea(t: Translator, access: number, supervisor: boolean): Value {
  const { b } = t;
  b.raiseIf(b.eqz(b.and(t.envLoad(ENV.CR + 4 * 8), b.i32(CR4_OSXSAVE))), EXC.UD);
  if (supervisor && t.cpl !== 0) t.protectionFault();
  else if ((t.flags & HF_TS) !== 0) t.raise(EXC.NM);
  else {
    const address = t.memory(AREA, access);
    demandAlignment(t, address, 64);
    return address;
  }
  return -1;
}
const save =
  (kind: number, supervisor = false): Handler =>
  (t) => {
    const address = xsaveArea(t, ACCESS_WRITE, supervisor);
    if (address >= 0) t.call('xsave', ...addressArguments(t, address), t.reg(EAX, 2), t.b.i32(form(t) | kind));
  };
const restore =
  (kind: number, supervisor = false): Handler =>
  (t) => {
    const address = xsaveArea(t, ACCESS_READ, supervisor);
    if (address < 0) return;
    t.call('xrstor', ...addressArguments(t, address), t.reg(EAX, 2), t.b.i32(form(t) | kind));
    t.exitNext();
  };

export const EXTENDED_STATE_HANDLERS: HandlerTable = {
  fxsave,
  fxrstor,
  xsave: save(0),
  xsaveopt: save(XS_OPTIMIZE),
  xsavec: save(XS_COMPACT),
  xsaves: save(XS_COMPACT, true),
  xrstor: restore(0),
  xrstors: restore(XS_COMPACT, true),
};
