/**
 * BMI1, BMI2, ADX and CRC32. VEX.L = 1 is #UD for all of the VEX ones. SDM Vol. 2A/2B, pages by mnemonic.
 */
import type { Value } from '@emkit/ir';
import { EDX } from '../state.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

/** The instruction proper, after the checks of VEX.128. */
const vex =
  (handler: Handler): Handler =>
  (t, i) =>
    i.vexL === 0 ? handler(t, i) : t.undefined();

const andn = vex((t) => {
  const { b } = t;
  const r = b.and(b.not(t.read(1)), t.read(2));
  t.write(0, r);
  t.setLogic(2, r);
});
const blsr = vex((t) => {
  const { b } = t;
  const x = t.read(1);
  const r = b.and(x, b.sub(x, b.i32(1)));
  t.write(0, r);
  t.setGiven(2, r, b.eqz(x), b.i32(0));
});
const blsmsk = vex((t) => {
  const { b } = t;
  const x = t.read(1);
  const r = b.xor(x, b.sub(x, b.i32(1)));
  t.write(0, r);
  t.setGiven(2, r, b.eqz(x), b.i32(0));
});
const blsi = vex((t) => {
  const { b } = t;
  const x = t.read(1);
  const r = b.and(x, b.neg(x));
  t.write(0, r);
  t.setGiven(2, r, b.ne(x, b.i32(0)), b.i32(0));
});
/** x with the bits from n up cleared; n >= 32 leaves it. */
function lowBits(t: Translator, x: Value, n: Value): Value {
  const { b } = t;
  const mask = b.sub(b.shl(b.i32(1), n), b.i32(1));
  return b.select(b.ltU(b.i32(31), n), x, b.and(x, mask));
}
const bzhi = vex((t) => {
  const { b } = t;
  const n = b.and(t.read(2), b.i32(0xff));
  const r = lowBits(t, t.read(1), n);
  t.write(0, r);
  t.setGiven(2, r, b.ltU(b.i32(31), n), b.i32(0));
});
const bextr = vex((t) => {
  const { b } = t;
  const x = t.read(1);
  const control = t.read(2);
  const start = b.and(control, b.i32(0xff));
  const length = b.and(b.shr(control, b.i32(8)), b.i32(0xff));
  const shifted = b.select(b.ltU(b.i32(31), start), b.i32(0), b.shr(x, start));
  const r = lowBits(t, shifted, length);
  t.write(0, r);
  t.setLogic(2, r);
});
const deposit = (name: string): Handler =>
  vex((t) => {
    const mask = t.read(2);
    t.write(0, t.callPure(name, t.read(1), mask));
  });
const mulx = vex((t, i) => {
  const { b } = t;
  const product = b.mul(b.extU(b.get(EDX)), b.extU(t.read(2)));
  const high = b.wrap(b.shr(product, b.i64(32)));
  // low first: when both destinations are one register it gets the high half
  t.write(1, b.wrap(product));
  t.setReg(i.reg, 2, high);
});
const shlx = vex((t) => t.write(0, t.b.shl(t.read(1), t.read(2))));
const sarx = vex((t) => t.write(0, t.b.sar(t.read(1), t.read(2))));
const shrx = vex((t) => t.write(0, t.b.shr(t.read(1), t.read(2))));
const rorx = vex((t) => t.write(0, t.b.rotr(t.read(1), t.read(2))));

/** Sum with a carry in; returns the carry out. */
function addCarry(t: Translator, carryIn: Value): Value {
  const { b } = t;
  const x = t.read(0);
  const y = t.read(1);
  const r = b.add(b.add(x, y), carryIn);
  t.write(0, r);
  return b.or(b.ltU(r, y), b.and(carryIn, b.eq(r, y)));
}
const adcx: Handler = (t) => t.setCarryOverflow(addCarry(t, t.carry()), -1);
const adox: Handler = (t) => t.setCarryOverflow(-1, addCarry(t, t.overflow()));

const crc32: Handler = (t) => t.write(0, t.callPure('crc32', t.read(0), t.read(1), t.b.i32(8 << t.size(1))));

export const BMI_HANDLERS: HandlerTable = {
  andn,
  blsr,
  blsmsk,
  blsi,
  bzhi,
  bextr,
  pdep: deposit('pdep'),
  pext: deposit('pext'),
  mulx,
  shlx,
  sarx,
  shrx,
  rorx,
  adcx,
  adox,
  crc32,
};
