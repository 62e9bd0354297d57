/**
 * Handlers of x87 comparisons and control: FCOM, FUCOM, FCOMI families, FTST, FXAM, stack management, control and
 * status words, environment and state images, FWAIT. SDM Vol. 2A; Vol. 1 §8.1.3.3 (condition codes), §8.3.11.
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import {
  EAX,
  ENV,
  EXC,
  FLAG_CF,
  FLAG_PF,
  FLAG_ZF,
  G,
  HF_FPU_ES,
  HF_FPU_UNMASKED,
  HF_MP,
  HF_TOP,
  HF_TS,
} from '../state.ts';
import { addressArguments, onStack } from './address.ts';
import { LAYOUT_32, LAYOUT_PROTECTED, LAYOUT_STACK } from './fpu-state.ts';
import { pendingError } from './simd-operands.ts';
import {
  COMMIT_COMI,
  COMMIT_COMPARE,
  FCW_INIT,
  FCW_ONE,
  FCW_WRITABLE,
  FSW_B,
  FSW_C1,
  FSW_CC,
  FSW_ES,
  FSW_SF,
  FSW_TOP_SHIFT,
  FSW_UNORDERED,
  STACK_UNDERFLOW,
  X87_FLAGS,
} from './x87-bits.ts';
import {
  X87_OPERAND,
  allMasked,
  bailUnmasked,
  commitByHelper,
  empty,
  fcw,
  keepInstructionPointer,
  moveTop,
  needsHelper,
  pop,
  setTag,
  st,
  store16,
  topOf,
  updateStatus,
  x87Ready,
} from './x87-stack.ts';

// --- comparisons ------------------------------------------------------------------------------------------------------
/** Condition codes (or EFLAGS) from a comparison; `fault`: an operand is empty. */
function finishCompare(t: Translator, fault: Value, pops: number, toEflags: boolean, compute: () => Value): void {
  const { b } = t;
  const unordered = b.i32(STACK_UNDERFLOW | FSW_UNORDERED);
  if (needsHelper(t)) {
    commitByHelper(t, toEflags ? COMMIT_COMI : COMMIT_COMPARE, b.select(fault, unordered, compute()), 0, pops);
    return;
  }
  if (t.hot) b.bailIf(fault);
  const flags = t.hot ? compute() : b.select(fault, unordered, compute());
  if (t.hot) bailUnmasked(t, flags);
  if (toEflags) {
    // C0 C2 C3 -> CF PF ZF; OF SF AF become 0; C1 stays unless the stack faults (recorded hardware)
    updateStatus(t, b.and(flags, b.i32(X87_FLAGS | FSW_SF)), t.hot ? 0 : FSW_C1, t.hot ? -1 : fault);
    t.setEflags(b.and(b.shr(flags, b.i32(8)), b.i32(FLAG_CF | FLAG_PF | FLAG_ZF)));
  } else updateStatus(t, flags, FSW_CC);
  pop(t, pops);
}
const compareRegister =
  (quiet: number, pops: number, toEflags = false): Handler =>
  (t, i) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    // FCOMPP and FUCOMPP name no register: ST(1)
    const other = pops === 2 ? 1 : i.rm;
    finishCompare(t, b.or(empty(t, 0), empty(t, other)), pops, toEflags, () =>
      t.callw('f80_cmp', b.envAddr(st(t, 0)), b.envAddr(st(t, other)), b.i32(quiet)),
    );
  };
const compareReal =
  (bytes: 4 | 8, pops: number): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const v = t.load(bytes === 4 ? 2 : 3, t.memory(bytes, ACCESS_READ));
    finishCompare(t, empty(t, 0), pops, false, () => {
      t.envStore(X87_OPERAND, v);
      return t.callw(`f80_cmp_m${bytes * 8}`, b.envAddr(st(t, 0)), b.envAddr(X87_OPERAND));
    });
  };
