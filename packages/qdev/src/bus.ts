/**
 * Buses: what devices are plugged into, and what a plugged device may use. `Bus` keeps order and reset; SystemBus and
 * IsaBus add the regions and lines of their kind. Other buses (PCI) subclass Bus in their own packages.
 */
import type { AddressSpace, MemoryRegion } from '@emkit/memory';
import type { Device } from './device.ts';
import { DeviceError } from './device.ts';
import { Irq } from './irq.ts';
import type { IsaDma } from './isa-dma.ts';

export class Bus {
  readonly type: string;
  readonly name: string;
  /** The bridge that offers this bus; null for the machine's root bus. */
  readonly parent: Device | null;
  readonly #devices: Device[] = [];

  constructor(type: string, name: string, parent: Device | null = null) {
    this.type = type;
    this.name = name;
    this.parent = parent;
    parent?.childBuses.push(this);
  }

  /** In the order plugged. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  /** Called by Device.realize before the device maps itself; a bus with slots overrides it to assign or refuse one. */
  attach(device: Device): void {
    this.#devices.push(device);
  }

  /** Called by Device.unrealize; unknown devices are ignored. */
  detach(device: Device): void {
    const index = this.#devices.indexOf(device);
    if (index >= 0) this.#devices.splice(index, 1);
  }

  resetEnter(): void {
    for (const device of this.#devices) device.resetEnter();
  }

  resetExit(): void {
    for (const device of this.#devices) device.resetExit();
  }

  /** Hard reset of everything on the bus, in the order plugged. */
  reset(): void {
    this.resetEnter();
    this.resetExit();
  }
}

/** The machine's root bus: memory and port space as the CPU sees them. */
export class SystemBus extends Bus {
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  /** Through which bus masters reach guest memory. */
  readonly dma: AddressSpace;

  constructor(name: string, memory: MemoryRegion, io: MemoryRegion, dma: AddressSpace) {
    super('system', name);
    this.memory = memory;
    this.io = io;
    this.dma = dma;
  }
}

export interface IsaBusOptions {
  /** Port space and memory in which ISA devices map themselves. */
  readonly io: MemoryRegion;
  readonly memory: MemoryRegion;
  /** IRQ0..15: inputs of the interrupt controllers. */
  readonly irqs: readonly Irq[];
  /** Guest memory as the DMA controllers reach it. @default none: a board then hands it to them itself */
  readonly dmaSpace?: AddressSpace;
}

export class IsaBus extends Bus {
  readonly io: MemoryRegion;
  readonly memory: MemoryRegion;
  readonly dmaSpace: AddressSpace | null;
  readonly #irqs: readonly Irq[];
  readonly #sharers: Irq[][] = [];
  /** The 8237 pair, once it is realized. */
  dma: IsaDma | null = null;

  constructor(name: string, options: IsaBusOptions, parent: Device | null = null) {
    super('isa', name, parent);
    this.io = options.io;
    this.memory = options.memory;
    this.dmaSpace = options.dmaSpace ?? null;
    this.#irqs = options.irqs;
  }

  /** An input of the line IRQ `number`, 0-15. Devices that share a line have one each: it is high while any of them is. */
  irq(number: number): Irq {
    const line = this.#irqs[number];
    if (line === undefined) throw new DeviceError(`there is no ISA interrupt ${number}`);
    const sharers = this.#sharers;
    const inputs = (sharers[number] ??= []);
    const input = new Irq(line.name, () => line.set(inputs.some((i) => i.level !== 0)));
    inputs.push(input);
    return input;
  }
}
