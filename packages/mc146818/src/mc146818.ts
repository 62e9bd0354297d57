/**
 * Real-time clock and 128 bytes of CMOS RAM, MC146818A at ports 0x70 and 0x71. The time registers are bytes of the CMOS
 * that are brought up to date when somebody looks; a timer runs only towards an interrupt that is enabled and not
 * yet pending. Time, date and RAM survive a reset (the battery does).
 * Not here: daylight saving (DSE is stored only), square wave output, NMI mask (bit 7 of port 0x70 is ignored).
 * Motorola MC146818A data sheet (ADI856R2); IBM PC/AT Technical Reference, "Real-time clock/CMOS RAM".
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  DeviceError,
  type DeviceClock,
  type DeviceInit,
  type DeviceTimer,
  field,
  type Irq,
  type IsaBus,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { secondsToAlarm } from './alarm.ts';
import { addSeconds, fromEpochMs, readTime, secondOfDay, writeTime } from './calendar.ts';
import { CMOS_SIZE, FIRST_UPDATE_NS, MAX_START_MS, MAX_ZONE_MINUTES, TIME_BASE_HZ, UIP_NS } from './limits.ts';
import {
  A_DIVIDER_MASK,
  A_DIVIDER_RUN,
  A_RATE_MASK,
  A_UIP,
  B_24H,
  B_AIE,
  B_PIE,
  B_SET,
  B_SQWE,
  B_UIE,
  C_AF,
  C_IRQF,
  C_PF,
  C_SOURCES,
  C_UF,
  D_VRT,
  Reg,
} from './registers.ts';

const PROPERTIES = {
  iobase: property.uint16(0x70, 'index port; the data port follows'),
  irq: property.uint8(8, 'interrupt line'),
  base: property.choice(['host', 'fixed'], 'host', "time at the start: the host's, or start-ms"),
  'start-ms': property.uint64(0, 'time at the start with base=fixed, ms since 1970-01-01 UTC'),
  'zone-offset': property.int32(0, "minutes that the guest's clock is ahead of UTC"),
  clock: property.choice(
    ['host', 'rt', 'vm'],
    'host',
    "what drives the clock: wall-clock time (host, rt) or the machine's (vm)",
  ),
} satisfies PropertySpecs;

const SECOND_NS = 1e9;
/** A pause between save and load beyond this (three and a half years) is not believed. */
const MAX_GAP_NS = 1e17;
const ENABLES = B_PIE | B_AIE | B_UIE; // the same bits as their flags in register C

interface Mc146818State {
  index: number;
  cmos: Uint8Array;
  /** PF, AF, UF of register C. */
  flags: number;
  /** Time of the last update, ns of the driving clock. */
  updated: number;
  /** What `updated` counts from: ms since 1970 of the host clock's zero; 0 for the virtual clock. */
  clockEpochMs: number;
  /** 32.768 kHz ticks up to which the periodic flag has been looked at. */
  periodicTicks: number;
  timer: DeviceTimer;
}

const VMSTATE = defineVmState<Mc146818State>({
  name: 'mc146818',
  version: 1,
  fields: [
    field.u8('index', { max: CMOS_SIZE - 1 }),
    field.buffer('cmos', CMOS_SIZE),
    field.u8('flags', { max: C_SOURCES }),
    field.i64('updated', { min: -(2 ** 52), max: 2 ** 52 }),
    field.f64('clockEpochMs', { min: 0, max: MAX_START_MS }),
    field.u64('periodicTicks', { max: 2 ** 42 }),
    field.timer('timer'),
  ],
});