const compareInteger =
  (bytes: 2 | 4, pops: number): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const v = b.load(bytes === 2 ? 'ld16s' : 'ld32', t.memory(bytes, ACCESS_READ), t.stackFlag(t.insn.segment));
    finishCompare(t, empty(t, 0), pops, false, () => {
      t.envStore(X87_OPERAND, v);
      const integer = b.envAddr(X87_OPERAND + 16);
      t.callw('f80_from_i32', integer, b.envAddr(X87_OPERAND));
      return t.callw('f80_cmp', b.envAddr(st(t, 0)), integer, b.i32(0));
    });
  };
const ftst: Handler = (t) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  finishCompare(t, empty(t, 0), 0, false, () => {
    t.envStore(X87_OPERAND, b.i64(0));
    store16(t, X87_OPERAND + 8, b.i32(0));
    return t.callw('f80_cmp', b.envAddr(st(t, 0)), b.envAddr(X87_OPERAND), b.i32(0));
  });
};
const fxam: Handler = (t) => {
  if (x87Ready(t)) updateStatus(t, t.callw('f80_xam', t.b.envAddr(st(t, 0)), empty(t, 0)), FSW_CC);
};

// --- stack and no-ops ---------------------------------------------------------------------------------------------------
const rotate =
  (by: number): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    updateStatus(t, t.b.i32(0));
    moveTop(t, by);
  };
const ffree =
  (pops: number): Handler =>
  (t, i) => {
    if (!x87Ready(t)) return;
    setTag(t, i.rm, 1);
    keepInstructionPointer(t);
    if (pops !== 0) pop(t, pops);
  };
const fnop: Handler = (t) => void x87Ready(t);
/** FNENI, FNDISI, FNSETPM: meaningful on the 8087 and 80287 only. */
const obsolete: Handler = (t) => void x87Ready(t, false);

/** TS matters to WAIT only with MP. */
const fwait: Handler = (t) => {
  if ((t.flags & (HF_MP | HF_TS)) === (HF_MP | HF_TS)) t.raise(EXC.NM);
  else if ((t.flags & HF_FPU_ES) !== 0) pendingError(t);
};

// --- words ------------------------------------------------------------------------------------------------------------------
const statusWord = (t: Translator): Value => t.b.or(t.envLoad(ENV.FPUS), t.b.i32(topOf(t) << FSW_TOP_SHIFT));
const fnstsw: Handler = (t) => {
  if (!x87Ready(t, false)) return;
  if (t.isMem) t.store(1, t.memory(2, ACCESS_WRITE), statusWord(t));
  else t.setReg(EAX, 1, statusWord(t));
};
const fnstcw: Handler = (t) => {
  if (x87Ready(t, false)) t.store(1, t.memory(2, ACCESS_WRITE), fcw(t));
};
const fldcw: Handler = (t) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  const word = b.or(b.and(t.load(1, t.memory(2, ACCESS_READ)), b.i32(FCW_WRITABLE)), b.i32(FCW_ONE));
  const unmasked = b.ne(b.and(word, b.i32(X87_FLAGS)), b.i32(X87_FLAGS));
  if (t.hot && allMasked(t)) {
    b.bailIf(unmasked);
    t.envStore(ENV.FPUC, word);
    return;
  }
  t.envStore(ENV.FPUC, word);
  const status = t.envLoad(ENV.FPUS);
  const pending = b.ne(b.and(b.and(status, b.not(word)), b.i32(X87_FLAGS)), b.i32(0));
  t.envStore(
    ENV.FPUS,
    b.or(b.and(status, b.i32(~(FSW_ES | FSW_B))), b.select(pending, b.i32(FSW_ES | FSW_B), b.i32(0))),
  );
  const base = b.i32(t.flags & ~(HF_FPU_ES | HF_FPU_UNMASKED));
  b.set(
    G.HFLAGS,
    b.or(
      base,
      b.or(b.select(pending, b.i32(HF_FPU_ES), b.i32(0)), b.select(unmasked, b.i32(HF_FPU_UNMASKED), b.i32(0))),
    ),
  );
  t.exitNext();
};

