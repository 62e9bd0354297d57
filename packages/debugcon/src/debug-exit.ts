/** isa-debug-exit: a write of v ends the machine with exit code (v << 1) | 1, so that a test inside the guest can report. No state. */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  Device,
  DeviceError,
  type DeviceInit,
  type IsaBus,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { MAX_EXIT_SIZE } from './limits.ts';

const PROPERTIES = {
  iobase: property.uint16(0x501, 'I/O port'),
  iosize: property.uint8(0x02, 'number of ports, 1 to 4'),
} satisfies PropertySpecs;

export class DebugExit extends Device {
  readonly #region: MemoryRegion;
  readonly #iobase: number;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    const { iobase, iosize } = init.props;
    if (iosize < 1 || iosize > MAX_EXIT_SIZE)
      throw new DeviceError(
        `Property 'isa-debug-exit.iosize' doesn't take value ${iosize} (minimum: 1, maximum: ${MAX_EXIT_SIZE})`,
      );
    this.#iobase = iobase;
    this.#region = MemoryRegion.io('isa-debug-exit', iosize, {
      read: () => 0,
      write: (_offset, value) => this.env.system.shutdown('isa-debug-exit', ((value << 1) | 1) >>> 0),
      valid: { unaligned: true },
    });
  }

  protected override onRealize(): void {
    (this.parentBus as IsaBus).io.add(this.#iobase, this.#region);
  }

  protected override onUnrealize(): void {
    this.#region.unmap();
  }
}

export const ISA_DEBUG_EXIT = defineDevice({
  name: 'isa-debug-exit',
  description: 'Exit port for guest test programs',
  bus: 'isa',
  properties: PROPERTIES,
  create: (init) => new DebugExit(init),
});
