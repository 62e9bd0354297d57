/**
 * User pages that supervisor code has reached while EFLAGS.AC lifted CR4.SMAP: their TLB entries must go when AC is cleared,
 * since a hit in the TLB looks at no flags. Without AC no such entries are made, so setting it needs nothing.
 * SDM Vol. 3A §4.6.1 "Determination of Access Rights". A short list; when it is full, everything is flushed.
 */
import type { X86Cpu } from '../cpu.ts';

const CAPACITY = 64;

export class SmapPages {
  /** Pages in the list; beyond CAPACITY: unknown ones too. */
  count = 0;
  readonly #cpu: X86Cpu;
  readonly #pages = new Float64Array(CAPACITY);

  constructor(cpu: X86Cpu) {
    this.#cpu = cpu;
  }

  /** An entry for this page is about to be made. Hot path. */
  add(lin: number): void {
    const page = this.#cpu.linear.page(lin);
    if (this.count > CAPACITY) return;
    for (let i = 0; i < this.count; i++) if (this.#pages[i] === page) return;
    if (this.count < CAPACITY) this.#pages[this.count] = page;
    this.count++;
  }

  /** AC has been cleared. */
  forget(): void {
    const { host, linear } = this.#cpu;
    if (this.count > CAPACITY) host.flushTlb(true);
    else {
      for (let i = 0; i < this.count; i++) {
        const address = linear.ofPage(this.#pages[i]);
        if (host.forgetSupervisorPage !== undefined) host.forgetSupervisorPage(address);
        else host.flushTlbPage(address);
      }
    }
    this.count = 0;
  }

  /** The whole TLB is empty. */
  clear(): void {
    this.count = 0;
  }
}
