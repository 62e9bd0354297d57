/**
 * Interval timer 8254 with the PC's wiring: counter 0 makes IRQ0, counter 2 the speaker's tone behind port 0x61, whose
 * bit 4 toggles with each refresh request. Values come from virtual time when they are read; one timer is armed for the
 * next rise of counter 0's output. After a long pause one edge is delivered, not all that were missed.
 * Short low pulses of OUT0 (modes 2, 4, 5) and the low half of mode 3 reach the line as a fall right before the rise.
 * Intel 8254 data sheet (231164-005); IBM PC/AT Technical Reference, system board, "Port 61".
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  type DeviceInit,
  type DeviceTimer,
  field,
  type Irq,
  type IsaBus,
} from '@emkit/qdev';
import {
  beginCount,
  countAt,
  type CounterState,
  loadCount,
  makeCounter,
  NEVER,
  nextRise,
  outputAt,
  outputSteadyUntil,
  setGate,
  setMode,
  statusAt,
} from './counter.ts';
import { MIN_EDGE_NS, PIT_HZ } from './limits.ts';
import { nsToTicks, ticksToNs } from './ticks.ts';

const PIT_PORT = 0x40;
const SPEAKER_PORT = 0x61;
const CONTROL = 3;
const READ_BACK = 3;

/** Read-back command, figure 9: bits are active low. */
const READ_BACK_NO_COUNT = 1 << 5;
const READ_BACK_NO_STATUS = 1 << 4;

/** Port 0x61. */
const GATE2 = 1 << 0;
const SPEAKER_DATA = 1 << 1;
const REFRESH = 1 << 4;
const OUT2 = 1 << 5;
const PORT61_WRITABLE = 0x0f;
/** Counter 1 requests a refresh every 18 ticks, 15 us, as firmware programs it on every PC. */
const REFRESH_TICKS = 18;
const MIN_EDGE_TICKS = nsToTicks(MIN_EDGE_NS);
const MAX_TICK = 2 ** 44;

interface I8254State {
  counters: [CounterState, CounterState, CounterState];
  port61: number;
  edge: DeviceTimer;
}

const COUNTER_FIELDS = [
  field.u8('mode', { max: 5 }),
  field.bool('bcd'),
  field.u8('access', { min: 1, max: 3 }),
  field.u32('count', { min: 1, max: 0x10000 }),
  field.bool('isLoaded'),
  field.i64('start', { min: NEVER, max: MAX_TICK }),
  field.i64('pausedAt', { min: NEVER, max: MAX_TICK }),
  field.u32('nextCount', { max: 0x10000 }),
  field.i64('reloadAt', { min: NEVER, max: MAX_TICK }),
  field.bool('gate'),
  field.u8('lowByte'),
  field.bool('isHighWrite'),
  field.bool('isHighRead'),
  field.i32('latch', { min: NEVER, max: 0xffff }),
  field.i32('statusLatch', { min: NEVER, max: 0xff }),
  field.bool('isArmed'),
];

const VMSTATE = defineVmState<I8254State>({
  name: 'i8254',
  version: 1,
  fields: [
    field.structs('counters', COUNTER_FIELDS, 3),
    field.u8('port61', { max: PORT61_WRITABLE }),
    field.timer('edge'),
  ],
  check: (s) => {
    for (const c of s.counters as readonly CounterState[]) {
      if ((c.reloadAt !== NEVER || c.isArmed) && c.nextCount === 0)
        return 'a count waits to be loaded but is not there';
      if (c.start === NEVER && (c.pausedAt !== NEVER || c.reloadAt !== NEVER))
        return 'a counter that has not started is paused or reloads';
    }
    return null;
  },
});

