import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter, u32ByteLength } from './byte-writer.ts';
import { WasmEncodeError } from './errors.ts';

const RUNS = { seed: 2, numRuns: 1000 };

function written(write: (out: ByteWriter) => void): number[] {
  const out = new ByteWriter(1);
  out.reserve(16);
  write(out);
  return [...out.toBytes()];
}

/** LEB128 from its definition (spec §5.2.2), on unbounded integers. */
function leb(value: bigint, signed: boolean): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = Number(value & 0x7fn);
    value >>= 7n;
    const done = signed ? (value === 0n && (low & 0x40) === 0) || (value === -1n && (low & 0x40) !== 0) : value === 0n;
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const edges = (bits: number): bigint[] =>
  Array.from({ length: bits }, (_, i) => 1n << BigInt(i)).flatMap((power) => [
    power - 1n,
    power,
    power + 1n,
    -power - 1n,
    -power,
    -power + 1n,
  ]);

describe('LEB128', () => {
  it('agrees with the definition at every power of two', () => {
    for (const value of edges(64)) {
      if (value >= 0n && value < 1n << 32n) {
        expect(written((out) => out.putU32(Number(value)))).toEqual(leb(value, false));
        expect(u32ByteLength(Number(value))).toBe(leb(value, false).length);
      }
      if (value >= -(1n << 31n) && value < 1n << 31n)
        expect(written((out) => out.putS32(Number(value)))).toEqual(leb(value, true));
      const s64 = BigInt.asIntN(64, value);
      const [lo, hi] = [Number(s64 & 0xffff_ffffn), Number(s64 >> 32n)];
      expect(written((out) => out.putS64Parts(lo, hi))).toEqual(leb(s64, true));
      expect(written((out) => out.putS64Parts(lo | 0, hi >>> 0))).toEqual(leb(s64, true));
    }
  });

  it('property: agrees with the definition on random numbers', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (lo, hi) => {
        expect(written((out) => out.putS32(lo))).toEqual(leb(BigInt(lo), true));
        expect(written((out) => out.putU32(lo >>> 0))).toEqual(leb(BigInt(lo >>> 0), false));
        expect(written((out) => out.putS64Parts(lo, hi))).toEqual(leb((BigInt(hi) << 32n) | BigInt(lo >>> 0), true));
      }),
      RUNS,
    );
  });

  it('refuses numbers outside the range', () => {
    for (const value of [-1, 0.5, NaN, 2 ** 32])
      expect(() => written((out) => out.putU32(value))).toThrow(WasmEncodeError);
    for (const value of [-(2 ** 31) - 1, 0.5, NaN, 2 ** 32])
      expect(() => written((out) => out.putS32(value))).toThrow(WasmEncodeError);
    expect(written((out) => out.putS32(0xffff_ffff))).toEqual([0x7f]);
  });
});

describe('names', () => {
  it('are UTF-8 with their length', () => {
    expect(written((out) => out.name('aé€😀'))).toEqual([
      10, 0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80,
    ]);
    expect(() => written((out) => out.name('\ud800'))).toThrow(WasmEncodeError);
  });
});

it('grows without losing what was written', () => {
  const out = new ByteWriter(1);
  for (let i = 0; i < 5000; i++) out.u8(i & 0xff);
  out.append(Uint8Array.of(1, 2, 3));
  expect([out.length, out.toBytes().every((byte, i) => byte === (i < 5000 ? i & 0xff : i - 4999))]).toEqual([
    5003,
    true,
  ]);
});
