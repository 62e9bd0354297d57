/**
 * Handlers of x87 data movement: loads, stores, integer and BCD conversions, constants, FXCH, FST and FLD of registers.
 * SDM Vol. 2A under each mnemonic. A store converts into scratch first: the guest store may still fault, the flags and
 * the stack follow it.
 */
import type { LoadKind, StoreKind } from '@emkit/ir';
import { opId } from '@emkit/ir';
import type { Handler, HandlerTable } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import { COMMIT_REG, COMMIT_STORE, COMMIT_XCHG, FSW_C1, STACK_OVERFLOW, STACK_UNDERFLOW } from './x87-bits.ts';
import {
  INDEFINITE_EXPONENT,
  INDEFINITE_HIGH,
  X87_OPERAND,
  X87_RESULT,
  bailUnmasked,
  commitByHelper,
  copy,
  empty,
  fcw,
  full,
  load16,
  load64,
  needsHelper,
  pop,
  push,
  setTag,
  st,
  store16,
  toRegister,
  updateStatus,
  x87Ready,
} from './x87-stack.ts';

const ENVLD_I32 = opId('envld_i32');

// --- loads ----------------------------------------------------------------------------------------------------------
/** FLD m32/m64, FILD: through a conversion helper. `withFcw`: it can raise flags. */
const loadConverted =
  (helper: string, kind: LoadKind, bytes: number, withFcw: boolean): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const v = b.load(kind, t.memory(bytes, ACCESS_READ), t.stackFlag(t.insn.segment));
    push(t, full(t), (slot) => {
      t.envStore(X87_OPERAND, v);
      const flags = t.callw(helper, b.envAddr(slot), b.envAddr(X87_OPERAND), ...(withFcw ? [fcw(t)] : []));
      return withFcw ? flags : b.i32(0);
    });
  };
const loadReal80: Handler = (t) => {
  if (!x87Ready(t)) return;
  const significand = t.load(3, t.memory(10, ACCESS_READ));
  const signExponent = t.load(1, t.memoryAt(8));
  push(t, full(t), (slot) => {
    t.envStore(slot, significand);
    store16(t, slot + 8, signExponent);
    return t.b.i32(0);
  });
};
const loadBcd: Handler = (t) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  const low = t.load(3, t.memory(10, ACCESS_READ));
  const high = t.load(1, t.memoryAt(8));
  push(t, full(t), (slot) => {
    t.envStore(X87_OPERAND, low);
    store16(t, X87_OPERAND + 8, high);
    t.callw('f80_from_bcd', b.envAddr(slot), b.envAddr(X87_OPERAND));
    return b.i32(0);
  });
};
const loadRegister: Handler = (t, i) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  const from = st(t, i.rm);
  const none = empty(t, i.rm);
  // ST(7) is the register the push takes: empty there means the source is empty, full means overflow
  if (i.rm === 7)
    push(t, b.i32(1), (slot) => copy(t, from, slot), b.select(none, b.i32(STACK_UNDERFLOW), b.i32(STACK_OVERFLOW)));
  else
    push(
      t,
      b.or(none, full(t)),
      (slot) => copy(t, from, slot),
      b.select(none, b.i32(STACK_UNDERFLOW), b.i32(STACK_OVERFLOW)),
    );
};
/** FLD1 .. FLDZ by row.arg. */
const loadConstant: Handler = (t, i) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  push(t, full(t), (slot) => {
    t.callw('f80_const', b.envAddr(slot), b.i32(i.row.arg), fcw(t));
    return b.i32(0);
  });
};

// --- stores -----------------------------------------------------------------------------------------------------------
interface Destination {
  readonly bytes: 2 | 4 | 8;
  readonly store: StoreKind;
  /** What a masked invalid operation stores: high half of an i64, or the whole value. */
  readonly indefinite: number;
}
const M16: Destination = { bytes: 2, store: 'st16', indefinite: 0x8000 };
const M32: Destination = { bytes: 4, store: 'st32', indefinite: -0x80000000 };
const M64: Destination = { bytes: 8, store: 'st64', indefinite: -0x80000000 };
const F32_STORE: Destination = { bytes: 4, store: 'st32', indefinite: 0xffc00000 | 0 };
const F64_STORE: Destination = { bytes: 8, store: 'st64', indefinite: 0xfff80000 | 0 };

const storeConverted =
  (helper: string, d: Destination, pops: number, ...extra: readonly number[]): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const address = t.memory(d.bytes, ACCESS_WRITE);
    const fault = empty(t, 0);
    if (t.hot) b.bailIf(fault);
    let flags = t.callw(helper, b.envAddr(X87_RESULT), b.envAddr(st(t, 0)), fcw(t), ...extra.map((n) => b.i32(n)));
    if (t.hot) bailUnmasked(t, flags);
    if (needsHelper(t)) {
      commitByHelper(t, COMMIT_STORE, b.select(fault, b.i32(STACK_UNDERFLOW), flags), 0, pops, address, d.bytes);
      return;
    }
    let v = d.bytes === 8 ? load64(t, X87_RESULT) : b.emit(ENVLD_I32, -1, -1, -1, X87_RESULT);
    if (!t.hot) {
      v = b.select(fault, d.bytes === 8 ? b.i64Parts(0, d.indefinite) : b.i32(d.indefinite), v);
      flags = b.select(fault, b.i32(STACK_UNDERFLOW), flags);
    }
    b.store(d.store, address, v, t.stackFlag(t.insn.segment));
    updateStatus(t, flags);
    pop(t, pops);
  };

