import { F32, F64, I32, I64, IrBuilder, OPS, V128 } from '@emkit/ir';
import type { GlobalDef, OpDef, Value } from '@emkit/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXIT_KIND, GUEST_PAGE, TierRunner } from './tiers.test-support.ts';

/** Three sources and a destination of each kind that a global can have. */
const GLOBALS: readonly GlobalDef[] = [
  ...[0, 1, 2, 3].map((n): GlobalDef => ({ name: `i${n}`, type: I32, offset: n * 8 })),
  ...[0, 1, 2, 3].map((n): GlobalDef => ({ name: `l${n}`, type: I64, offset: 32 + n * 8 })),
  ...[0, 1, 2, 3].map((n): GlobalDef => ({ name: `v${n}`, type: V128, offset: 64 + n * 16 })),
];
const SLOT: Readonly<Record<number, number>> = { [I32]: 0, [I64]: 4, [V128]: 8 };

const pureOps = OPS.filter((o) => o.effect === 'pure' && o.ins.length > 0);
const lanesOf = (name: string): number =>
  16 / { i8x16: 1, i16x8: 2, i32x4: 4, i64x2: 8, f32x4: 4, f64x2: 8 }[name.split('_')[0]]!;

/** An operand of any type, read from the sources. */
function operand(b: IrBuilder, type: number, n: number): Value {
  if (type === F32) return b.emit(OPS.find((o) => o.name === 'f32_reinterpret_i32')!.id, b.get(SLOT[I32] + n));
  if (type === F64) return b.emit(OPS.find((o) => o.name === 'f64_reinterpret_i64')!.id, b.get(SLOT[I64] + n));
  return b.get(SLOT[type] + n);
}
function store(b: IrBuilder, type: number, v: Value): void {
  if (type === F32) b.set(3, b.emit(OPS.find((o) => o.name === 'i32_reinterpret_f32')!.id, v));
  else if (type === F64) b.set(7, b.emit(OPS.find((o) => o.name === 'i64_reinterpret_f64')!.id, v));
  else b.set(SLOT[type] + 3, v);
}

function buildOp(o: OpDef, lane: number, lanes: Uint8Array): ReturnType<IrBuilder['finish']> {
  const b = new IrBuilder(GLOBALS);
  b.insnStart(0x1000);
  const args = o.ins.map((type, n) => operand(b, type, n));
  // a divisor is never zero, and never -1 (overflow): the frontend guards it
  if (/^i\d+_(div|rem)/.test(o.name)) args[1] = b.or(b.and(args[1], b.int(o.ins[1], 0xff)), b.int(o.ins[1], 1));
  const v =
    o.name === 'i8x16_shuffle'
      ? b.shuffle(args[0], args[1], lanes)
      : b.emit(o.id, args[0] ?? -1, args[1] ?? -1, args[2] ?? -1, lane);
  store(b, o.out, v);
  b.jmp(0x1010);
  return b.finish();
}

/** NaN payloads of float arithmetic are the engine's choice: compare NaNs as equal. */
function normal(o: OpDef, view: DataView, address: number): string {
  const type = o.out;
  if (type === F32 || (type === V128 && o.name.startsWith('f32x4')))
    return Array.from(
      { length: type === V128 ? 4 : 1 },
      (_, n) =>
        String(view.getFloat32(address + 4 * n, true)) +
        (Number.isNaN(view.getFloat32(address + 4 * n, true)) ? '' : view.getInt32(address + 4 * n, true)),
    ).join();
  if (type === F64 || (type === V128 && o.name.startsWith('f64x2')))
    return Array.from(
      { length: type === V128 ? 2 : 1 },
      (_, n) =>
        String(view.getFloat64(address + 8 * n, true)) +
        (Number.isNaN(view.getFloat64(address + 8 * n, true)) ? '' : view.getBigInt64(address + 8 * n, true)),
    ).join();
  const size = type === I32 ? 4 : type === I64 ? 8 : 16;
  return Array.from({ length: size }, (_, n) => view.getUint8(address + n)).join();
}

