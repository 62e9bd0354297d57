/** A debugger's breakpoints and watchpoints on one accelerator, beside the guest's own debug registers. */

export interface DebugWatch {
  readonly address: number;
  readonly length: number;
  readonly read: boolean;
  readonly write: boolean;
}

/** Addresses in the pages that a range touches, one in each. */
export function pageAddresses({ address, length }: Pick<DebugWatch, 'address' | 'length'>): number[] {
  const pages: number[] = [];
  for (let p = address - (address & 4095); p < address + length; p += 4096) pages.push(p);
  return pages;
}

export class DebugPoints {
  /** Linear pcs to stop before. */
  readonly breakpoints = new Set<number>();
  readonly watches: DebugWatch[] = [];
  /** The watch that was hit last. */
  hit: { address: number; write: boolean } | null = null;

  get active(): boolean {
    return this.breakpoints.size > 0 || this.watches.length > 0;
  }

  setBreakpoints(pcs: Iterable<number>): void {
    this.breakpoints.clear();
    for (const pc of pcs) this.breakpoints.add(pc);
  }

  /** Must execution stop before this linear pc? */
  stopsAt(linear: number): boolean {
    return this.breakpoints.size > 0 && this.breakpoints.has(linear);
  }

  /** Bytes from a linear address to the next breakpoint after it; infinite when there is none. */
  distance(linear: number): number {
    let best = Infinity;
    for (const pc of this.breakpoints) if (pc > linear && pc < best) best = pc;
    return best - linear;
  }

  /** Note an access; true when a watch was hit. */
  touch(lin: number, size: number, write: boolean): boolean {
    for (const w of this.watches) {
      if (lin < w.address + w.length && w.address < lin + size && (write ? w.write : w.read)) {
        this.hit = { address: lin, write };
        return true;
      }
    }
    return false;
  }
}