const fnclex: Handler = (t) => {
  if (!x87Ready(t, false)) return;
  t.envStore(ENV.FPUS, t.b.and(t.envLoad(ENV.FPUS), t.b.i32(FSW_CC)));
  t.setFlags(t.flags & ~HF_FPU_ES);
};
/** Flags after FNINIT: TOP 0, all masked, nothing pending. */
const initialFlags = (t: Translator): number => t.flags & ~(HF_TOP | HF_FPU_ES | HF_FPU_UNMASKED);
const fninit: Handler = (t) => {
  if (!x87Ready(t, false)) return;
  const { b } = t;
  t.envStore(ENV.FPUC, b.i32(FCW_INIT));
  t.envStore(ENV.FPUS, b.i32(0));
  t.envStore(ENV.FPTAGS, b.i64Parts(0x01010101, 0x01010101));
  for (const slot of [ENV.FOP, ENV.FCS, ENV.FDS]) t.envStore(slot, b.i32(0));
  for (const slot of [ENV.FIP, ENV.FDP]) t.envStore(slot, b.i64(0));
  t.setFlags(initialFlags(t));
};

// --- images -----------------------------------------------------------------------------------------------------------------
/** 64-bit code has the layouts of protected mode, whatever REX.W says. */
const layout = (t: Translator): Value =>
  t.b.i32(
    (t.insn.size >= 2 ? LAYOUT_32 : 0) | (t.protectedMode ? LAYOUT_PROTECTED : 0) | (onStack(t) ? LAYOUT_STACK : 0),
  );
const environmentBytes = (t: Translator): number => (t.insn.size >= 2 ? 28 : 14);
const fnstenv: Handler = (t) => {
  if (!x87Ready(t, false)) return;
  const address = t.memory(environmentBytes(t), ACCESS_WRITE);
  t.call('fnstenv', ...addressArguments(t, address), layout(t));
  t.setFlags(t.flags & ~(HF_FPU_ES | HF_FPU_UNMASKED));
};
const fnsave: Handler = (t) => {
  if (!x87Ready(t, false)) return;
  const address = t.memory(environmentBytes(t) + 80, ACCESS_WRITE);
  t.call('fnsave', ...addressArguments(t, address), layout(t));
  t.setFlags(initialFlags(t));
};
const reload =
  (helper: string, registers: number): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const address = t.memory(environmentBytes(t) + registers, ACCESS_READ);
    t.call(helper, ...addressArguments(t, address), layout(t));
    t.exitNext();
  };

export const X87_CONTROL_HANDLERS: HandlerTable = {
  fcom_sti: compareRegister(0, 0),
  fcomp_sti: compareRegister(0, 1),
  fcompp: compareRegister(0, 2),
  fucom: compareRegister(1, 0),
  fucomp: compareRegister(1, 1),
  fucompp: compareRegister(1, 2),
  fcomi: compareRegister(0, 0, true),
  fcomip: compareRegister(0, 1, true),
  fucomi: compareRegister(1, 0, true),
  fucomip: compareRegister(1, 1, true),
  fcom_m32: compareReal(4, 0),
  fcomp_m32: compareReal(4, 1),
  fcom_m64: compareReal(8, 0),
  fcomp_m64: compareReal(8, 1),
  ficom_m16: compareInteger(2, 0),
  ficomp_m16: compareInteger(2, 1),
  ficom_m32: compareInteger(4, 0),
  ficomp_m32: compareInteger(4, 1),
  ftst,
  fxam,
  fdecstp: rotate(-1),
  fincstp: rotate(1),
  ffree: ffree(0),
  ffreep: ffree(1),
  fnop,
  fneni: obsolete,
  fwait,
  fnstsw,
  fnstcw,
  fldcw,
  fnclex,
  fninit,
  fnstenv,
  fnsave,
  fldenv: reload('fldenv', 0),
  frstor: reload('frstor', 80),
};