describe('every pure op, cold against hot', () => {
  const cold = new TierRunner(GLOBALS);
  const hot = new TierRunner(GLOBALS);
  it.each(pureOps.map((o) => [o.name, o] as const))('%s', (_name, o) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 128, maxLength: 128 }),
        fc.nat(255),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (bytes, n, lanes) => {
          const lane = /_lane/.test(o.name) ? n % lanesOf(o.name) : 0;
          const block = buildOp(
            o,
            lane,
            lanes.map((x) => x & 31),
          );
          for (const r of [cold, hot]) r.u8.set(bytes, r.address(0));
          cold.cold(block);
          expect(hot.hot(block)).toBe(EXIT_KIND.JUMP);
          const at = cold.address(o.out === I32 || o.out === F32 ? 3 : o.out === I64 || o.out === F64 ? 7 : 11);
          expect(normal(o, hot.view, at)).toBe(normal(o, cold.view, at));
        },
      ),
      {
        numRuns: 8,
        seed: 1,
        examples: [
          [new Uint8Array(128).fill(0x80), 0, new Uint8Array(16)],
          [new Uint8Array(128), 1, new Uint8Array(16)],
        ],
      },
    );
  });
});

describe('guest memory', () => {
  const block = (build: (b: IrBuilder) => void): ReturnType<IrBuilder['finish']> => {
    const b = new IrBuilder(GLOBALS);
    b.insnStart(0x1000);
    build(b);
    b.jmp(0x1004);
    return b.finish();
  };
  const copy = block((b) => {
    b.set(3, b.add(b.load('ld32', b.add(b.get(0), b.i32(4))), b.load('ld8u', b.add(b.get(0), b.i32(1)))));
  });
  it('loads through one check for several offsets of a base', () => {
    for (const tier of ['cold', 'hot'] as const) {
      const r = new TierRunner(GLOBALS);
      r.view.setUint32(GUEST_PAGE + 0x104, 0x11223344, true);
      r.u8[GUEST_PAGE + 0x101] = 5;
      r.view.setInt32(r.address(0), 0x100, true);
      r[tier](copy);
      expect(r.view.getInt32(r.address(3), true)).toBe(0x11223349);
      expect(r.slowAccesses).toBe(0);
    }
  });
  it('leaves a region on a miss with nothing changed, and calls out of the interpreter', () => {
    for (const address of [0x1000, 0xffd, -4]) {
      const hot = new TierRunner(GLOBALS);
      hot.view.setInt32(hot.address(0), address, true);
      hot.view.setInt32(hot.address(3), 77, true);
      expect(hot.hot(copy)).toBe(EXIT_KIND.COLD);
      expect(hot.view.getInt32(hot.address(3), true)).toBe(77);
      const cold = new TierRunner(GLOBALS);
      cold.view.setInt32(cold.address(0), address, true);
      cold.cold(copy);
      expect(cold.slowAccesses).toBe(1);
    }
  });
  it('stores of every size', () => {
    const b = block((x) => {
      const a = x.get(0);
      x.store('st8', a, x.get(1));
      x.store('st16', x.add(a, x.i32(2)), x.get(1));
      x.store('st32', x.add(a, x.i32(4)), x.get(1));
      x.store('st64', x.add(a, x.i32(8)), x.get(4));
      x.store('st128', x.add(a, x.i32(16)), x.get(8));
    });
    const images = (['cold', 'hot'] as const).map((tier) => {
      const r = new TierRunner(GLOBALS);
      for (let n = 0; n < 128; n++) r.u8[r.address(0) + n] = n * 7 + 1;
      r.view.setInt32(r.address(0), 0x203, true);
      r[tier](b);
      return r.u8.slice(GUEST_PAGE + 0x200, GUEST_PAGE + 0x240).join();
    });
    expect(images[1]).toBe(images[0]);
    expect(images[0]).toContain('9'); // not all zero
  });
});

describe('guards and calls', () => {
  it('raises in the cold tier and leaves the hot one', () => {
    const b = new IrBuilder(GLOBALS);
    b.insnStart(0x1000);
    b.raiseIf(b.eqz(b.get(0)), 6);
    b.set(3, b.i32(1));
    b.jmp(4);
    const block = b.finish();
    const cold = new TierRunner(GLOBALS);
    cold.cold(block);
    expect(cold.calls).toEqual(['raise 6']);
    expect(new TierRunner(GLOBALS).hot(block)).toBe(EXIT_KIND.COLD);
    const passing = new TierRunner(GLOBALS);
    passing.view.setInt32(passing.address(0), 9, true);
    passing.cold(block);
    expect(passing.view.getInt32(passing.address(3), true)).toBe(1);
  });
  it('hands arguments to script helpers and takes their result', () => {
    const b = new IrBuilder(GLOBALS);
    b.insnStart(0x1000);
    b.set(3, b.callj(40, b.get(0)));
    b.jmp(4);
    const r = new TierRunner(GLOBALS);
    r.view.setInt32(r.address(0), 2, true);
    r.cold(b.finish());
    expect(r.calls).toEqual(['callj 40 2']);
    expect(r.view.getInt32(r.address(3), true)).toBe(42);
  });
});
