/**
 * A host whose time moves only when told: for tests of devices and for deterministic replay. Nothing in it depends on
 * real time, so the same calls give the same run.
 */
import { AioError } from './aio-error.ts';
import type { AioHost } from './host.ts';

interface Pending {
  readonly due: number;
  readonly callback: () => void;
}

export class ManualHost implements AioHost {
  private time = 0;
  private readonly epochMs: number;
  private pending: Pending[] = [];

  /** `epochMs` is the wall-clock time (ms since 1970) at time 0. */
  constructor(epochMs = 0) {
    this.epochMs = epochMs;
  }

  monotonicNs(): number {
    return this.time;
  }

  wallClockMs(): number {
    return this.epochMs + Math.floor(this.time / 1_000_000);
  }

  schedule(delayNs: number, callback: () => void): () => void {
    const entry: Pending = { due: this.time + Math.max(0, delayNs), callback };
    this.pending.push(entry);
    return () => {
      this.pending = this.pending.filter((other) => other !== entry);
    };
  }

  /** Blocking lets the time pass, and nothing else. */
  block(ns: number): void {
    this.time += Math.ceil(ns);
  }

  /** Let `ns` pass, calling what falls due in order of time, then of scheduling. */
  advance(ns: number): void {
    if (!Number.isSafeInteger(ns) || ns < 0) throw new AioError('bad-time', `cannot advance by ${ns} ns`);
    const end = this.time + ns;
    for (let next = this.earliest(end); next !== undefined; next = this.earliest(end)) {
      const entry = next;
      this.pending = this.pending.filter((other) => other !== entry);
      this.time = Math.max(this.time, entry.due);
      entry.callback();
    }
    this.time = end;
  }

  private earliest(end: number): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.pending)
      if (entry.due <= end && (best === undefined || entry.due < best.due)) best = entry;
    return best;
  }
}