export class Mc146818 extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: Mc146818State;
  readonly #region: MemoryRegion;
  readonly #clock: DeviceClock;
  readonly #clockEpochMs: number;
  readonly #iobase: number;
  readonly #irqNumber: number;
  #irq: Irq | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    const { iobase, irq, base, clock } = init.props;
    if (init.props['start-ms'] > MAX_START_MS)
      throw new DeviceError(
        `Property 'mc146818rtc.start-ms' doesn't take value ${init.props['start-ms']} (maximum: ${MAX_START_MS})`,
      );
    if (Math.abs(init.props['zone-offset']) > MAX_ZONE_MINUTES)
      throw new DeviceError(
        `Property 'mc146818rtc.zone-offset' doesn't take value ${init.props['zone-offset']} (limit: ${MAX_ZONE_MINUTES})`,
      );
    this.#iobase = iobase;
    this.#irqNumber = irq;
    this.#clock = clock === 'vm' ? this.env.clock : this.env.hostClock;
    this.#clockEpochMs = clock === 'vm' ? 0 : this.env.hostClock.epochMs;
    this.state = {
      index: 0,
      cmos: new Uint8Array(CMOS_SIZE),
      flags: 0,
      updated: 0,
      clockEpochMs: this.#clockEpochMs,
      periodicTicks: 0,
      timer: this.#clock.createTimer(() => this.#update()),
    };
    this.state.cmos[Reg.A] = A_DIVIDER_RUN | 6; // 1024 Hz, as firmware sets it
    this.state.cmos[Reg.B] = B_24H;
    const { hostClock } = this.env;
    const utcMs = base === 'host' ? hostClock.epochMs + hostClock.now() / 1e6 : init.props['start-ms'];
    this.setTime(utcMs + init.props['zone-offset'] * 60_000);
    this.#region = MemoryRegion.io('rtc', 2, {
      read: (offset) => (offset === 0 ? 0xff : this.#read()),
      write: (offset, value) => {
        if (offset === 0) this.state.index = value & (CMOS_SIZE - 1);
        else this.#write(value);
      },
      impl: { max: 1 },
    });
  }

  protected override onRealize(): void {
    const bus = this.parentBus as IsaBus;
    this.#irq = bus.irq(this.#irqNumber);
    bus.io.add(this.#iobase, this.#region);
  }

  protected override onUnrealize(): void {
    this.state.timer.del();
    this.#region.unmap();
    this.#irq?.lower();
  }

  /** Data sheet "RESET": interrupt enables and flags and SQWE are cleared; time and RAM are not. */
  protected override onReset(): void {
    const { cmos } = this.state;
    this.#sync();
    cmos[Reg.B] = (cmos[Reg.B] as number) & ~(ENABLES | B_SQWE);
    this.state.flags = 0;
    this.state.index = 0;
    this.state.timer.del();
  }

  protected override onResetExit(): void {
    this.#update();
  }

  /** A wall clock has gone on since the state was saved, perhaps in another process with another zero: so does the guest's. */
  override onPostLoad(): void {
    const s = this.state;
    if (s.clockEpochMs !== this.#clockEpochMs) {
      const now = this.#clock.now();
      const updated = Math.floor(s.updated + (s.clockEpochMs - this.#clockEpochMs) * 1e6);
      s.updated = this.#isDividerRunning && Math.abs(now - updated) < MAX_GAP_NS ? updated : now;
      s.clockEpochMs = this.#clockEpochMs;
      s.periodicTicks = nsToTimeBase(now);
    }
    this.#update();
  }

  /** A byte of CMOS RAM, as the board fills it for firmware (memory size, boot order, ...). */
  setCmos(index: number, value: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= CMOS_SIZE) throw new RangeError(`CMOS has no byte ${index}`);
    this.state.cmos[index] = value & 0xff;
  }

  getCmos(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= CMOS_SIZE) throw new RangeError(`CMOS has no byte ${index}`);
    this.#sync();
    return this.state.cmos[index] as number;
  }

  /** Sets the guest's clock; `ms` since 1970 in the guest's time zone. */
  setTime(ms: number): void {
    const { cmos } = this.state;
    const whole = Math.floor(ms / 1000) * 1000;
    writeTime(cmos, cmos[Reg.B] as number, fromEpochMs(whole));
    this.state.updated = this.#clock.now() - Math.floor((ms - whole) * 1e6);
  }

  get #isDividerRunning(): boolean {
    return ((this.state.cmos[Reg.A] as number) & A_DIVIDER_MASK) === A_DIVIDER_RUN;
  }

  get #isUpdating(): boolean {
    return this.#isDividerRunning && ((this.state.cmos[Reg.B] as number) & B_SET) === 0;
  }

  #read(): number {
    const s = this.state;
    switch (s.index) {
      case Reg.A:
        this.#sync();
        return (
          (s.cmos[Reg.A] as number) |
          (this.#isUpdating && s.updated + SECOND_NS - this.#clock.now() <= UIP_NS ? A_UIP : 0)
        );
      case Reg.C: {
        this.#sync();
        const value = s.flags | (s.flags & (s.cmos[Reg.B] as number) & ENABLES ? C_IRQF : 0);
        s.flags = 0;
        this.#update();
        return value;
      }
      case Reg.D:
        return D_VRT;
      default:
        if (s.index < Reg.A || s.index === Reg.CENTURY) this.#sync();
        return s.cmos[s.index] as number;
    }
  }

  #write(value: number): void {
    const s = this.state;
    this.#sync();
    switch (s.index) {
      case Reg.A: {
        const wasRunning = this.#isDividerRunning;
        s.cmos[Reg.A] = value & ~A_UIP;
        // the divider chain starts anew: the first update comes half a second later
        if (!wasRunning && this.#isDividerRunning) s.updated = this.#clock.now() - SECOND_NS + FIRST_UPDATE_NS;
        s.periodicTicks = nsToTimeBase(this.#clock.now());
        break;
      }
      case Reg.B:
        s.cmos[Reg.B] = (value & B_SET) !== 0 ? value & ~B_UIE : value;
        break;
      case Reg.C:
      case Reg.D:
        this.trace('write-to-read-only', s.index, value);
        return;
      default:
        s.cmos[s.index] = value;
    }
    this.#update();
  }

  /** Ticks of the time base between two periodic interrupts; 0: none. Data sheet table 5. */
  get #periodicTicks(): number {
    const rate = (this.state.cmos[Reg.A] as number) & A_RATE_MASK;
    if (rate === 0 || !this.#isDividerRunning) return 0;
    return 1 << ((rate <= 2 ? rate + 7 : rate) - 1);
  }

  /** Brings time registers and flags up to now. */
  #sync(): void {
    const s = this.state;
    const now = this.#clock.now();
    const elapsed = Math.floor((now - s.updated) / SECOND_NS); // negative when the host's clock was set back
    if (elapsed !== 0 && this.#isDividerRunning) {
      s.updated += elapsed * SECOND_NS;
      if (this.#isUpdating) this.#advance(elapsed);
    }
    const period = this.#periodicTicks;
    const ticks = nsToTimeBase(now);
    if (period !== 0 && Math.floor(ticks / period) > Math.floor(s.periodicTicks / period)) s.flags |= C_PF;
    s.periodicTicks = ticks;
  }

  #advance(seconds: number): void {
    const { cmos } = this.state;
    const registerB = cmos[Reg.B] as number;
    const time = readTime(cmos, registerB);
    if (seconds > 0) {
      this.state.flags |= C_UF;
      const alarm = secondsToAlarm(cmos, registerB, secondOfDay(time));
      if (alarm !== 0 && alarm <= seconds) this.state.flags |= C_AF;
    }
    writeTime(cmos, registerB, addSeconds(time, seconds));
  }

  /** Drives IRQ8 and arms the timer for the next interrupt that is not pending yet. */
  #update(): void {
    this.#sync();
    const s = this.state;
    const registerB = s.cmos[Reg.B] as number;
    this.#irq?.set((s.flags & registerB & ENABLES) !== 0);
    const wanted = registerB & ENABLES & ~s.flags;
    let deadline = Infinity;
    const period = this.#periodicTicks;
    if ((wanted & C_PF) !== 0 && period !== 0)
      deadline = timeBaseToNs((Math.floor(s.periodicTicks / period) + 1) * period);
    if ((wanted & C_UF) !== 0 && this.#isUpdating) deadline = Math.min(deadline, s.updated + SECOND_NS);
    if ((wanted & C_AF) !== 0 && this.#isUpdating) {
      const alarm = secondsToAlarm(s.cmos, registerB, secondOfDay(readTime(s.cmos, registerB)));
      if (alarm !== 0) deadline = Math.min(deadline, s.updated + alarm * SECOND_NS);
    }
    if (deadline === Infinity) s.timer.del();
    else s.timer.mod(deadline);
  }
}

/** Exact: products stay below 2^53. */
function nsToTimeBase(ns: number): number {
  const seconds = Math.floor(ns / SECOND_NS);
  return seconds * TIME_BASE_HZ + Math.floor(((ns - seconds * SECOND_NS) * TIME_BASE_HZ) / SECOND_NS);
}

function timeBaseToNs(ticks: number): number {
  const seconds = Math.floor(ticks / TIME_BASE_HZ);
  return seconds * SECOND_NS + Math.ceil(((ticks - seconds * TIME_BASE_HZ) * SECOND_NS) / TIME_BASE_HZ);
}

export const MC146818 = defineDevice({
  name: 'mc146818rtc',
  description: 'Real-time clock MC146818A',
  bus: 'isa',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new Mc146818(init),
});
