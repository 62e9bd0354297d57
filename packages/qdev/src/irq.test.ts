import { describe, expect, it } from 'vitest';
import { invertIrq, Irq, orIrqs, splitIrq } from './index.ts';

describe('Irq', () => {
  it('forwards every level, also an unchanged one, and drives the present level on connecting', () => {
    const seen: number[] = [];
    const line = new Irq('line');
    line.raise();
    line.connect((level) => seen.push(level));
    line.set(5);
    line.pulse();
    expect(seen).toEqual([1, 1, 1, 0]);
    expect(() => line.connect(() => {})).toThrow('already connected');
  });

  it('splits, combines and inverts', () => {
    const a: number[] = [];
    const b: number[] = [];
    const both = splitIrq('both', [(level) => a.push(level), new Irq('b', (level) => b.push(level))]);
    both.raise();
    expect([a, b]).toEqual([[1], [1]]);

    const shared: number[] = [];
    const [x, y] = orIrqs('shared', 2, (level) => shared.push(level)) as [Irq, Irq];
    x.raise();
    y.raise();
    x.lower();
    y.lower();
    expect(shared).toEqual([1, 1, 1, 0]);

    const inverted: number[] = [];
    const line = invertIrq('not', (level) => inverted.push(level));
    line.lower();
    line.raise();
    expect(inverted).toEqual([1, 0]);
  });
});
