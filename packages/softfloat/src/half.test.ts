/** Half precision against a model in doubles, which hold every f16, every f32 and their quotients by powers of two exactly. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiate } from './instance.test-support.ts';

const s = instantiate();
const view = new DataView(s.bytes.buffer);
const SRC = 16;
const DST = 32;
const MASKED = 0x1f80;
const [IE, DE, OE, UE, PE] = [1, 2, 8, 16, 32];

function toSingle(bits: number, mxcsr = MASKED): { bits: number; flags: number } {
  view.setUint16(SRC, bits, true);
  const flags = s.call('sse_cvt_f16_f32', DST, SRC, 1, mxcsr);
  return { bits: view.getUint32(DST, true), flags };
}
function toHalf(bits: number, imm: number, mxcsr = MASKED): { bits: number; flags: number } {
  view.setUint32(SRC, bits, true);
  const flags = s.call('sse_cvt_f32_f16', DST, SRC, 1 | (imm << 8), mxcsr);
  return { bits: view.getUint16(DST, true), flags };
}
const valueOfHalf = (bits: number): number => {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return (bits & 0x8000) !== 0 ? -magnitude : magnitude;
};
const singleOf = (bits: number): number => {
  view.setUint32(48, bits, true);
  return view.getFloat32(48, true);
};
/** An integer near x: to nearest even, down, up, to zero. */
const integer = (x: number, rc: number): number => {
  const below = Math.floor(x);
  if (rc === 1) return below;
  if (rc === 2) return Math.ceil(x);
  if (rc === 3) return Math.trunc(x);
  return x - below === 0.5 ? below + (below % 2 === 0 ? 0 : 1) : Math.round(x);
};

describe('VCVTPH2PS', () => {
  it('is exact for all numbers, denormals too, without flags', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if ((bits & 0x7c00) === 0x7c00) continue;
      const r = toSingle(bits, MASKED | 0x8040); // FTZ and DAZ mean nothing
      if (r.flags !== 0 || !Object.is(singleOf(r.bits), valueOfHalf(bits))) throw new Error(bits.toString(16));
    }
  });

  it('keeps NaNs, quiet, and tells of signalling ones', () => {
    expect(toSingle(0x7c00)).toEqual({ bits: 0x7f800000, flags: 0 });
    expect(toSingle(0xfe01)).toEqual({ bits: 0xffc02000, flags: 0 });
    expect(toSingle(0x7c01)).toEqual({ bits: 0x7fc02000, flags: IE });
  });
});

describe('VCVTPS2PH', () => {
  it('rounds as asked, with the flags of its result', () => {
    const single = fc
      .tuple(fc.nat(1), fc.integer({ min: 90, max: 150 }), fc.nat(0x7fffff), fc.nat(23))
      .map(
        ([sign, exponent, fraction, zeros]) => ((sign << 31) | (exponent << 23) | ((fraction >> zeros) << zeros)) >>> 0,
      );
    fc.assert(
      fc.property(single, fc.nat(3), (bits, rc) => {
        const x = singleOf(bits);
        const exponent = Math.max(((bits >>> 23) & 255) - 127, -14);
        const unit = 2 ** (exponent - 10);
        const steps = integer(x / unit, rc);
        const rounded = steps === 0 ? 0 * Math.sign(x) : steps * unit;
        const inexact = rounded !== x ? PE : 0;
        // tiny: what 11 bits without a lower bound would have made of it is below the smallest normal number
        const ownUnit = 2 ** (((bits >>> 23) & 255) - 137);
        const tiny = Math.abs(integer(x / ownUnit, rc) * ownUnit) < 2 ** -14;
        const r = toHalf(bits, rc);
        if (Math.abs(rounded) >= 65536) {
          expect(r.flags).toBe(OE | PE);
          expect([0x7c00, 0x7bff]).toContain(r.bits & 0x7fff);
        } else {
          expect([valueOfHalf(r.bits), r.flags]).toEqual([rounded, inexact | (tiny && inexact !== 0 ? UE : 0)]);
        }
      }),
      { seed: 16, numRuns: 20000 },
    );
  });

  it('takes the rounding of MXCSR with bit 2, knows DAZ and DE, ignores FTZ', () => {
    const third = 0x3eaaaaab;
    expect(toHalf(third, 4, MASKED | 0x4000).bits).toBe(toHalf(third, 2).bits);
    expect(toHalf(1, 2)).toEqual({ bits: 1, flags: DE | UE | PE });
    expect(toHalf(1, 2, MASKED | 0x40)).toEqual({ bits: 0, flags: 0 });
    expect(toHalf(0x38000000 - 0x800000, 0, MASKED | 0x8000)).toEqual({ bits: 0x100, flags: 0 });
  });

  it('keeps the upper bits of NaNs and stores nothing when an exception is unmasked', () => {
    expect(toHalf(0x7f802000, 0)).toEqual({ bits: 0x7e01, flags: IE });
    view.setUint16(DST, 0x1234, true);
    expect(toHalf(0x7f802000, 0, 0x1f00)).toEqual({ bits: 0x1234, flags: IE });
  });
});
