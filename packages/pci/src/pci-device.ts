/**
 * A PCI function: its configuration space with write masks, base address registers that map and unmap regions, INTx, MSI.
 * Subclasses fill `config` in their constructor (`setId`), register BARs, and react in `onConfigWritten`.
 *
 * Invariants: bits outside `writable` (and `clearable`) never change by a guest's write; a BAR is mapped exactly when its
 * command bit is set and its address is one that a bus can have. PCI Local Bus Specification 3.0, chapter 6.
 */
import type { MemoryRegion } from '@emkit/memory';
import {
  Device,
  DeviceError,
  type DeviceInit,
  defineVmState,
  field,
  property,
  type PropertySpecs,
  type VmField,
  type VmState,
} from '@emkit/qdev';
import {
  BAR_IO,
  BAR_MEM_64,
  BAR_PREFETCH,
  CAP_MSI,
  COMMAND_INTX_DISABLE,
  COMMAND_IO,
  COMMAND_MASTER,
  COMMAND_MEMORY,
  COMMAND_SERR,
  HEADER_MULTIFUNCTION,
  PciReg,
  ROM_ENABLE,
  STATUS_CAPABILITIES,
  STATUS_INTERRUPT,
  STATUS_W1C,
} from './config-registers.ts';
import { CONFIG_SIZE, MAX_BARS, MAX_MSI_VECTORS } from './limits.ts';
import type { PciBus } from './pci-bus.ts';

/** Properties of every PCI device; spread them into the device's own. */
export const PCI_PROPERTIES = {
  addr: property.str('', 'slot and function, as 04.0 (hexadecimal); empty: the first free slot'),
  multifunction: property.bool(false, 'other functions may be plugged into the same slot'),
} satisfies PropertySpecs;

/** What is saved of every PCI function; embed as `field.struct('pci', PCI_FIELDS)`. */
export interface PciState {
  config: Uint8Array;
  /** The level the function drives, before the INTx disable bit. */
  intx: number;
}
export const PCI_FIELDS: readonly VmField[] = [field.buffer('config', CONFIG_SIZE), field.u8('intx', { max: 1 })];

const PCI_ONLY_VMSTATE = defineVmState<{ pci: PciState }>({
  name: 'pci-device',
  version: 1,
  fields: [field.struct('pci', PCI_FIELDS)],
});

export interface PciId {
  readonly vendor: number;
  readonly device: number;
  /** Class code, subclass and programming interface as 0xCCSSPP. PCI 3.0, Appendix D. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** 1 = INTA# ... 4 = INTD#; 0: none. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
}

export type BarKind = 'io' | 'mem32' | 'mem64';

interface Bar {
  readonly register: number;
  readonly kind: BarKind | 'rom';
  readonly region: MemoryRegion;
  readonly size: number;
  /** Address mapped now, or -1. */
  address: number;
}

export class PciDevice extends Device {
  readonly pci: PciState = { config: new Uint8Array(CONFIG_SIZE), intx: 0 };
  /** Per byte: bits that a guest may set and clear. */
  readonly writable = new Uint8Array(CONFIG_SIZE);
  /** Per byte: bits that a guest clears by writing 1. */
  readonly clearable = new Uint8Array(CONFIG_SIZE);
  override readonly vmstate: VmState = PCI_ONLY_VMSTATE;
  override readonly state: object = { pci: this.pci };
  /** Slot * 8 + function; assigned by the bus. */
  devfn = -1;
  readonly #bars: Bar[] = [];
  #powerOn = new Uint8Array(CONFIG_SIZE);
  #nextCapability = 0x40;
  #msi = 0;

  constructor(init: DeviceInit) {
    super(init);
    const w = this.writable;
    setLe16(w, PciReg.COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_DISABLE);
    setLe16(this.clearable, PciReg.STATUS, STATUS_W1C);
    w[PciReg.CACHE_LINE_SIZE] = 0xff;
    w[PciReg.LATENCY_TIMER] = 0xff;
    w[PciReg.INTERRUPT_LINE] = 0xff;
  }

  get bus(): PciBus {
    return this.parentBus as PciBus;
  }
  get config(): Uint8Array {
    return this.pci.config;
  }
  get vendorAndDevice(): number {
    return this.le32(PciReg.VENDOR_ID);
  }

  le16(register: number): number {
    return (this.config[register] as number) | ((this.config[register + 1] as number) << 8);
  }
  le32(register: number): number {
    return (this.le16(register) | (this.le16(register + 2) << 16)) >>> 0;
  }

