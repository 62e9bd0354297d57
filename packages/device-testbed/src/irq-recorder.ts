/** Receives interrupt lines and remembers what happened on them. */
import { Irq, type DeviceClock } from '@emkit/qdev';

export interface IrqChange {
  readonly line: number;
  readonly level: number;
  readonly time: number;
}

/** Older changes are forgotten beyond this many. */
export const MAX_RECORDED_CHANGES = 10_000;

export class IrqRecorder {
  readonly lines: readonly Irq[];
  /** Level now, per line. */
  readonly levels: number[];
  /** Rising edges so far, per line. */
  readonly edges: number[];
  /** Real changes only: driving the present level again is not one. */
  readonly changes: IrqChange[] = [];

  constructor(name: string, count: number, clock: DeviceClock) {
    this.levels = new Array<number>(count).fill(0);
    this.edges = new Array<number>(count).fill(0);
    this.lines = Array.from(
      { length: count },
      (_, line) =>
        new Irq(`${name}[${line}]`, (level) => {
          if (this.levels[line] === level) return;
          this.levels[line] = level;
          if (level === 1) this.edges[line] = (this.edges[line] as number) + 1;
          if (this.changes.length >= MAX_RECORDED_CHANGES) this.changes.shift();
          this.changes.push({ line, level, time: clock.now() });
        }),
    );
  }

  /** Forgets changes and counts; levels stay. */
  clear(): void {
    this.changes.length = 0;
    this.edges.fill(0);
  }
}