/** FSTP m80 (a copy) and FBSTP: ten bytes, always popping. */
const storeTen =
  (helper: string): Handler =>
  (t) => {
    if (!x87Ready(t)) return;
    const { b } = t;
    const address = t.memory(10, ACCESS_WRITE);
    const fault = empty(t, 0);
    if (t.hot) b.bailIf(fault);
    let flags = helper === '' ? b.i32(0) : t.callw(helper, b.envAddr(X87_RESULT), b.envAddr(st(t, 0)), fcw(t));
    if (t.hot) bailUnmasked(t, flags);
    if (needsHelper(t)) {
      if (helper === '') copy(t, st(t, 0), X87_RESULT);
      commitByHelper(t, COMMIT_STORE, b.select(fault, b.i32(STACK_UNDERFLOW), flags), 0, 1, address, 10);
      return;
    }
    const from = helper === '' ? st(t, 0) : X87_RESULT;
    let low = load64(t, from);
    let high = load16(t, from + 8);
    if (!t.hot) {
      low = b.select(fault, b.i64Parts(0, INDEFINITE_HIGH), low);
      high = b.select(fault, b.i32(INDEFINITE_EXPONENT), high);
      flags = b.select(fault, b.i32(STACK_UNDERFLOW), flags);
    }
    t.store(3, address, low);
    t.store(1, t.memoryAt(8), high);
    updateStatus(t, flags);
    pop(t, 1);
  };
/** FST, FSTP ST(i): the destination may be empty. */
const storeRegister =
  (pops: number): Handler =>
  (t, i) => {
    if (!x87Ready(t)) return;
    const from = st(t, 0);
    toRegister(t, i.rm, pops, empty(t, 0), (slot) => copy(t, from, slot), {
      kind: COMMIT_REG,
      clear: FSW_C1,
      newRegister: true,
    });
  };

const fxch: Handler = (t, i) => {
  if (!x87Ready(t)) return;
  const { b } = t;
  const [x, y] = [st(t, 0), st(t, i.rm)];
  const [noX, noY] = [empty(t, 0), empty(t, i.rm)];
  const fault = b.or(noX, noY);
  if (needsHelper(t)) {
    commitByHelper(t, COMMIT_XCHG, b.select(fault, b.i32(STACK_UNDERFLOW), b.i32(0)), i.rm, 0);
    return;
  }
  if (t.hot) b.bailIf(fault);
  let [lowX, highX, lowY, highY] = [load64(t, x), load16(t, x + 8), load64(t, y), load16(t, y + 8)];
  if (!t.hot) {
    const [low, high] = [b.i64Parts(0, INDEFINITE_HIGH), b.i32(INDEFINITE_EXPONENT)];
    [lowX, highX] = [b.select(noX, low, lowX), b.select(noX, high, highX)];
    [lowY, highY] = [b.select(noY, low, lowY), b.select(noY, high, highY)];
  }
  t.envStore(x, lowY);
  store16(t, x + 8, highY);
  t.envStore(y, lowX);
  store16(t, y + 8, highX);
  updateStatus(t, t.hot ? b.i32(0) : b.select(fault, b.i32(STACK_UNDERFLOW), b.i32(0)));
  if (t.hot) return; // both were full
  setTag(t, 0, 0);
  setTag(t, i.rm, 0);
};

export const X87_TRANSFER_HANDLERS: HandlerTable = {
  fld_m32: loadConverted('f80_from_f32', 'ld32', 4, true),
  fld_m64: loadConverted('f80_from_f64', 'ld64', 8, true),
  fld_m80: loadReal80,
  fild_m16: loadConverted('f80_from_i16', 'ld16u', 2, false),
  fild_m32: loadConverted('f80_from_i32', 'ld32', 4, false),
  fild_m64: loadConverted('f80_from_i64', 'ld64', 8, false),
  fbld: loadBcd,
  fld_sti: loadRegister,
  fld_const: loadConstant,
  fst_m32: storeConverted('f80_to_f32', F32_STORE, 0),
  fstp_m32: storeConverted('f80_to_f32', F32_STORE, 1),
  fst_m64: storeConverted('f80_to_f64', F64_STORE, 0),
  fstp_m64: storeConverted('f80_to_f64', F64_STORE, 1),
  fist_m16: storeConverted('f80_to_i16', M16, 0, 0),
  fistp_m16: storeConverted('f80_to_i16', M16, 1, 0),
  fisttp_m16: storeConverted('f80_to_i16', M16, 1, 1),
  fist_m32: storeConverted('f80_to_i32', M32, 0, 0),
  fistp_m32: storeConverted('f80_to_i32', M32, 1, 0),
  fisttp_m32: storeConverted('f80_to_i32', M32, 1, 1),
  fistp_m64: storeConverted('f80_to_i64', M64, 1, 0),
  fisttp_m64: storeConverted('f80_to_i64', M64, 1, 1),
  fstp_m80: storeTen(''),
  fbstp: storeTen('f80_to_bcd'),
  fst_sti: storeRegister(0),
  fstp_sti: storeRegister(1),
  fxch,
};
