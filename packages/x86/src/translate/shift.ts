/**
 * Shifts, rotates, double shifts, bit tests and scans. Counts are taken modulo 32, of 64-bit operands modulo 64; a count of zero leaves the flags.
 * Rotates change CF and OF only. SDM Vol. 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD"; Vol. 2A "BT", "BSF".
 */
import type { Value } from '@emkit/ir';
import { FEATURE } from '../decode/features.ts';
import { OP_G } from '../decode/row.ts';
import { KIND_SAR, KIND_SHL, ccOp } from '../flags.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

const SHL = 4;
const SHR = 5;

/** The count operand as i32, cut as the operation does. */
const countOf = (t: Translator, operand: number, size: number): Value =>
  t.b.and(t.read(operand), t.b.i32(size === 3 ? 63 : 31));

const shift: Handler = (t, i) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.readRmw(0);
  const n = countOf(t, 1, size);
  const zero = b.eqz(n);
  const count = t.sized(size, n);
  const less = t.sized(size, b.sub(n, b.i32(1)));
  let before: Value;
  let r: Value;
  if (i.row.arg === SHL) {
    before = b.shl(x, less);
    r = b.shl(x, count);
  } else if (i.row.arg === SHR) {
    before = b.shr(x, less);
    r = b.shr(x, count);
  } else {
    const s = t.signed(x, size);
    before = b.sar(s, less);
    r = b.sar(s, count);
  }
  t.write(0, r);
  t.setUnless(zero, ccOp(i.row.arg === SHL ? KIND_SHL : KIND_SAR, size), r, before);
};

/** Replace CF and OF unless the count was zero. */
function setRotated(t: Translator, zero: Value, carry: Value, overflow: Value): void {
  const { b } = t;
  if (b.isConst(zero)) {
    if (b.constOf(zero) === 0) t.setCarryOverflow(carry, overflow);
    return;
  }
  t.setCarryOverflow(b.select(zero, t.carry(), carry), b.select(zero, t.overflow(), overflow));
}

/** ROL (arg 0), ROR (arg 1). */
const rotate: Handler = (t, i) => {
  const { b } = t;
  const size = t.size(0);
  const top = (8 << size) - 1;
  const x = t.readRmw(0);
  const n = countOf(t, 1, size);
  const count = t.sized(size, n);
  // a narrow value repeated over 32 bits rotates like a 32-bit one
  let wide = x;
  if (size === 0) wide = b.mul(x, b.i32(0x01010101));
  else if (size === 1) wide = b.or(x, b.shl(x, b.i32(16)));
  const left = i.row.arg === 0;
  const r = left ? b.rotl(wide, count) : b.rotr(wide, count);
  const high = t.bit(r, top);
  t.write(0, r);
  if (left) {
    const carry = t.bit(r, 0);
    setRotated(t, b.eqz(n), carry, b.xor(high, carry));
  } else setRotated(t, b.eqz(n), high, b.xor(high, t.bit(r, top - 1)));
};

/** RCL (arg 2), RCR (arg 3): rotation of width + 1 bits, CF being the extra one. */
const rotateCarry: Handler = (t, i) => {
  const { b } = t;
  const size = t.size(0);
  const bits = 8 << size;
  const left = i.row.arg === 2;
  const x = t.readRmw(0);
  const masked = countOf(t, 1, size);
  const zero = b.eqz(masked);
  const cf = t.carry();
  let r: Value;
  let carry: Value;
  if (size < 2) {
    const n = b.i32(bits + 1);
    const c = b.isConst(masked) ? b.i32(b.constOf(masked) % (bits + 1)) : b.remU(masked, n);
    const v = b.or(x, b.shl(cf, b.i32(bits)));
    const back = b.sub(n, c);
    r = left ? b.or(b.shl(v, c), b.shr(v, back)) : b.or(b.shr(v, c), b.shl(v, back));
    carry = t.bit(r, bits);
  } else {
    const c = t.sized(size, masked);
    const back = t.sized(size, b.sub(b.i32(bits), masked));
    const one = t.int(size, 1);
    const less = t.sized(size, b.sub(masked, b.i32(1)));
    const extra = t.sized(size, cf);
    const rotated = left
      ? b.or(b.or(b.shl(x, c), b.shl(extra, less)), b.shr(b.shr(x, one), back))
      : b.or(b.or(b.shr(x, c), b.shl(extra, back)), b.shl(b.shl(x, one), back));
    r = b.select(zero, x, rotated);
    carry = t.bit(b.shr(x, left ? back : less), 0);
  }
  t.write(0, r);
  const high = t.bit(r, bits - 1);
  setRotated(t, zero, carry, left ? b.xor(high, carry) : b.xor(high, t.bit(r, bits - 2)));
};

