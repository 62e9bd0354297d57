/**
 * Programmable attribute map: which of RAM and PCI (where the ROMs are) answers in 0xC0000-0xFFFFF. One window has one of
 * four attributes; reads and writes are steered apart, which is how firmware copies a ROM into the RAM below it.
 * 82441FX §3.2.18 "PAM[6:0] - Programmable Attribute Map Registers".
 */
import { AddressSpace, MemoryRegion } from '@emkit/memory';

export const PAM_READ = 1 << 0;
export const PAM_WRITE = 1 << 1;

export interface PamBuses {
  /** Where the windows are shown, above RAM. */
  readonly system: MemoryRegion;
  /** RAM with address 0 at offset 0. */
  readonly ram: MemoryRegion;
  readonly pci: MemoryRegion;
}

export interface PamViews {
  readonly pci: AddressSpace;
  readonly ram: AddressSpace;
}

export function createPamViews(buses: PamBuses): PamViews {
  return {
    pci: new AddressSpace({ name: 'pam-pci', root: buses.pci }),
    ram: new AddressSpace({ name: 'pam-ram', root: buses.ram }),
  };
}

export class PamWindow {
  readonly base: number;
  readonly size: number;
  /** By attribute: neither, read, write, both. Exactly one is enabled. */
  readonly #regions: readonly MemoryRegion[];
  readonly #system: MemoryRegion;
  #attribute = 0;

  /** `views`: the PCI side and the RAM side alone, shared by all windows. */
  constructor(base: number, size: number, buses: PamBuses, views: PamViews) {
    this.base = base;
    this.size = size;
    this.#system = buses.system;
    const window = { offset: base, size };
    this.#regions = [
      MemoryRegion.alias('pam-pci', buses.pci, window),
      MemoryRegion.alias('pam-rom', buses.ram, { ...window, readonly: true }),
      MemoryRegion.io('pam-write-only', size, {
        read: (offset, width) => readFrom(views.pci, base + offset, width),
        write: (offset, value, width) => writeTo(views.ram, base + offset, value, width),
        valid: { unaligned: true },
      }),
      MemoryRegion.alias('pam-ram', buses.ram, window),
    ];
  }

  /** Shows the window in the system map. */
  map(): void {
    this.#regions.forEach((region, attribute) => {
      region.setEnabled(attribute === this.#attribute);
      this.#system.add(this.base, region, 1);
    });
  }

  unmap(): void {
    for (const region of this.#regions) region.unmap();
  }

  /** `attribute`: PAM_READ and PAM_WRITE. */
  set(attribute: number): void {
    if (attribute === this.#attribute) return;
    this.#system.transaction(() => {
      this.#regions[this.#attribute]?.setEnabled(false);
      this.#regions[attribute]?.setEnabled(true);
    });
    this.#attribute = attribute;
  }
}

function readFrom(space: AddressSpace, address: number, width: number): number {
  return width === 1 ? space.read8(address) : width === 2 ? space.read16(address) : space.read32(address);
}

function writeTo(space: AddressSpace, address: number, value: number, width: number): void {
  if (width === 1) space.write8(address, value);
  else if (width === 2) space.write16(address, value);
  else space.write32(address, value);
}
