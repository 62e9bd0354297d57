/**
 * The PC's two 8237A DMA controllers with their page registers: channels 0-3 move bytes, 5-7 words; channel 4 is the
 * cascade. Devices use it through the IsaDma contract; they are served from a timer at the present time, never from inside
 * the guest's register access.
 * Not here: memory-to-memory transfers and compressed timing (nothing on a PC uses them), priorities other than fixed,
 * EISA high page registers. Channels work whether or not the guest set up the cascade on channel 4.
 * Intel 8237A data sheet 231466; IBM PC AT technical reference, "DMA controllers"; 82371SB §2.5.1.
 */
import { type AddressSpace, MemoryRegion, MemTxResult } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  DeviceError,
  type DeviceInit,
  type DeviceTimer,
  field,
  type IsaBus,
  type IsaDma,
  type IsaDmaHandler,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import {
  type ChannelState,
  Controller,
  CONTROLLER_FIELDS,
  type ControllerState,
  createControllerState,
} from './controller.ts';
import { CHANNELS, MAX_SERVICE_CALLS, SERVICE_PAUSE_NS } from './limits.ts';
import {
  COMMAND_MEMORY_TO_MEMORY,
  DmaReg,
  MODE_DECREMENT,
  MODE_READ,
  MODE_TYPE_MASK,
  MODE_VERIFY,
  MODE_WRITE,
  PAGE_BASE,
  PAGE_OF_CHANNEL,
} from './registers.ts';

const PROPERTIES = {
  memory: property.link<AddressSpace>('address-space', "guest memory as bus masters see it; the ISA bus's when absent"),
} satisfies PropertySpecs;

const CASCADE = 4;

interface I8237State {
  controllers: ControllerState[];
  pages: Uint8Array;
}
const VMSTATE = defineVmState<I8237State>({
  name: 'i8237',
  version: 1,
  fields: [field.structs('controllers', CONTROLLER_FIELDS, 2), field.buffer('pages', 16)],
});

