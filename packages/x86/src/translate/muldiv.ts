/**
 * Multiplication, division and decimal adjustment. #DE on a zero divisor and on a quotient that does not fit.
 * Flags after DIV/IDIV are undefined: left as they were. SDM Vol. 2A "DIV", "IDIV", "IMUL", "AAA", "DAA"; 2B "MUL".
 */
import { I64, opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { EAX, EDX, EXC } from '../state.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';
import { divideWide, highProduct, highProductSigned } from './wide-arithmetic.ts';

const SHR_S = opId('i32_shr_s');
const SHR_S64 = opId('i64_shr_s');

const mul: Handler = (t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(0);
  const a = t.reg(EAX, size);
  if (size >= 2) {
    const p = size === 3 ? b.mul(a, x) : b.mul(t.extend(a), t.extend(x));
    const h = size === 3 ? highProduct(t, a, x) : t.high(p);
    const l = t.sized(size, p);
    t.setReg(EAX, size, l);
    t.setReg(EDX, size, h);
    t.setMul(size, l, b.ne(h, t.int(size, 0)));
    return;
  }
  const p = b.mul(a, x);
  const h = b.shr(p, b.i32(8 << size));
  if (size === 0) t.setReg(EAX, 1, p);
  else {
    t.setReg(EAX, 1, p);
    t.setReg(EDX, 1, h);
  }
  t.setMul(size, p, b.ne(h, b.i32(0)));
};

const imul: Handler = (t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.signed(t.read(0), size);
  const a = t.signed(t.reg(EAX, size), size);
  if (size >= 2) {
    const p = size === 3 ? b.mul(a, x) : b.mul(t.extendSigned(a), t.extendSigned(x));
    const h = size === 3 ? highProductSigned(t, a, x) : t.high(p);
    const l = t.sized(size, p);
    t.setReg(EAX, size, l);
    t.setReg(EDX, size, h);
    t.setMul(size, l, b.ne(h, b.sar(l, t.int(size, size === 3 ? 63 : 31))));
    return;
  }
  const p = b.mul(a, x);
  t.setReg(EAX, 1, p);
  if (size === 1) t.setReg(EDX, 1, b.shr(p, b.i32(16)));
  t.setMul(size, p, b.ne(p, t.signed(p, size)));
};

/** IMUL r, r/m and IMUL r, r/m, imm: the product cut to the operand size. */
function imulCut(t: Translator, size: number, x: Value, y: Value): void {
  const { b } = t;
  const p = b.mul(t.signed(x, size), t.signed(y, size));
  t.write(0, p);
  if (size === 1) t.setMul(size, p, b.ne(p, b.ext16s(p)));
  else if (size === 3) t.setMul(size, p, b.ne(highProductSigned(t, x, y), b.sar(p, b.i64(63))));
  else t.setMul(size, p, b.ne(t.high(b.mul(t.extendSigned(x), t.extendSigned(y))), b.sar(p, b.i32(31))));
}
const imul2: Handler = (t, i) => {
  const y = t.read(1);
  imulCut(t, i.size, t.read(0), y);
};
const imul3: Handler = (t, i) => imulCut(t, i.size, t.read(1), t.read(2));

/** A divisor that is never zero: the fault has been raised, but pure ops may be moved. */
const nonZero = (t: Translator, x: Value): Value =>
  t.b.or(x, t.b.typeOf(x) === I64 ? t.extend(t.b.eqz(x)) : t.b.eqz(x));

/** What a quotient leaves: a product costs less than a second division, which is what a remainder is to WebAssembly. */
const remainder = (t: Translator, d: Value, q: Value, y: Value): Value => t.b.sub(d, t.b.mul(q, y));

const div: Handler = (t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(0);
  t.raiseIf(b.eqz(x), EXC.DE);
  if (size < 2) {
    const d = size === 0 ? t.reg(EAX, 1) : b.or(b.shl(t.reg(EDX, 1), b.i32(16)), t.reg(EAX, 1));
    const y = nonZero(t, x);
    const q = b.divU(d, y);
    t.raiseIf(b.ltU(b.i32(size === 0 ? 0xff : 0xffff), q), EXC.DE);
    setQuotient(t, size, q, remainder(t, d, q, y));
    return;
  }
  const top = t.reg(EDX, size);
  const a = t.reg(EAX, size);
  if (t.isConstant(top, 0)) {
    const y = nonZero(t, x);
    const q = b.divU(a, y);
    setQuotient(t, size, q, remainder(t, a, q, y));
    return;
  }
  t.raiseIf(b.leU(x, top), EXC.DE);
  if (size === 3) {
    const { q, r } = divideWide(t, top, a, x);
    setQuotient(t, size, q, r);
    return;
  }
  const y = t.extend(nonZero(t, x));
  const d = t.pair(a, top);
  const q = b.divU(d, y);
  setQuotient(t, size, b.wrap(q), b.wrap(remainder(t, d, q, y)));
};

/** `top` is the sign of `a` in all bits, as CDQ and CQO make it. */
function isSignOf(t: Translator, top: Value, a: Value, size: number): boolean {
  const { block } = t.b;
  const count = block.b[top]!;
  if (block.op[top] !== (size === 3 ? SHR_S64 : SHR_S) || block.a[top] !== a) return false;
  return t.isConstant(count, size === 3 ? 63 : 31);
}

const idiv: Handler = (t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.signed(t.read(0), size);
  t.raiseIf(b.eqz(x), EXC.DE);
  if (size >= 2) {
    const top = t.reg(EDX, size);
    const a = t.reg(EAX, size);
    if (isSignOf(t, top, a, size)) {
      // after CDQ the dividend is EAX: only -2^31 / -1 overflows; CQO likewise
      const least = size === 3 ? b.i64Parts(0, -0x80000000) : b.i32(-0x80000000);
      t.raiseIf(b.and(b.eq(a, least), b.eq(x, t.int(size, -1))), EXC.DE);
      divideBy(t, size, a, x);
    } else if (size === 3) divideSigned(t, top, a, x);
    else divideBy(t, size, t.pair(a, top), t.extendSigned(x));
    return;
  }
  divideBy(t, size, size === 0 ? b.ext16s(t.low(b.get(EAX))) : b.or(b.shl(t.reg(EDX, 1), b.i32(16)), t.reg(EAX, 1)), x);
};
/** Signed division; -1 is done by negation, since the most negative dividend traps in WebAssembly. */
function divideBy(t: Translator, size: number, d: Value, x: Value): void {
  const { b } = t;
  const type = b.typeOf(d);
  const minus = b.eq(x, b.int(type, -1));
  const y = b.select(b.or(minus, b.eqz(x)), b.int(type, 1), x);
  const quotient = b.divS(d, y);
  const q = b.select(minus, b.neg(d), quotient);
  // when d / 1 is used in place of d / -1 the remainder is 0 as well
  const r = remainder(t, d, quotient, y);
  if (size === 2 && type === I64) {
    t.raiseIf(b.ne(q, b.extS(b.wrap(q))), EXC.DE);
    setQuotient(t, size, b.wrap(q), b.wrap(r));
    return;
  }
  if (size < 2) t.raiseIf(b.ne(q, t.signed(q, size)), EXC.DE);
  setQuotient(t, size, q, r);
}
/** Signed division of 128 bits: of the magnitudes, with the signs put back. */
function divideSigned(t: Translator, top: Value, a: Value, x: Value): void {
  const { b } = t;
  const sign = b.i64(63);
  const dividendSign = b.sar(top, sign);
  const divisorSign = b.sar(x, sign);
  const negate = (v: Value, by: Value): Value => b.sub(b.xor(v, by), by);
  const low = negate(a, dividendSign);
  // the borrow of the low half goes on only where that is zero
  const high = b.sub(b.xor(top, dividendSign), b.and(dividendSign, t.extendSigned(b.neg(b.eqz(a)))));
  const divisor = negate(x, divisorSign);
  t.raiseIf(b.leU(divisor, high), EXC.DE);
  const { q, r } = divideWide(t, high, low, divisor);
  const quotientSign = b.xor(dividendSign, divisorSign);
  // the magnitude may be 2^63 only where the quotient is negative
  t.raiseIf(b.gtU(q, b.sub(b.i64Parts(-1, 0x7fffffff), quotientSign)), EXC.DE);
  setQuotient(t, 3, negate(q, quotientSign), negate(r, dividendSign));
}
function setQuotient(t: Translator, size: number, q: Value, r: Value): void {
  const { b } = t;
  if (size === 0) t.setReg(EAX, 1, b.or(b.and(q, b.i32(0xff)), b.shl(b.and(r, b.i32(0xff)), b.i32(8))));
  else {
    t.setReg(EAX, size, q);
    t.setReg(EDX, size, r);
  }
}

// --- decimal adjustment -----------------------------------------------------------------------------------------
/** AL's low digit is above 9, or AF. */
function needsAdjust(t: Translator, al: Value): Value {
  const { b } = t;
  return b.or(b.ltU(b.i32(9), b.and(al, b.i32(15))), t.adjust());
}
const decimal =
  (subtract: boolean): Handler =>
  (t) => {
    const { b } = t;
    const al = t.reg(EAX, 0);
    const adjust = needsAdjust(t, al);
    const highAdjust = b.or(b.ltU(b.i32(0x99), al), t.carry());
    const amount = b.or(b.select(adjust, b.i32(6), b.i32(0)), b.select(highAdjust, b.i32(0x60), b.i32(0)));
    const r = subtract ? b.sub(al, amount) : b.add(al, amount);
    const carry = subtract ? b.or(highAdjust, b.and(adjust, b.ltU(al, b.i32(6)))) : highAdjust;
    t.setReg(EAX, 0, r);
    t.setBits(0, r, b.or(carry, b.shl(adjust, b.i32(4))));
  };
const ascii =
  (subtract: boolean): Handler =>
  (t) => {
    const { b } = t;
    const ax = t.reg(EAX, 1);
    const adjust = needsAdjust(t, b.and(ax, b.i32(0xff)));
    const amount = b.select(adjust, b.i32(0x106), b.i32(0));
    const r = b.and(subtract ? b.sub(ax, amount) : b.add(ax, amount), b.i32(0xff0f));
    t.setReg(EAX, 1, r);
    t.setBits(0, r, b.or(adjust, b.shl(adjust, b.i32(4))));
  };
const aam: Handler = (t, i) => {
  const { b } = t;
  const base = i.imm & 0xff;
  if (base === 0) {
    t.raise(EXC.DE);
    return;
  }
  const al = t.reg(EAX, 0);
  const r = b.remU(al, b.i32(base));
  t.setReg(EAX, 1, b.or(r, b.shl(b.divU(al, b.i32(base)), b.i32(8))));
  t.setLogic(0, r);
};
const aad: Handler = (t, i) => {
  const { b } = t;
  const ax = t.reg(EAX, 1);
  const r = b.and(b.add(b.and(ax, b.i32(0xff)), b.mul(b.shr(ax, b.i32(8)), b.i32(i.imm & 0xff))), b.i32(0xff));
  t.setReg(EAX, 1, r);
  t.setLogic(0, r);
};

export const MULDIV_HANDLERS: HandlerTable = {
  mul,
  imul,
  imul2,
  imul3,
  div,
  idiv,
  daa: decimal(false),
  das: decimal(true),
  aaa: ascii(false),
  aas: ascii(true),
  aam,
  aad,
};