  /** Constructor only: the header's fixed part. */
  protected setId(id: PciId): void {
    const c = this.config;
    setLe16(c, PciReg.VENDOR_ID, id.vendor);
    setLe16(c, PciReg.DEVICE_ID, id.device);
    c[PciReg.REVISION_ID] = id.revision ?? 0;
    c[PciReg.PROG_IF] = id.classCode & 0xff;
    setLe16(c, PciReg.SUBCLASS, id.classCode >>> 8);
    setLe16(c, PciReg.SUBSYSTEM_VENDOR_ID, id.subsystemVendor ?? 0);
    setLe16(c, PciReg.SUBSYSTEM_ID, id.subsystem ?? 0);
    c[PciReg.INTERRUPT_PIN] = id.interruptPin ?? 0;
    if (this.properties['multifunction'] === true)
      c[PciReg.HEADER_TYPE] = (c[PciReg.HEADER_TYPE] as number) | HEADER_MULTIFUNCTION;
  }

  /** Constructor or onRealize: register `index` maps `region`, whose size is a power of two (>= 4 for I/O, >= 16 for memory). */
  protected registerBar(index: number, kind: BarKind, region: MemoryRegion, prefetchable = false): void {
    const size = region.size;
    const isPowerOfTwo =
      Number.isInteger(Math.log2(size)) &&
      size >= (kind === 'io' ? 4 : 16) &&
      size <= (kind === 'mem64' ? 2 ** 52 : 2 ** 31);
    if (!isPowerOfTwo || index < 0 || index + (kind === 'mem64' ? 1 : 0) >= MAX_BARS)
      throw new DeviceError(`${this.id}: BAR ${index} of ${size} bytes is not possible`);
    const register = PciReg.BAR0 + index * 4;
    const flags = kind === 'io' ? BAR_IO : (kind === 'mem64' ? BAR_MEM_64 : 0) | (prefetchable ? BAR_PREFETCH : 0);
    this.config[register] = flags;
    setLe32(this.writable, register, size > 2 ** 32 ? 0 : -size);
    if (kind === 'mem64') setLe32(this.writable, register + 4, size > 2 ** 32 ? -(size / 2 ** 32) : -1);
    this.#bars.push({ register, kind, region, size, address: -1 });
  }

  /** The expansion ROM, at least 2 KiB. */
  protected registerRom(region: MemoryRegion): void {
    if (!Number.isInteger(Math.log2(region.size)) || region.size < 2048)
      throw new DeviceError(`${this.id}: an expansion ROM of ${region.size} bytes is not possible`);
    setLe32(this.writable, PciReg.ROM_ADDRESS, -region.size | ROM_ENABLE);
    this.#bars.push({ register: PciReg.ROM_ADDRESS, kind: 'rom', region, size: region.size, address: -1 });
  }

  /** Links a capability of `size` bytes (header included) at the head of the list; returns its offset. §6.7. */
  protected addCapability(id: number, size: number, at = this.#nextCapability): number {
    if (at < 0x40 || at % 4 !== 0 || at + size > CONFIG_SIZE)
      throw new DeviceError(`${this.id}: no room for capability 0x${id.toString(16)}`);
    this.config[at] = id;
    this.config[at + 1] = this.config[PciReg.CAPABILITIES] as number;
    this.config[PciReg.CAPABILITIES] = at;
    setLe16(this.config, PciReg.STATUS, this.le16(PciReg.STATUS) | STATUS_CAPABILITIES);
    this.#nextCapability = Math.max(this.#nextCapability, (at + size + 3) & ~3);
    return at;
  }

  /** A 64-bit MSI capability without per-vector masking, for `vectors` (a power of two) messages. §6.8.1. */
  protected addMsi(vectors: number): void {
    const order = Math.log2(vectors);
    if (!Number.isInteger(order) || vectors > MAX_MSI_VECTORS)
      throw new DeviceError(`${this.id}: ${vectors} MSI vectors are not possible`);
    const at = (this.#msi = this.addCapability(CAP_MSI, 14));
    setLe16(this.config, at + 2, (1 << 7) | (order << 1));
    setLe16(this.writable, at + 2, 0x71); // enable, multiple message enable
    setLe32(this.writable, at + 4, 0xfffffffc);
    setLe32(this.writable, at + 8, 0xffffffff);
    setLe16(this.writable, at + 12, 0xffff);
  }

  /** Has the guest enabled MSI? Then INTx is not used (§6.8.2). */
  get msiEnabled(): boolean {
    return this.#msi !== 0 && ((this.config[this.#msi + 2] as number) & 1) !== 0;
  }

  /** Sends message `vector`; the low bits of the data are replaced as far as the guest enabled (§6.8.1.6). Needs bus mastering. */
  protected notifyMsi(vector: number): void {
    if (!this.msiEnabled || (this.le16(PciReg.COMMAND) & COMMAND_MASTER) === 0) return;
    const at = this.#msi;
    const enabledOrder = Math.min((this.le16(at + 2) >> 4) & 7, (this.le16(at + 2) >> 1) & 7);
    const mask = (1 << enabledOrder) - 1;
    const data = (this.le16(at + 12) & ~mask) | (vector & mask);
    this.bus.deliverMsi(this.le32(at + 4) + this.le32(at + 8) * 2 ** 32, data);
  }

  /** Drives the function's interrupt pin. */
  protected setIntx(level: number | boolean): void {
    this.pci.intx = level ? 1 : 0;
    const status = this.le16(PciReg.STATUS);
    setLe16(this.config, PciReg.STATUS, level ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT);
    this.#driveIntx();
  }

  /** Level on the wire. */
  get intxAsserted(): boolean {
    return this.pci.intx !== 0 && (this.le16(PciReg.COMMAND) & COMMAND_INTX_DISABLE) === 0 && !this.msiEnabled;
  }

  #driveIntx(): void {
    const pin = this.config[PciReg.INTERRUPT_PIN] as number;
    if (pin !== 0 && this.parentBus !== null) this.bus.updateIntx(this.devfn, pin - 1);
  }