export class I8237Dma extends Device implements IsaDma {
  override readonly vmstate = VMSTATE;
  override readonly state: I8237State = {
    controllers: [createControllerState(), createControllerState()],
    pages: new Uint8Array(16),
  };
  readonly #controllers: readonly Controller[];
  readonly #handlers: (IsaDmaHandler | null)[] = new Array<IsaDmaHandler | null>(CHANNELS).fill(null);
  readonly #reachedEnd: boolean[] = new Array<boolean>(CHANNELS).fill(false);
  readonly #regions: readonly [at: number, region: MemoryRegion][];
  readonly #timer: DeviceTimer;
  #memory: AddressSpace | null;
  #isServing = false;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#memory = init.props.memory;
    this.#controllers = this.state.controllers.map((state) => new Controller(state));
    this.#timer = this.env.clock.createTimer(() => this.run());
    const controller = (name: string, index: number, shift: number): MemoryRegion =>
      MemoryRegion.io(name, 16 << shift, {
        read: (offset) => (this.#controllers[index] as Controller).read(offset >> shift),
        write: (offset, value) => this.#writeRegister(index, offset >> shift, value),
        impl: { max: 1 },
      });
    const pages = MemoryRegion.io('dma-page', 16, {
      read: (offset) => this.state.pages[offset] as number,
      write: (offset, value) => void (this.state.pages[offset] = value),
      impl: { max: 1 },
    });
    this.#regions = [
      [0x00, controller('dma1', 0, 0)],
      [0xc0, controller('dma2', 1, 1)],
      [PAGE_BASE, pages],
    ];
  }

  protected override onRealize(): void {
    const bus = this.parentBus as IsaBus;
    this.#memory ??= bus.dmaSpace;
    if (this.#memory === null)
      throw new DeviceError(`${this.id}: the ISA bus has no DMA space; give property 'memory'`);
    for (const [at, region] of this.#regions) bus.io.add(at, region);
    bus.dma = this;
  }

  protected override onUnrealize(): void {
    for (const [, region] of this.#regions) region.unmap();
    this.#timer.del();
    const bus = this.parentBus as IsaBus;
    if (bus.dma === this) bus.dma = null;
  }

  protected override onReset(): void {
    for (const controller of this.#controllers) controller.reset();
    this.state.pages.fill(0);
    this.#reachedEnd.fill(false);
    this.#timer.del();
  }

  override onPostLoad(): void {
    this.#schedule();
  }

  register(channel: number, handler: IsaDmaHandler): void {
    if (channel === CASCADE || this.#handlers[channel] === undefined)
      throw new DeviceError(`there is no DMA channel ${channel}`);
    if (this.#handlers[channel] !== null) throw new DeviceError(`DMA channel ${channel} is taken`);
    this.#handlers[channel] = handler;
  }

  unregister(channel: number): void {
    this.#handlers[channel] = null;
    this.setRequest(channel, 0);
  }

  setRequest(channel: number, level: number | boolean): void {
    const state = this.#controllerOf(channel).state;
    const bit = 1 << (channel & 3);
    state.dreq = level ? state.dreq | bit : state.dreq & ~bit;
    if (level) this.#schedule();
  }

  remaining(channel: number): number {
    const controller = this.#controllerOf(channel);
    return controller.isOpen(channel & 3) ? controller.unitsLeft(channel & 3) << unitShift(channel) : 0;
  }

  terminalCount(channel: number): boolean {
    return this.#reachedEnd[channel] ?? false;
  }

  read(channel: number, target: Uint8Array): number {
    return this.#transfer(channel, target, MODE_READ);
  }

  write(channel: number, source: Uint8Array): number {
    return this.#transfer(channel, source, MODE_WRITE);
  }

  /** One round of service: fixed priority, a bounded number of calls. Normally called by the timer. */
  run(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    let calls = 0;
    let moved = true;
    while (moved && calls < MAX_SERVICE_CALLS) {
      moved = false;
      for (let channel = 0; channel < CHANNELS; channel++) {
        const handler = this.#handlers[channel];
        if (!handler || !this.#controllerOf(channel).isReady(channel & 3)) continue;
        const before = this.remaining(channel);
        this.#reachedEnd[channel] = false;
        handler(channel);
        calls++;
        moved ||= this.#reachedEnd[channel] === true || this.remaining(channel) !== before;
      }
    }
    this.#isServing = false;
    if (moved) this.#schedule(SERVICE_PAUSE_NS);
  }

  #controllerOf(channel: number): Controller {
    const controller = this.#controllers[channel >> 2];
    if (controller === undefined) throw new DeviceError(`there is no DMA channel ${channel}`);
    return controller;
  }

  #writeRegister(index: number, register: number, value: number): void {
    (this.#controllers[index] as Controller).write(register, value);
    if (register === DmaReg.COMMAND && (value & COMMAND_MEMORY_TO_MEMORY) !== 0)
      this.trace('memory-to-memory-ignored', index);
    if (register >= DmaReg.COMMAND) this.#schedule();
  }

  /** Serves `delay` ns from now, when there is something to serve. */
  #schedule(delay = 0): void {
    if (this.#isServing || (delay === 0 && this.#timer.deadline >= 0)) return;
    for (let channel = 0; channel < CHANNELS; channel++) {
      if (this.#handlers[channel] !== null && this.#controllerOf(channel).isReady(channel & 3)) {
        this.#timer.mod(this.env.clock.now() + delay);
        return;
      }
    }
  }

  #transfer(channel: number, bytes: Uint8Array, type: number): number {
    const controller = this.#controllerOf(channel);
    const n = channel & 3;
    const programmed = (controller.state.channels[n] as ChannelState).mode & MODE_TYPE_MASK;
    this.#reachedEnd[channel] = false;
    if (!controller.isOpen(n) || (programmed !== type && programmed !== MODE_VERIFY)) {
      this.trace('transfer-refused', channel, type, programmed);
      return 0;
    }
    const shift = unitShift(channel);
    const units = Math.min(bytes.length >> shift, controller.unitsLeft(n));
    if (units === 0) return 0;
    if (programmed !== MODE_VERIFY) this.#move(channel, bytes.subarray(0, units << shift), type);
    this.#reachedEnd[channel] = controller.advance(n, units);
    return units << shift;
  }

  /** Copies in runs that do not wrap: the address counter has 16 bits, the page register does not count along. */
  #move(channel: number, bytes: Uint8Array, type: number): void {
    const { address, mode } = this.#controllerOf(channel).state.channels[channel & 3] as ChannelState;
    const shift = unitShift(channel);
    const page = this.state.pages[PAGE_OF_CHANNEL[channel] as number] as number;
    // word channels drive A16-A1 from the counter; bit 0 of their page register is not used
    const base = shift === 0 ? page * 0x10000 : (page >> 1) * 0x20000;
    const step = mode & MODE_DECREMENT ? -1 : 1;
    let at = address;
    for (let done = 0; done < bytes.length;) {
      const run = step === 1 ? Math.min((bytes.length - done) >> shift, 0x10000 - at) : 1;
      this.#copy(base + (at << shift), bytes.subarray(done, done + (run << shift)), type);
      at = (at + run * step) & 0xffff;
      done += run << shift;
    }
  }

  /** Only RAM is reached: anything else reads as all ones and takes no data. */
  #copy(address: number, bytes: Uint8Array, type: number): void {
    const memory = this.#memory as AddressSpace;
    const result = type === MODE_READ ? memory.dmaRead(address, bytes) : memory.dmaWrite(address, bytes);
    if (result === MemTxResult.OK) return;
    this.trace('dma-outside-ram', address, bytes.length, result);
    if (type === MODE_READ) bytes.fill(0xff);
  }
}

/** 0: bytes (channels 0-3), 1: words. */
function unitShift(channel: number): number {
  return channel >> 2;
}

export const I8237 = defineDevice({
  name: 'i8237',
  description: 'DMA controller pair',
  bus: 'isa',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new I8237Dma(init),
});
