import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BigEndianReader,
  BoundsError,
  GuestPhys,
  LittleEndianReader,
  alignDown,
  alignUp,
  deposit,
  extract,
  isPowerOfTwo,
  pageBase,
  signExtend,
  toSize,
} from './index.ts';

const RUNS = { seed: 1, numRuns: 500 };
const word = fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 });
const field = fc
  .integer({ min: 0, max: 31 })
  .chain((start) => fc.tuple(fc.constant(start), fc.integer({ min: 1, max: 32 - start })));
const size = fc.maxSafeInteger().map(Math.abs);

describe('bit fields', () => {
  it('extracts as shifting and masking in unbounded integers does', () => {
    fc.assert(
      fc.property(word, field, (value, [start, length]) => {
        const expected = (BigInt.asUintN(32, BigInt(value)) >> BigInt(start)) & ((1n << BigInt(length)) - 1n);
        expect(extract(value, start, length)).toBe(Number(expected));
      }),
      RUNS,
    );
  });

  it('reads back what it deposits and leaves the other bits alone', () => {
    fc.assert(
      fc.property(word, field, word, (value, [start, length], bits) => {
        const result = deposit(value, start, length, bits);
        expect(extract(result, start, length)).toBe(extract(bits, 0, length));
        expect(deposit(result, start, length, extract(value, start, length))).toBe(value >>> 0);
      }),
      RUNS,
    );
  });

  it('handles the whole word and the top bit', () => {
    expect(extract(0xdead_beef, 0, 32)).toBe(0xdead_beef);
    expect(extract(-1, 31, 1)).toBe(1);
    expect(deposit(0, 0, 32, -1)).toBe(0xffff_ffff);
  });

  it('extends signs at each width', () => {
    expect(signExtend(0xff, 8)).toBe(-1);
    expect(signExtend(0x7f, 8)).toBe(127);
    expect(signExtend(0x1_8000, 16)).toBe(-32768);
    expect(signExtend(0xffff_ffff, 32)).toBe(-1);
    expect(signExtend(1, 1)).toBe(-1);
  });
});

describe('alignment', () => {
  it('brackets the value by multiples, above 4 GiB too', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 }), fc.integer({ min: 1, max: 2 ** 40 }), (value, alignment) => {
        const down = alignDown(value, alignment);
        const up = alignUp(value, alignment);
        expect(down % alignment).toBe(0);
        expect(up % alignment).toBe(0);
        expect(down <= value && value < down + alignment).toBe(true);
        expect(up >= value && up - value < alignment).toBe(true);
      }),
      RUNS,
    );
  });

  it('knows exactly the powers of two', () => {
    for (let bit = 0; bit <= 52; bit++) {
      expect(isPowerOfTwo(2 ** bit)).toBe(true);
      if (bit > 1) expect(isPowerOfTwo(2 ** bit - 1)).toBe(false);
      if (bit > 0) expect(isPowerOfTwo(2 ** bit + 1)).toBe(false);
    }
    for (const value of [0, -1, -2, 0.5, 1.5, NaN, Infinity, 2 ** 53]) expect(isPowerOfTwo(value)).toBe(false);
    expect(isPowerOfTwo(2 ** 40 + 2 ** 33)).toBe(false);
  });

  it('lets only integers within the limit through toSize', () => {
    expect(toSize(0, 10, 'n')).toBe(0);
    expect(toSize(10n, 10, 'n')).toBe(10);
    for (const value of [11, -1, 0.5, NaN, Infinity, 1n << 64n, -1n])
      expect(() => toSize(value, 10, 'n')).toThrow(BoundsError);
    expect(() => toSize(2 ** 53, 2 ** 60, 'cluster count')).toThrow(/cluster count is 9007199254740992/);
  });
});

describe('guest physical addresses', () => {
  it('takes the page base without cutting to 32 bits', () => {
    expect(pageBase(GuestPhys(0x1_2345_6789))).toBe(0x1_2345_6000);
    expect(pageBase(GuestPhys(2 ** 52 - 1))).toBe(2 ** 52 - 4096);
  });

  it('refuses what is no address', () => {
    for (const value of [-1, 0.5, 2 ** 52, NaN]) expect(() => GuestPhys(value)).toThrow(BoundsError);
  });
});

describe('endian readers', () => {
  const bytes = Uint8Array.of(0xff, 0x80, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x87);

  it('reads each width in its order', () => {
    const le = new LittleEndianReader(bytes);
    const be = new BigEndianReader(bytes);
    expect([le.u8(0), le.i8(0), le.u16(0), le.i16(0), le.u32(1), le.i32(0)]).toEqual([
      255, -1, 0x80ff, -32513, 0x03020180, 0x020180ff,
    ]);
    expect(le.u64(1)).toBe(0x8706050403020180n);
    expect([be.u16(0), be.i16(0), be.u32(1)]).toEqual([0xff80, -128, 0x80010203]);
    expect(be.u64(0)).toBe(0xff80010203040506n);
  });

  it('views bytes without copying, also inside a larger buffer', () => {
    const inner = new LittleEndianReader(bytes.subarray(2, 6), 'inner');
    expect(inner.u32(0)).toBe(0x04030201);
    expect([...inner.bytes(1, 2)]).toEqual([2, 3]);
    expect(inner.bytes(4, 0).length).toBe(0);
    expect(() => inner.u8(4)).toThrow(/inner: 1 byte\(s\) at offset 4 are outside its 4 bytes/);
  });

  it('refuses 64-bit sizes that a number cannot hold', () => {
    expect(new LittleEndianReader(Uint8Array.of(255, 255, 255, 255, 255, 255, 31, 0)).size64(0)).toBe(
      Number.MAX_SAFE_INTEGER,
    );
    expect(() => new LittleEndianReader(Uint8Array.of(0, 0, 0, 0, 0, 0, 32, 0)).size64(0)).toThrow(BoundsError);
  });

  it('fuzz: any offset and length either agrees with the bytes or throws BoundsError with the offset', () => {
    const offset = fc.oneof(fc.integer({ min: -4, max: 40 }), size, fc.double());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 32 }), offset, offset, (data, at, length) => {
        const reader = new BigEndianReader(data);
        const inside =
          Number.isInteger(at) && at >= 0 && Number.isInteger(length) && length >= 0 && at + length <= data.length;
        try {
          expect([...reader.bytes(at, length)]).toEqual([...data.slice(at, at + length)]);
          expect(inside).toBe(true);
        } catch (error) {
          if (!(error instanceof BoundsError)) throw error;
          expect(inside).toBe(false);
          expect(error.offset).toBe(at);
        }
      }),
      RUNS,
    );
  });
});
