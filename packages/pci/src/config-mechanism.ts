/**
 * Configuration mechanism #1: CONFIG_ADDRESS at port 0xCF8, CONFIG_DATA at 0xCFC-0xCFF. PCI 3.0 §3.2.2.3.2.
 * Only a whole dword reaches CONFIG_ADDRESS; narrower accesses at 0xCF8-0xCFB belong to other devices, or to nobody.
 */
import { MemoryRegion } from '@emkit/memory';
import { field, type VmField } from '@emkit/qdev';
import type { PciBus } from './pci-bus.ts';

export const CONFIG_ADDRESS_PORT = 0xcf8;
export const CONFIG_DATA_PORT = 0xcfc;
const CONFIG_ENABLE = 0x80000000;
/** Bits 30-24 and 1-0 are reserved and read as 0. */
const CONFIG_ADDRESS_MASK = 0x80fffffc;

/** Saved with the host bridge: `field.struct('configMechanism', CONFIG_MECHANISM_FIELDS)`. */
export interface ConfigMechanismState {
  address: number;
}
export const CONFIG_MECHANISM_FIELDS: readonly VmField[] = [field.u32('address')];

export class ConfigMechanism {
  readonly state: ConfigMechanismState = { address: 0 };
  readonly addressRegion: MemoryRegion;
  readonly dataRegion: MemoryRegion;
  readonly #bus: PciBus;

  constructor(bus: PciBus) {
    this.#bus = bus;
    this.addressRegion = MemoryRegion.io('pci-conf-idx', 4, {
      read: () => this.state.address,
      write: (_offset, value) => void (this.state.address = (value & CONFIG_ADDRESS_MASK) >>> 0),
      valid: { min: 4, max: 4 },
      keepsWhole: true,
    });
    this.dataRegion = MemoryRegion.io('pci-conf-data', 4, {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, value, size) => this.#write(offset, value, size),
    });
  }

  map(io: MemoryRegion): void {
    io.add(CONFIG_ADDRESS_PORT, this.addressRegion);
    io.add(CONFIG_DATA_PORT, this.dataRegion);
  }

  unmap(): void {
    this.addressRegion.unmap();
    this.dataRegion.unmap();
  }

  /** Function addressed on bus 0, or -1 (disabled, or another bus: there are no bridges). */
  #target(): number {
    const address = this.state.address;
    return (address & CONFIG_ENABLE) !== 0 && ((address >>> 16) & 0xff) === 0 ? (address >>> 8) & 0xff : -1;
  }

  #read(offset: number, size: number): number {
    const devfn = this.#target();
    return devfn < 0 ? 0xffffffff : this.#bus.configRead(devfn, (this.state.address & 0xfc) + offset, size);
  }

  #write(offset: number, value: number, size: number): void {
    const devfn = this.#target();
    if (devfn >= 0) this.#bus.configWrite(devfn, (this.state.address & 0xfc) + offset, value, size);
  }
}
