/**
 * String instructions. One element: inline. Repeated: in hot code in bulk (quick-string.ts), else the end of a block with a helper (rep-string.ts), which works
 * in bulk, stops at a bounded amount or a fault with exact ECX, ESI, EDI, and sets EIP to here or to the next instruction.
 * SDM Vol. 2A "CMPS", "INS", "LODS"; Vol. 2B "MOVS", "OUTS", "REP", "SCAS", "STOS".
 */
import type { Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import { REP_NE, REP_NONE } from '../decode/insn.ts';
import { EAX, EDI, ES, ESI, FLAG_DF, G } from '../state.ts';
import { quickMovs, quickRepeat, quickStos } from './quick-string.ts';
import { REP_ADDRESS_32, REP_ADDRESS_64, REP_SEGMENT_SHIFT, REP_UNTIL_EQUAL } from './rep-bits.ts';
import { ACCESS_READ, ACCESS_WRITE } from './translator.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

function repeated(t: Translator, i: Insn, name: string, size: number): void {
  const bits =
    size |
    (i.asize === 3 ? REP_ADDRESS_64 : i.asize === 2 ? REP_ADDRESS_32 : 0) |
    (i.segment << REP_SEGMENT_SHIFT) |
    (i.rep === REP_NE ? REP_UNTIL_EQUAL : 0);
  t.finishWith(name, [t.b.i32(bits), t.nextPc()], 1);
}

/** Size of one step with DF's sign. */
function step(t: Translator, size: number): Value {
  const { b } = t;
  const down = b.and(b.get(G.EFLAGS), b.i32(FLAG_DF)); // bit 10
  const by = b.sub(b.i32(1 << size), b.shr(down, b.i32(9 - size)));
  return t.insn.asize === 3 ? t.extendSigned(by) : by;
}
const advance = (t: Translator, r: number, by: Value): void =>
  t.setReg(r, t.insn.asize, t.b.add(t.insn.asize === 1 ? t.reg(r, 2) : t.reg(r, t.insn.asize), by));
/** An index register as an offset. */
function index(t: Translator, r: number): Value {
  const v = t.reg(r, t.insn.asize);
  return t.is64 ? t.sized(3, v) : v;
}
const source = (t: Translator, i: Insn, size: number): Value =>
  t.load(size, t.linear(i.segment, index(t, ESI), 1 << size, ACCESS_READ));
const destination = (t: Translator, _i: Insn, size: number, access: number): Value =>
  t.linear(ES, index(t, EDI), 1 << size, access);

const movs: Handler = (t, i) => {
  const size = t.size(0);
  if (i.rep !== REP_NONE) return quickRepeat(t, i, size) ? quickMovs(t, i, size) : repeated(t, i, 'rep_movs', size);
  const v = source(t, i, size);
  t.store(size, destination(t, i, size, ACCESS_WRITE), v);
  const by = step(t, size);
  advance(t, ESI, by);
  advance(t, EDI, by);
};
const stos: Handler = (t, i) => {
  const size = t.size(0);
  if (i.rep !== REP_NONE) return quickRepeat(t, i, size) ? quickStos(t, i, size) : repeated(t, i, 'rep_stos', size);
  t.store(size, destination(t, i, size, ACCESS_WRITE), t.reg(EAX, size));
  advance(t, EDI, step(t, size));
};
const lods: Handler = (t, i) => {
  const size = t.size(0);
  if (i.rep !== REP_NONE) return repeated(t, i, 'rep_lods', size);
  const v = source(t, i, size);
  t.setReg(EAX, size, v);
  advance(t, ESI, step(t, size));
};
const cmps: Handler = (t, i) => {
  const size = t.size(0);
  if (i.rep !== REP_NONE) return repeated(t, i, 'rep_cmps', size);
  const x = source(t, i, size);
  const y = t.load(size, destination(t, i, size, ACCESS_READ));
  const by = step(t, size);
  advance(t, ESI, by);
  advance(t, EDI, by);
  t.setSub(size, t.b.sub(x, y), x, y);
};
const scas: Handler = (t, i) => {
  const size = t.size(0);
  if (i.rep !== REP_NONE) return repeated(t, i, 'rep_scas', size);
  const x = t.reg(EAX, size);
  const y = t.load(size, destination(t, i, size, ACCESS_READ));
  advance(t, EDI, step(t, size));
  t.setSub(size, t.b.sub(x, y), x, y);
};
/** In the third argument of `ins_outs`. */
const IO_ADDRESS_64 = 4;
/** INS, OUTS: always the system part's helper (permission, devices). */
const inOut =
  (kind: number, operand: number): Handler =>
  (t, i) => {
    const { b } = t;
    const bits =
      (i.asize === 2 ? 1 : 0) | (i.rep !== REP_NONE ? 2 : 0) | (i.segment << 4) | (i.asize === 3 ? IO_ADDRESS_64 : 0);
    t.finishWith('ins_outs', [b.i32(kind), b.i32(1 << t.size(operand)), b.i32(bits), t.nextPc()], 1);
  };

export const STRING_HANDLERS: HandlerTable = { movs, stos, lods, cmps, scas, ins: inOut(0, 0), outs: inOut(1, 1) };
