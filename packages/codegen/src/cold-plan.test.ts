import { I32, IrBuilder } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { ColdPlan, IN_PLACE, LAST_USE, SLOT, VALUE_WORDS } from './cold-plan.ts';
import { ENV_BASE } from './layout.ts';

const GLOBALS = [
  { name: 'a', type: I32, offset: 0 },
  { name: 'b', type: I32, offset: 8 },
  // two that share 8 bytes
  { name: 'c', type: I32, offset: 16 },
  { name: 'd', type: I32, offset: 20 },
] as const;
const [A, B, C] = [0, 1, 2];
const slot = (global: number): number => ENV_BASE + GLOBALS[global]!.offset;

/** What the plan says of the value that `build` gives. */
function planned(build: (b: IrBuilder) => number): { inPlace: number; slot: number; lastUse: number; last: number } {
  const b = new IrBuilder(GLOBALS);
  b.reset();
  b.insnStart(0x1000);
  const v = build(b);
  if (!b.terminated) b.jmp(0x2000);
  const plan = new ColdPlan(GLOBALS);
  const block = b.finish();
  plan.make(block);
  const word = (n: number): number => plan.values[v * VALUE_WORDS + n]!;
  return { inPlace: word(IN_PLACE), slot: word(SLOT), lastUse: word(LAST_USE), last: block.count - 1 };
}

describe('values in the slots of globals', () => {
  it('a sum goes where it is set', () => {
    const sum = (b: IrBuilder): number => b.add(b.get(A), b.get(B));
    const p = planned((b) => {
      const v = sum(b);
      b.set(A, v);
      return v;
    });
    expect(p.inPlace).toBe(slot(A));
    expect(planned(sum).inPlace).toBe(0);
  });

  it('not while the block may be left before the set', () => {
    const p = planned((b) => {
      const v = b.add(b.get(A), b.i32(1));
      b.load('ld32', b.get(B));
      b.set(A, v);
      return v;
    });
    expect(p.inPlace).toBe(0);
  });

  it('a load too, which has written nothing where it leaves', () => {
    const p = planned((b) => {
      const v = b.load('ld32', b.get(B));
      b.set(A, v);
      return v;
    });
    expect(p.inPlace).toBe(slot(A));
  });

  it('not while somebody reads what the global was before', () => {
    const p = planned((b) => {
      const before = b.get(A);
      const v = b.add(before, b.get(B));
      b.set(A, v);
      b.br(b.ltS(before, b.get(B)), 0x2000, 0x3000);
      return v;
    });
    expect(p.inPlace).toBe(0);
  });

  it('the second set has it where the first one cannot', () => {
    const p = planned((b) => {
      const before = b.get(A);
      const v = b.add(before, b.i32(5));
      b.set(A, v);
      b.set(B, v);
      b.br(b.ltS(before, b.i32(7)), 0x2000, 0x3000);
      return v;
    });
    expect(p.inPlace).toBe(slot(B));
  });

  it('not where a neighbour would be overwritten', () => {
    const p = planned((b) => {
      const v = b.add(b.get(A), b.get(B));
      b.set(C, v);
      return v;
    });
    expect(p.inPlace).toBe(0);
  });
});

describe('reads of globals', () => {
  it('are the slot until the global changes', () => {
    const p = planned((b) => {
      const v = b.get(A);
      b.set(B, b.add(v, b.i32(1)));
      b.set(A, b.i32(0));
      return v;
    });
    expect(p.slot).toBe(slot(A));
  });

  it('are copies when they are wanted afterwards', () => {
    const p = planned((b) => {
      const v = b.get(A);
      b.set(A, b.i32(0));
      b.load('ld32', b.get(B));
      b.br(v, 0x2000, 0x3000);
      return v;
    });
    expect(p.slot).toBe(0);
    expect(p.lastUse).toBe(p.last);
  });

  it('are copies across a helper in script', () => {
    const p = planned((b) => {
      const v = b.get(A);
      b.callj(1);
      b.br(v, 0x2000, 0x3000);
      return v;
    });
    expect(p.slot).toBe(0);
  });
});
