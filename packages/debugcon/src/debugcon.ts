/**
 * Debug console: a port to which firmware and kernels write text, without set-up. Port 0xE9 answers reads with 0xE9, by
 * which software finds out that it is there; firmware commonly uses 0x402. No state, no interrupt, no flow control.
 */
import { MemoryRegion } from '@emkit/memory';
import { defineDevice, Device, type DeviceInit, type IsaBus, property, type PropertySpecs } from '@emkit/qdev';

/** Where the bytes go. Must not throw and must not block: a slow reader needs its own bounded buffer. */
export interface DebugSink {
  write(byte: number): void;
}

const PROPERTIES = {
  iobase: property.uint16(0xe9, 'I/O port'),
  readback: property.uint8(0xe9, 'value of reads'),
  chardev: property.link<DebugSink>('chardev', 'where the text goes'),
} satisfies PropertySpecs;

export class Debugcon extends Device {
  readonly #region: MemoryRegion;
  readonly #iobase: number;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    const { iobase, readback, chardev } = init.props;
    this.#iobase = iobase;
    this.#region = MemoryRegion.io('isa-debugcon', 1, {
      read: () => readback,
      write: (_offset, value) => chardev?.write(value),
    });
  }

  protected override onRealize(): void {
    (this.parentBus as IsaBus).io.add(this.#iobase, this.#region);
  }

  protected override onUnrealize(): void {
    this.#region.unmap();
  }
}

export const ISA_DEBUGCON = defineDevice({
  name: 'isa-debugcon',
  description: 'Debug console port',
  bus: 'isa',
  properties: PROPERTIES,
  create: (init) => new Debugcon(init),
});