  /** Hardware side of a configuration read. `offset + size <= 256`, within one dword. Subclasses may override for live registers. */
  configRead(offset: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.config[offset + i] as number);
    return value;
  }

  /** Hardware side of a configuration write; same bounds. */
  configWrite(offset: number, value: number, size: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const byte = (value >>> (i * 8)) & 0xff;
      const w = this.writable[at] as number;
      const old = this.config[at] as number;
      this.config[at] = ((old & ~w) | (byte & w)) & ~(byte & (this.clearable[at] as number));
    }
    if (offset < PciReg.CAPABILITIES) this.#updateMappings();
    this.#driveIntx();
    this.onConfigWritten(offset, size);
  }

  /** Subclass: bytes `offset` .. `offset + size - 1` may have changed (also after a load, with the whole space). */
  protected onConfigWritten(_offset: number, _size: number): void {}

  #updateMappings(): void {
    if (this.parentBus === null) return;
    for (const bar of this.#bars) {
      const address = this.#barAddress(bar);
      if (address === bar.address) continue;
      bar.address = address;
      const space = bar.kind === 'io' ? this.bus.io : this.bus.memory;
      space.transaction(() => {
        bar.region.unmap();
        if (address >= 0) space.add(address, bar.region, 1);
      });
    }
  }

  /** Where the guest placed it, or -1: decoding is off, or no such place (0, or reaching the last byte, as all-ones does while sizing). */
  #barAddress(bar: Bar): number {
    const command = this.le16(PciReg.COMMAND);
    if ((command & (bar.kind === 'io' ? COMMAND_IO : COMMAND_MEMORY)) === 0) return -1;
    const low = this.le32(bar.register);
    if (bar.kind === 'rom' && (low & ROM_ENABLE) === 0) return -1;
    let address = bar.size > 2 ** 32 ? 0 : low - (low % bar.size);
    if (bar.kind === 'mem64') {
      const high = this.le32(bar.register + 4);
      address += high * 2 ** 32;
      if (high >= 2 ** 20) return -1; // above 52 physical bits
    }
    const end = address + bar.size;
    if (address === 0 || end === 2 ** 32 || (bar.kind === 'io' && end > 0x10000)) return -1;
    return address;
  }

  /** BARs as a list, for `info pci`. */
  listBars(): { index: number; kind: BarKind | 'rom'; address: number; size: number }[] {
    return this.#bars.map((bar) => ({
      index: bar.kind === 'rom' ? MAX_BARS : (bar.register - PciReg.BAR0) / 4,
      kind: bar.kind,
      address: bar.address,
      size: bar.size,
    }));
  }

  /** Called by the bus once slot and configuration are settled. */
  override realize(bus: PciBus): void {
    super.realize(bus);
    this.#powerOn = this.config.slice();
  }

  /** Subclasses that override these call them too. */
  protected override onUnrealize(): void {
    for (const bar of this.#bars) {
      bar.region.unmap();
      bar.address = -1;
    }
    this.pci.intx = 0;
    this.#driveIntx();
  }

  /** §6.2.2: after reset the device is disconnected from the bus for all but configuration. */
  protected override onReset(): void {
    this.config.set(this.#powerOn);
    this.pci.intx = 0;
    this.#updateMappings();
  }

  protected override onResetExit(): void {
    this.#driveIntx();
  }

  /** What a guest cannot change is taken from this device, not from the stream. */
  override onPostLoad(): void {
    for (let at = 0; at < CONFIG_SIZE; at++) {
      const changeable = (this.writable[at] as number) | (this.clearable[at] as number);
      this.config[at] = ((this.config[at] as number) & changeable) | ((this.#powerOn[at] as number) & ~changeable);
    }
    this.setIntx(this.pci.intx);
    this.#updateMappings();
    this.onConfigWritten(0, CONFIG_SIZE);
  }
}

export function setLe16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

export function setLe32(bytes: Uint8Array, offset: number, value: number): void {
  setLe16(bytes, offset, value);
  setLe16(bytes, offset + 2, value >>> 16);
}
