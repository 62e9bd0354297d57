/** The page of memory where the registers show in xAPIC mode; software may move it. */
import { MemoryRegion } from '@emkit/memory';

const SIZE = 0x1000;

export class RegisterWindow {
  readonly #region: MemoryRegion;
  #mappedAt = -1;

  /** `read` and `write` take the number of a register: offset / 16. Other offsets read 0. */
  constructor(read: (reg: number) => number, write: (reg: number, value: number) => void) {
    this.#region = MemoryRegion.io('apic', SIZE, {
      read: (offset) => (offset & 0xf ? 0 : read(offset >> 4)),
      write: (offset, value) => {
        if ((offset & 0xf) === 0) write(offset >> 4, value);
      },
      impl: { min: 4, max: 4 },
    });
  }

  /** At this address from now on; -1: nowhere. */
  move(memory: MemoryRegion, address: number): void {
    if (address === this.#mappedAt) return;
    this.#mappedAt = address;
    memory.transaction(() => {
      this.#region.unmap();
      if (address >= 0) memory.add(address, this.#region, SIZE);
    });
  }

  remove(): void {
    this.#region.unmap();
    this.#mappedAt = -1;
  }
}
