/**
 * BMI1, BMI2, ADX and CRC32. VEX.L = 1 is #UD for all of the VEX ones. SDM Vol. 2A/2B, pages by mnemonic.
 */
import type { Value } from '@emkit/ir';
import { EDX } from '../state.ts';
import { highProduct } from './wide-arithmetic.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

/** The instruction proper, after the checks of VEX.128. */
const vex =
  (handler: Handler): Handler =>
  (t, i) =>
    i.vexL === 0 ? handler(t, i) : t.undefined();

const andn = vex((t) => {
  const size = t.size(0);
  const { b } = t;
  const r = b.and(b.not(t.read(1)), t.read(2));
  t.write(0, r);
  t.setLogic(size, r);
});
const blsr = vex((t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(1);
  const r = b.and(x, b.sub(x, t.int(size, 1)));
  t.write(0, r);
  t.setGiven(size, r, b.eqz(x), b.i32(0));
});
const blsmsk = vex((t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(1);
  const r = b.xor(x, b.sub(x, t.int(size, 1)));
  t.write(0, r);
  t.setGiven(size, r, b.eqz(x), b.i32(0));
});
const blsi = vex((t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(1);
  const r = b.and(x, b.neg(x));
  t.write(0, r);
  t.setGiven(size, r, b.ne(x, t.int(size, 0)), b.i32(0));
});
/** x with the bits from n (i32, below 256) up cleared; n of the width or more leaves it. */
function lowBits(t: Translator, size: number, x: Value, n: Value): Value {
  const { b } = t;
  const mask = b.sub(b.shl(t.int(size, 1), t.sized(size, n)), t.int(size, 1));
  return b.select(beyond(t, size, n), x, b.and(x, mask));
}
/** A bit number (i32) is not within the operand. */
const beyond = (t: Translator, size: number, n: Value): Value => t.b.ltU(t.b.i32((8 << size) - 1), n);
const bzhi = vex((t) => {
  const { b } = t;
  const size = t.size(0);
  const n = b.and(t.low(t.read(2)), b.i32(0xff));
  const r = lowBits(t, size, t.read(1), n);
  t.write(0, r);
  t.setGiven(size, r, beyond(t, size, n), b.i32(0));
});
const bextr = vex((t) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.read(1);
  const control = t.low(t.read(2));
  const start = b.and(control, b.i32(0xff));
  const length = b.and(b.shr(control, b.i32(8)), b.i32(0xff));
  const shifted = b.select(beyond(t, size, start), t.int(size, 0), b.shr(x, t.sized(size, start)));
  const r = lowBits(t, size, shifted, length);
  t.write(0, r);
  t.setLogic(size, r);
});
/** 64 bits in two steps: the ones of the mask's low half take or give the low bits of the other value. */
const pdep = vex((t) => {
  const { b } = t;
  const mask = t.read(2);
  const x = t.read(1);
  if (t.size(0) < 3) {
    t.write(0, t.callPure('pdep', x, mask));
    return;
  }
  const low = t.callPure('pdep', t.low(x), t.low(mask));
  const rest = t.low(b.shr(x, t.extend(b.popcnt(t.low(mask)))));
  t.write(0, t.pair(low, t.callPure('pdep', rest, t.high(mask))));
});
const pext = vex((t) => {
  const { b } = t;
  const mask = t.read(2);
  const x = t.read(1);
  if (t.size(0) < 3) {
    t.write(0, t.callPure('pext', x, mask));
    return;
  }
  const low = t.callPure('pext', t.low(x), t.low(mask));
  const high = t.callPure('pext', t.high(x), t.high(mask));
  t.write(0, b.or(t.extend(low), b.shl(t.extend(high), t.extend(b.popcnt(t.low(mask))))));
});
const mulx = vex((t, i) => {
  const { b } = t;
  const size = t.size(0);
  const x = t.reg(EDX, size);
  const y = t.read(2);
  const product = size === 3 ? b.mul(x, y) : b.mul(t.extend(x), t.extend(y));
  const high = size === 3 ? highProduct(t, x, y) : t.high(product);
  // low first: when both destinations are one register it gets the high half
  t.write(1, t.sized(size, product));
  t.setReg(i.reg, size, high);
});
const shlx = vex((t) => t.write(0, t.b.shl(t.read(1), t.read(2))));
const sarx = vex((t) => t.write(0, t.b.sar(t.read(1), t.read(2))));
const shrx = vex((t) => t.write(0, t.b.shr(t.read(1), t.read(2))));
const rorx = vex((t) => t.write(0, t.b.rotr(t.read(1), t.sized(t.size(0), t.read(2)))));

/** Sum with a carry in; returns the carry out. */
function addCarry(t: Translator, carryIn: Value): Value {
  const { b } = t;
  const x = t.read(0);
  const y = t.read(1);
  const r = b.add(b.add(x, y), t.sized(t.size(0), carryIn));
  t.write(0, r);
  return b.or(b.ltU(r, y), b.and(carryIn, b.eq(r, y)));
}
const adcx: Handler = (t) => t.setCarryOverflow(addCarry(t, t.carry()), -1);
const adox: Handler = (t) => t.setCarryOverflow(-1, addCarry(t, t.overflow()));

/** The result has 32 bits whatever the operands have. */
const crc32: Handler = (t, i) => {
  const bits = t.b.i32(t.size(1) === 3 ? 32 : 8 << t.size(1));
  const x = t.read(1);
  let crc = t.callPure('crc32', t.reg(i.reg, 2), t.low(x), bits);
  if (t.size(1) === 3) crc = t.callPure('crc32', crc, t.high(x), bits);
  t.setReg(i.reg, 2, crc);
};

export const BMI_HANDLERS: HandlerTable = {
  andn,
  blsr,
  blsmsk,
  blsi,
  bzhi,
  bextr,
  pdep,
  pext,
  mulx,
  shlx,
  sarx,
  shrx,
  rorx,
  adcx,
  adox,
  crc32,
};