/** SHLD (arg 0), SHRD (arg 1). */
const shiftDouble: Handler = (t, i) => {
  const { b } = t;
  const left = i.row.arg === 0;
  const x = t.readRmw(0);
  const y = t.read(1);
  const n = countOf(t, 2, i.size);
  const zero = b.eqz(n);
  const count = t.sized(i.size, n);
  const less = t.sized(i.size, b.sub(n, b.i32(1)));
  let r: Value;
  let before: Value;
  if (i.size === 1) {
    // counts above 16 are undefined; this gives what rotating the pair gives
    const half = b.i32(16);
    const pair = left ? b.or(b.shl(x, half), y) : b.or(b.shl(y, half), x);
    r = left ? b.shr(b.rotl(pair, count), half) : b.rotr(pair, count);
    before = left ? b.shr(b.rotl(pair, less), half) : b.rotr(pair, less);
  } else {
    const back = t.sized(i.size, b.sub(b.i32(8 << i.size), n));
    const shifted = left ? b.or(b.shl(x, count), b.shr(y, back)) : b.or(b.shr(x, count), b.shl(y, back));
    r = b.select(zero, x, shifted);
    before = left ? b.shl(x, less) : b.shr(x, less);
  }
  t.write(0, r);
  t.setUnless(zero, ccOp(left ? KIND_SHL : KIND_SAR, i.size), r, before);
};

/** BT, BTS, BTR, BTC (arg 0-3). A register offset reaches beyond a memory operand: whole operands before or after it. */
const bitTest: Handler = (t, i) => {
  const { b } = t;
  const log = i.size + 3;
  const offset = t.read(1);
  if (i.mod !== 3 && i.row.operands[1]!.method === OP_G) {
    const units = b.sar(t.signed(offset, i.size), t.int(i.size, log));
    const index = t.is64 && i.size < 3 ? t.extendSigned(units) : units;
    t.setEa(b.add(t.ea(), b.shl(index, b.int(b.typeOf(index), i.size))));
  }
  const n = t.sized(i.size, b.and(t.low(offset), b.i32((1 << log) - 1)));
  const op = i.row.arg;
  const x = op === 0 ? t.read(0) : t.readRmw(0);
  if (op !== 0) {
    const mask = b.shl(t.int(i.size, 1), n);
    t.write(0, op === 1 ? b.or(x, mask) : op === 2 ? b.and(x, b.not(mask)) : b.xor(x, mask));
  }
  t.setCarryOverflow(t.bit(b.shr(x, n), 0), -1);
};

/** A zero source leaves the destination (as real CPUs do) and sets ZF. */
const bsf: Handler = (t, i) => {
  const { b } = t;
  const x = t.read(1);
  t.write(0, b.select(b.eqz(x), t.read(0), b.ctz(x)));
  t.setLogic(i.size, x);
};
const bsr: Handler = (t, i) => {
  const { b } = t;
  const x = t.read(1);
  t.write(0, b.select(b.eqz(x), t.read(0), b.sub(t.int(i.size, i.size === 3 ? 63 : 31), b.clz(x))));
  t.setLogic(i.size, x);
};
/** Without the feature F3 is ignored and these are BSF and BSR. SDM Vol. 2B "TZCNT", "LZCNT". */
const tzcnt: Handler = (t, i) => {
  if (!t.has(FEATURE.bmi1!)) return bsf(t, i);
  const { b } = t;
  const x = t.read(1);
  const r = b.ctz(i.size >= 2 ? x : b.or(x, b.i32(0x10000)));
  t.write(0, r);
  t.setGiven(i.size, r, b.eqz(x), b.i32(0));
};
const lzcnt: Handler = (t, i) => {
  if (!t.has(FEATURE.abm!)) return bsr(t, i);
  const { b } = t;
  const x = t.read(1);
  const r = i.size >= 2 ? b.clz(x) : b.sub(b.clz(x), b.i32(16));
  t.write(0, r);
  t.setGiven(i.size, r, b.eqz(x), b.i32(0));
};
const popcnt: Handler = (t) => {
  const { b } = t;
  const x = t.read(1);
  t.write(0, b.popcnt(x));
  t.setEflags(b.shl(b.eqz(x), b.i32(6)));
};

export const SHIFT_HANDLERS: HandlerTable = {
  shift,
  rotate,
  rotate_carry: rotateCarry,
  shift_double: shiftDouble,
  bit: bitTest,
  bsf,
  bsr,
  tzcnt,
  lzcnt,
  popcnt,
};
