/**
 * A board for one device: port and memory spaces, a little RAM, a system bus, an ISA bus with 16 recorded interrupt
 * lines, a mock clock, recorded trace events and machine requests. Devices are created, realized and reset with `add`.
 */
import { AddressSpace, MemoryRegion, PortSpace, RamBlock } from '@emkit/memory';
import {
  type AnyDeviceType,
  createDevice,
  type Device,
  type DeviceEnv,
  type DeviceType,
  type Bus,
  IsaBus,
  type PropertySpecs,
  SystemBus,
} from '@emkit/qdev';
import { IrqRecorder } from './irq-recorder.ts';
import { MockClock } from './mock-clock.ts';

export interface FakeBusOptions {
  /** Bytes of RAM at address 0. @default 1 MiB */
  readonly ramSize?: number;
  /** Wall-clock time at start, ms since 1970. @default 2001-02-03 04:05:06 UTC */
  readonly epochMs?: number;
}

export interface TraceRecord {
  readonly source: string;
  readonly event: string;
  readonly values: readonly (number | undefined)[];
}

const DEFAULT_EPOCH_MS = Date.UTC(2001, 1, 3, 4, 5, 6);
const MAX_RECORDED_EVENTS = 1000;

export class FakeBus {
  readonly clock = new MockClock();
  readonly hostClock: MockClock;
  readonly ram: RamBlock;
  readonly memoryRoot = MemoryRegion.container('system');
  readonly ioRoot = MemoryRegion.container('io', 0x10000);
  readonly memory: AddressSpace;
  readonly ports: PortSpace;
  readonly systemBus: SystemBus;
  readonly isaBus: IsaBus;
  /** ISA interrupt lines 0-15. */
  readonly irqs: IrqRecorder;
  readonly traces: TraceRecord[] = [];
  /** Causes of reset requests, in order. */
  readonly resets: string[] = [];
  readonly shutdowns: { cause: string; exitCode: number | undefined }[] = [];
  readonly env: DeviceEnv;
  readonly devices: Device[] = [];

  constructor(options: FakeBusOptions = {}) {
    this.hostClock = new MockClock(0, options.epochMs ?? DEFAULT_EPOCH_MS);
    this.ram = new RamBlock({ name: 'ram', size: options.ramSize ?? 1 << 20 });
    this.memoryRoot.add(0, MemoryRegion.ram('ram', this.ram));
    this.memory = new AddressSpace({ name: 'memory', root: this.memoryRoot });
    this.ports = new PortSpace({ name: 'I/O', root: this.ioRoot });
    this.irqs = new IrqRecorder('isa-irq', 16, this.clock);
    this.systemBus = new SystemBus('main-system-bus', this.memoryRoot, this.ioRoot, this.memory);
    this.isaBus = new IsaBus('isa.0', {
      io: this.ioRoot,
      memory: this.memoryRoot,
      irqs: this.irqs.lines,
      dmaSpace: this.memory,
    });
    this.env = {
      clock: this.clock,
      hostClock: this.hostClock,
      trace: {
        enabled: true,
        emit: (source, event, ...values) => {
          if (this.traces.length < MAX_RECORDED_EVENTS) this.traces.push({ source, event, values });
        },
      },
      system: {
        reset: (cause) => void this.resets.push(cause),
        shutdown: (cause, exitCode) => void this.shutdowns.push({ cause, exitCode }),
      },
    };
  }

  /** Creates, realizes (on `bus`, or the bus of the type's kind) and resets a device. */
  add<P extends PropertySpecs, D extends Device>(
    type: DeviceType<P, D>,
    properties: Readonly<Record<string, unknown>> = {},
    bus?: Bus,
  ): D {
    const device = createDevice(type, { id: this.#freeId(type), env: this.env, properties });
    device.realize(bus ?? (type.bus === 'isa' ? this.isaBus : this.systemBus));
    device.reset();
    this.devices.push(device);
    return device;
  }

  #freeId(type: AnyDeviceType): string {
    const same = this.devices.filter((device) => device.type.name === type.name).length;
    return same === 0 ? type.name : `${type.name}.${same}`;
  }

  in8(port: number): number {
    return this.ports.read8(port);
  }
  in16(port: number): number {
    return this.ports.read16(port);
  }
  in32(port: number): number {
    return this.ports.read32(port);
  }
  out8(port: number, value: number): void {
    this.ports.write8(port, value);
  }
  out16(port: number, value: number): void {
    this.ports.write16(port, value);
  }
  out32(port: number, value: number): void {
    this.ports.write32(port, value);
  }

  /** Moves the virtual and the host clock together. */
  advance(ns: number): void {
    this.clock.advance(ns);
    this.hostClock.advance(ns);
  }
}

/** A fresh board for a device test. */
export function createFakeBus(options: FakeBusOptions = {}): FakeBus {
  return new FakeBus(options);
}
