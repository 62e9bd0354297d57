/**
 * A PCI bus: 256 functions, the regions in which their BARs appear, and interrupt routing. INTx pins of all functions
 * are wired onto four lines; which pin drives which line is the board's choice (`mapIntx`).
 * Not here: PCI-to-PCI bridges, PCI Express, hot-plug signalling.
 */
import type { AddressSpace, MemoryRegion } from '@emkit/memory';
import { Bus, type Device, DeviceError } from '@emkit/qdev';
import { MAX_FUNCTIONS } from './limits.ts';
import { PciDevice } from './pci-device.ts';
import { PciReg } from './config-registers.ts';

export interface PciBusOptions {
  /** Where memory and I/O BARs are mapped. Boards give RAM precedence over `memory`, so that a BAR moved onto RAM hides behind it. */
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  /** What bus masters see. */
  readonly dma: AddressSpace;
  /** Line 0-3 that `pin` (0 = INTA#) of a function drives. @default the swizzle of PCI 3.0 §2.2.6: (slot + pin) mod 4 */
  readonly mapIntx?: (devfn: number, pin: number) => number;
}

export const INTX_LINES = 4;

/** (slot + pin) mod 4: spreads single-interrupt devices over the lines. */
export function swizzleIntx(devfn: number, pin: number): number {
  return ((devfn >> 3) + pin) & 3;
}

export class PciBus extends Bus {
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  readonly dma: AddressSpace;
  readonly mapIntx: (devfn: number, pin: number) => number;
  readonly #slots: (PciDevice | null)[] = new Array<PciDevice | null>(MAX_FUNCTIONS).fill(null);
  #onLine: ((line: number, level: number) => void) | null = null;
  #onMsi: ((address: number, data: number) => void) | null = null;

  constructor(name: string, options: PciBusOptions, parent: Device | null = null) {
    super('pci', name, parent);
    this.memory = options.memory;
    this.io = options.io;
    this.dma = options.dma;
    this.mapIntx = options.mapIntx ?? swizzleIntx;
  }

  /** Called with every change of an INTx line (0-3), by the interrupt router. */
  connectIntx(handler: (line: number, level: number) => void): void {
    this.#onLine = handler;
    for (let line = 0; line < INTX_LINES; line++) handler(line, this.intxLevel(line));
  }

  /** Called with every message-signalled interrupt. Without a receiver they go nowhere. */
  connectMsi(handler: (address: number, data: number) => void): void {
    this.#onMsi = handler;
  }

  deliverMsi(address: number, data: number): void {
    this.#onMsi?.(address, data);
  }

  device(devfn: number): PciDevice | null {
    return this.#slots[devfn] ?? null;
  }

  /** Gives the device the slot of its `addr` property, or the first free one. */
  override attach(device: Device): void {
    if (!(device instanceof PciDevice)) throw new DeviceError(`device ${device.id} is not a PCI device`);
    const devfn = this.#chooseSlot(device);
    const holder = this.#slots[devfn];
    if (holder) {
      const place = `${(devfn >> 3).toString(16).padStart(2, '0')}.${devfn & 7}`;
      throw new DeviceError(
        `PCI: slot ${place} function ${devfn & 7} not available for ${device.type.name}, in use by ${holder.type.name},id=${holder.id}`,
      );
    }
    device.devfn = devfn;
    this.#slots[devfn] = device;
    super.attach(device);
  }

  override detach(device: Device): void {
    if (device instanceof PciDevice && this.#slots[device.devfn] === device) {
      this.#slots[device.devfn] = null;
      super.detach(device);
    }
  }

  #chooseSlot(device: PciDevice): number {
    const address = (device.properties['addr'] as string | undefined) ?? '';
    if (address !== '') {
      const match = /^(?:0x)?([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(address);
      const slot = match === null ? 32 : Number.parseInt(match[1] as string, 16);
      if (match === null || slot > 31)
        throw new DeviceError(`Property '${device.type.name}.addr' doesn't take value '${address}'`);
      return slot * 8 + Number(match[2] ?? 0);
    }
    for (let slot = 0; slot < 32; slot++) {
      if (this.#slots.slice(slot * 8, slot * 8 + 8).every((entry) => entry === null)) return slot * 8;
    }
    throw new DeviceError(`PCI: no slot/function available for ${device.type.name}, all in use`);
  }

  /** Configuration cycle. No function there: all ones (§6.1 "master abort"). `size` 1, 2 or 4, within one dword. */
  configRead(devfn: number, offset: number, size: number): number {
    const device = this.#slots[devfn];
    return device ? device.configRead(offset, size) : 0xffffffff >>> (32 - size * 8);
  }

  configWrite(devfn: number, offset: number, value: number, size: number): void {
    this.#slots[devfn]?.configWrite(offset, value, size);
  }

  /** The wired-or of one line. */
  intxLevel(line: number): number {
    for (const device of this.devices as readonly PciDevice[]) {
      const pin = device.config[PciReg.INTERRUPT_PIN] as number;
      if (pin !== 0 && device.intxAsserted && this.mapIntx(device.devfn, pin - 1) === line) return 1;
    }
    return 0;
  }

  /** A function's pin may have changed. */
  updateIntx(devfn: number, pin: number): void {
    const line = this.mapIntx(devfn, pin);
    this.#onLine?.(line, this.intxLevel(line));
  }
}