export class I8254 extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: I8254State;
  readonly #irq: Irq;
  readonly #region: MemoryRegion;
  readonly #speakerRegion: MemoryRegion;
  /** What port 0x61 reads until then, ns; 0: to be computed. */
  #port61Value = 0;
  #port61Until = 0;

  constructor(init: DeviceInit) {
    super(init);
    this.#irq = this.defineGpioOut('irq', 1)[0] as Irq;
    this.state = {
      counters: [makeCounter(), makeCounter(), makeCounter()],
      port61: 0,
      edge: this.env.clock.createTimer(() => this.#onEdge()),
    };
    this.#region = MemoryRegion.io('pit', 4, {
      read: (offset) => this.#read(offset),
      write: (offset, value) => this.#write(offset, value),
      impl: { max: 1 },
    });
    this.#speakerRegion = MemoryRegion.io('pcspk', 1, {
      read: () => this.#readPort61(),
      write: (_offset, value) => this.#writePort61(value),
      impl: { max: 1 },
    });
  }

  protected override onRealize(): void {
    const { io } = this.parentBus as IsaBus;
    io.add(PIT_PORT, this.#region);
    io.add(SPEAKER_PORT, this.#speakerRegion);
  }

  protected override onUnrealize(): void {
    this.state.edge.del();
    this.#region.unmap();
    this.#speakerRegion.unmap();
    this.#irq.lower();
  }

  protected override onReset(): void {
    const s = this.state;
    for (const counter of s.counters) Object.assign(counter, makeCounter());
    s.counters[2].gate = false;
    s.port61 = 0;
    this.#port61Until = 0;
    s.edge.del();
  }

  protected override onResetExit(): void {
    this.#updateIrq(this.#tick());
  }

  override onPostLoad(): void {
    this.#port61Until = 0;
    this.#updateIrq(this.#tick());
  }

  /** Tone of the speaker in Hz; 0 while it is silent. */
  get speakerHz(): number {
    const [, , tone] = this.state.counters;
    const isOn = (this.state.port61 & (GATE2 | SPEAKER_DATA)) === (GATE2 | SPEAKER_DATA);
    return isOn && tone.mode === 3 && tone.start !== NEVER ? PIT_HZ / tone.count : 0;
  }

  #tick(): number {
    return nsToTicks(this.env.clock.now());
  }

  #read(offset: number): number {
    if (offset === CONTROL) {
      this.trace('read-of-write-only', offset);
      return 0xff; // "no-operation, 3-state"
    }
    const c = this.state.counters[offset] as CounterState;
    if (c.statusLatch !== NEVER) {
      const status = c.statusLatch;
      c.statusLatch = NEVER;
      return status;
    }
    const value = c.latch !== NEVER ? c.latch : countAt(c, this.#tick());
    const isHigh = c.access === 2 || (c.access === 3 && c.isHighRead);
    if (c.access === 3) c.isHighRead = !c.isHighRead;
    if (c.access !== 3 || isHigh) c.latch = NEVER;
    return isHigh ? value >> 8 : value & 0xff;
  }

  #write(offset: number, value: number): void {
    this.#port61Until = 0;
    if (offset === CONTROL) {
      this.#writeControl(value);
      return;
    }
    const c = this.state.counters[offset] as CounterState;
    // Read once: a short count could be over by a second reading, and its edge be lost.
    const tick = this.#tick();
    if (offset === 0) this.#serveDueEdge();
    switch (c.access) {
      case 1:
        loadCount(c, value, tick);
        break;
      case 2:
        loadCount(c, value << 8, tick);
        break;
      default:
        if (c.isHighWrite) {
          loadCount(c, (value << 8) | c.lowByte, tick);
        } else {
          c.lowByte = value;
          beginCount(c);
        }
        c.isHighWrite = !c.isHighWrite;
    }
    if (offset === 0) this.#updateIrq(tick);
  }

  #writeControl(value: number): void {
    const select = value >> 6;
    if (select === READ_BACK) {
      this.#readBack(value);
      return;
    }
    const c = this.state.counters[select] as CounterState;
    const access = (value >> 4) & 3;
    if (access === 0) {
      this.#latchCount(c);
      return;
    }
    if (select === 0) this.#serveDueEdge();
    setMode(c, (value >> 1) & 7, access, (value & 1) !== 0);
    if (select === 0) this.#updateIrq(this.#tick());
  }

  /** "Read-Back Command": a latch that has not been read stays. */
  #readBack(value: number): void {
    for (let i = 0; i < 3; i++) {
      if ((value & (2 << i)) === 0) continue;
      const c = this.state.counters[i] as CounterState;
      if ((value & READ_BACK_NO_COUNT) === 0) this.#latchCount(c);
      if ((value & READ_BACK_NO_STATUS) === 0 && c.statusLatch === NEVER) c.statusLatch = statusAt(c, this.#tick());
    }
  }

  #latchCount(c: CounterState): void {
    if (c.latch === NEVER) c.latch = countAt(c, this.#tick());
  }

  /** Hot path: delay loops poll it. */
  #readPort61(): number {
    const now = this.env.clock.now();
    if (now < this.#port61Until) return this.#port61Value;
    const { port61, counters } = this.state;
    const tick = nsToTicks(now);
    const half = Math.floor(tick / REFRESH_TICKS);
    const refresh = half - 2 * Math.floor(half / 2) === 1 ? REFRESH : 0;
    this.#port61Value = port61 | refresh | (outputAt(counters[2], tick) === 1 ? OUT2 : 0);
    this.#port61Until = ticksToNs(Math.min((half + 1) * REFRESH_TICKS, outputSteadyUntil(counters[2], tick)));
    return this.#port61Value;
  }

  #writePort61(value: number): void {
    const s = this.state;
    s.port61 = value & PORT61_WRITABLE;
    this.#port61Until = 0;
    setGate(s.counters[2], (value & GATE2) !== 0, this.#tick());
  }

  #onEdge(): void {
    this.#irq.set(0);
    this.#updateIrq(this.#tick());
  }

  /** A rise that the event loop has not come to yet happened before the write that would take it back. */
  #serveDueEdge(): void {
    const { edge } = this.state;
    if (edge.deadline < 0 || edge.deadline > this.env.clock.now()) return;
    edge.del();
    this.#onEdge();
  }

  /** Drives IRQ0 and arms the timer for its next rise, as seen at `tick`. */
  #updateIrq(tick: number): void {
    const { counters, edge } = this.state;
    const c = counters[0];
    this.#irq.set(c.mode >= 2 ? 1 : outputAt(c, tick)); // the low parts of other modes are sent by #onEdge
    const rise = nextRise(c, tick, c.count < MIN_EDGE_TICKS ? tick + MIN_EDGE_TICKS : tick);
    if (rise === NEVER) edge.del();
    else edge.mod(ticksToNs(rise));
  }
}

export const ISA_PIT = defineDevice({
  name: 'isa-pit',
  description: 'Interval timer 8254 and speaker port',
  bus: 'isa',
  userCreatable: false,
  properties: {},
  create: (init) => new I8254(init),
});
