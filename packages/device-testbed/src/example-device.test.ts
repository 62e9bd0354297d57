/** The example of docs/devices.md, kept true by running it. */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  type DeviceInit,
  type DeviceTimer,
  field,
  type IsaBus,
  type Irq,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { describe, expect, it } from 'vitest';
import { checkRoundTrip, createFakeBus, fuzzDevice } from './index.ts';

// ---- egg-timer.ts -------------------------------------------------------------------------------------------------

/** Register offsets: Egg Timer data sheet (imaginary), "Registers". */
const Reg = { CONTROL: 0, STATUS: 1, COUNT_LOW: 2, COUNT_HIGH: 3 } as const;
const CONTROL_START = 1 << 0;
const STATUS_RINGING = 1 << 0; // cleared by reading STATUS
const TICK_NS = 1000;

const PROPERTIES = {
  iobase: property.uint16(0x300, 'first of 4 ports'),
  irq: property.uint8(5, 'interrupt line'),
} satisfies PropertySpecs;

/** Plain data: this is what is saved. */
interface EggTimerState {
  count: number;
  ringing: boolean;
  ring: DeviceTimer;
}

const EGG_TIMER_VMSTATE = defineVmState<EggTimerState>({
  name: 'egg-timer',
  version: 1,
  fields: [field.u16('count'), field.bool('ringing'), field.timer('ring')],
  check: (s) => (s.ringing && s.ring >= 0 ? 'ringing while the timer still runs' : null),
});

class EggTimer extends Device {
  override readonly vmstate = EGG_TIMER_VMSTATE;
  override readonly state: EggTimerState;
  readonly #region: MemoryRegion;
  readonly #iobase: number;
  readonly #irqNumber: number;
  #irq: Irq | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#iobase = init.props.iobase;
    this.#irqNumber = init.props.irq;
    this.state = { count: 0, ringing: false, ring: this.env.clock.createTimer(() => this.#onRing()) };
    this.#region = MemoryRegion.io('egg-timer', 4, {
      read: (offset) => this.#read(offset),
      write: (offset, value) => this.#write(offset, value),
      impl: { max: 1 }, // byte registers: wider accesses arrive as several bytes
    });
  }

  protected override onRealize(): void {
    const bus = this.parentBus as IsaBus;
    this.#irq = bus.irq(this.#irqNumber);
    bus.io.add(this.#iobase, this.#region);
  }

  protected override onUnrealize(): void {
    this.state.ring.del();
    this.#region.unmap();
  }

  protected override onReset(): void {
    this.state.count = 0;
    this.state.ringing = false;
    this.state.ring.del();
  }

  protected override onResetExit(): void {
    this.#updateIrq();
  }

  override onPostLoad(): void {
    this.#updateIrq();
  }

  #read(offset: number): number {
    const s = this.state;
    switch (offset) {
      case Reg.STATUS: {
        const status = s.ringing ? STATUS_RINGING : 0;
        s.ringing = false;
        this.#updateIrq();
        return status;
      }
      case Reg.COUNT_LOW:
        return s.count & 0xff;
      case Reg.COUNT_HIGH:
        return s.count >> 8;
      default:
        this.trace('read-of-write-only', offset);
        return 0xff;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    switch (offset) {
      case Reg.CONTROL:
        s.ringing = false;
        this.#updateIrq();
        if (value & CONTROL_START) s.ring.mod(this.env.clock.now() + (s.count + 1) * TICK_NS);
        else s.ring.del();
        return;
      case Reg.COUNT_LOW:
        s.count = (s.count & 0xff00) | value;
        return;
      case Reg.COUNT_HIGH:
        s.count = (s.count & 0x00ff) | (value << 8);
        return;
      default:
        this.trace('write-to-read-only', offset, value);
    }
  }

  #onRing(): void {
    this.state.ringing = true;
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#irq?.set(this.state.ringing);
  }
}

const EGG_TIMER = defineDevice({
  name: 'egg-timer',
  description: 'Egg timer',
  bus: 'isa',
  properties: PROPERTIES,
  create: (init) => new EggTimer(init),
});

// ---- egg-timer.test.ts --------------------------------------------------------------------------------------------

describe('egg timer', () => {
  it('rings after count + 1 ticks', () => {
    const bus = createFakeBus();
    bus.add(EGG_TIMER);
    bus.out16(0x302, 9);
    bus.out8(0x300, CONTROL_START);
    bus.advance(9_999);
    expect(bus.irqs.levels[5]).toBe(0);
    bus.advance(1);
    expect(bus.irqs.levels[5]).toBe(1);
    expect(bus.in8(0x301)).toBe(STATUS_RINGING);
    expect(bus.irqs.levels[5]).toBe(0);
  });

  it('takes its place from properties, as typed by a user', () => {
    const bus = createFakeBus();
    bus.add(EGG_TIMER, { iobase: '0x310', irq: '7' });
    expect(bus.in8(0x302)).toBe(0xff); // nothing there
    expect(bus.in8(0x312)).toBe(0);
  });

  it('survives a round trip, and refuses a damaged state', () => {
    const bus = createFakeBus();
    const timer = bus.add(EGG_TIMER);
    bus.out16(0x302, 500);
    bus.out8(0x300, CONTROL_START);
    checkRoundTrip(timer, () => createFakeBus().add(EGG_TIMER));
  });

  it('holds its invariants under random operations', () => {
    const bus = createFakeBus();
    const timer = bus.add(EGG_TIMER);
    fuzzDevice({
      bus,
      seed: 1,
      operations: 20_000,
      ports: [0x2ff, 0x300, 0x301, 0x302, 0x303],
      invariant: () =>
        bus.irqs.levels[5] === (timer.state.ringing ? 1 : 0) ? null : 'interrupt line differs from the status',
    });
  });
});
