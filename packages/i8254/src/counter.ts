/**
 * One counter of the 8254: its count, output and next edge are computed from absolute ticks; nothing ticks.
 * A count that is written is loaded one tick later (`start`), as in the data sheet's waveforms.
 * Intel 8254 data sheet (231164-005), "Mode Definitions" and "Operation Common to All Modes".
 */

/** No pending event. */
export const NEVER = -1;

export interface CounterState {
  /** 0 to 5. */
  mode: number;
  bcd: boolean;
  /** 1: low byte, 2: high byte, 3: low then high. */
  access: number;
  /** Initial count in force, 1 to 65536. */
  count: number;
  /** Has a count been written since the control word? */
  isLoaded: boolean;
  /** Tick at which `count` was loaded; NEVER: counting has not begun (waits for a trigger). */
  start: number;
  /** Ticks already counted when the gate stopped the counter; NEVER: it is not stopped. */
  pausedAt: number;
  /** Count that replaces `count` at tick `reloadAt` (modes 2 and 3 finish their cycle first; modes 1 and 5 wait for a trigger). */
  nextCount: number;
  reloadAt: number;
  gate: boolean;
  /** First byte of a two-byte write. */
  lowByte: number;
  isHighWrite: boolean;
  isHighRead: boolean;
  /** Latched count; NEVER: none. */
  latch: number;
  /** Latched status; NEVER: none. */
  statusLatch: number;
  /** Modes 1 and 5 write counts without loading them. */
  isArmed: boolean;
}

export function makeCounter(): CounterState {
  return {
    mode: 0,
    bcd: false,
    access: 3,
    count: 0x10000,
    isLoaded: false,
    start: NEVER,
    pausedAt: NEVER,
    nextCount: 0,
    reloadAt: NEVER,
    gate: true,
    lowByte: 0,
    isHighWrite: false,
    isHighRead: false,
    latch: NEVER,
    statusLatch: NEVER,
    isArmed: false,
  };
}

const isPeriodic = (c: CounterState): boolean => c.mode === 2 || c.mode === 3;
const isTriggered = (c: CounterState): boolean => c.mode === 1 || c.mode === 5;

/** Where the counter wraps. */
function modulus(c: CounterState): number {
  return c.bcd ? 10_000 : 0x10000;
}

/** Takes over a count whose time has come. To be called before anything is computed for `tick`. */
export function syncCounter(c: CounterState, tick: number): void {
  if (c.reloadAt !== NEVER && tick >= c.reloadAt) {
    c.start = c.reloadAt;
    c.count = c.nextCount;
    c.reloadAt = NEVER;
  }
}

/** Ticks counted since the load; -1 before it. */
function elapsed(c: CounterState, tick: number): number {
  if (c.start === NEVER) return -1;
  return c.pausedAt !== NEVER ? c.pausedAt : tick - c.start;
}

/** A control word: the output goes to its initial level, counting waits for a count. */
export function setMode(c: CounterState, mode: number, access: number, bcd: boolean): void {
  c.mode = mode > 5 ? mode - 4 : mode; // modes 6 and 7 are 2 and 3
  c.access = access;
  c.bcd = bcd;
  c.isLoaded = c.isArmed = c.isHighWrite = c.isHighRead = false;
  c.start = c.pausedAt = c.reloadAt = c.latch = c.statusLatch = NEVER;
}

/** A complete count, as written. */
export function loadCount(c: CounterState, raw: number, tick: number): void {
  const value = c.bcd ? fromBcd(raw) : raw;
  const count = value === 0 ? modulus(c) : value;
  c.isLoaded = true;
  if (isTriggered(c)) {
    c.nextCount = count;
    c.isArmed = true;
    return;
  }
  if (isPeriodic(c) && c.start !== NEVER && c.pausedAt === NEVER) {
    c.nextCount = count;
    c.reloadAt = cycleEnd(c, tick);
    return;
  }
  c.count = count;
  c.reloadAt = NEVER;
  c.start = tick + 1;
  c.pausedAt = c.gate ? NEVER : 0;
}

/** First byte of a two-byte count: mode 0 stops, with its output low. */
export function beginCount(c: CounterState): void {
  if (c.mode !== 0) return;
  c.isLoaded = false;
  c.start = c.pausedAt = NEVER;
}

/** Tick at which mode 2 has finished its cycle, mode 3 its half cycle. */
function cycleEnd(c: CounterState, tick: number): number {
  const n = c.count;
  if (tick < c.start) return c.start;
  const cycles = Math.floor((tick - c.start) / n);
  const base = c.start + cycles * n;
  if (c.mode === 3) {
    const half = base + ((n + 1) >> 1);
    if (tick < half) return half;
  }
  return base + n;
}

/** The gate changes: "Gate Pin Operations Summary", figure 22. */
export function setGate(c: CounterState, gate: boolean, tick: number): void {
  syncCounter(c, tick);
  const wasHigh = c.gate;
  c.gate = gate;
  if (wasHigh === gate) return;
  if (!gate) {
    if (!isTriggered(c) && c.start !== NEVER) c.pausedAt = Math.max(tick - c.start, 0);
    return;
  }
  if (isTriggered(c)) {
    if (!c.isLoaded) return;
    if (c.isArmed) c.count = c.nextCount;
    c.isArmed = false;
    c.start = tick + 1;
  } else if (c.start !== NEVER && c.pausedAt !== NEVER) {
    if (isPeriodic(c)) {
      if (c.reloadAt !== NEVER) c.count = c.nextCount;
      c.reloadAt = NEVER;
      c.start = tick + 1;
    } else {
      c.start = tick - c.pausedAt;
    }
    c.pausedAt = NEVER;
  }
}

/** d modulo n for 0 <= d < 2^52, 1 <= n <= 2^16; the quotient is exact. Faster than `%`, which is a library call on doubles. */
const modulo = (d: number, n: number): number => d - n * Math.floor(d / n);

/** OUT at `tick`. */
export function outputAt(c: CounterState, tick: number): number {
  syncCounter(c, tick);
  const d = elapsed(c, tick);
  const n = c.count;
  switch (c.mode) {
    case 0:
      return c.start !== NEVER && d >= n ? 1 : 0;
    case 1:
      return c.start !== NEVER && d >= 0 && d < n ? 0 : 1;
    case 2:
      return c.start === NEVER || c.pausedAt !== NEVER || d < 0 || n === 1 || modulo(d, n) !== n - 1 ? 1 : 0;
    case 3:
      return c.start === NEVER || c.pausedAt !== NEVER || d < 0 || modulo(d, n) < (n + 1) >> 1 ? 1 : 0;
    default:
      return c.start !== NEVER && d === n ? 0 : 1;
  }
}

/** First tick after `tick` at which OUT may be another than at `tick`; infinite: not by itself. */
export function outputSteadyUntil(c: CounterState, tick: number): number {
  if (c.start === NEVER || c.pausedAt !== NEVER) return Infinity;
  if (c.mode > 1) return tick + 1;
  if (c.mode === 1 && tick < c.start) return c.start;
  const end = c.start + c.count;
  return tick < end ? end : Infinity;
}

/** The counting element at `tick`, as the guest reads it. */
export function countAt(c: CounterState, tick: number): number {
  syncCounter(c, tick);
  const d = Math.max(elapsed(c, tick), 0);
  const n = c.count;
  const m = modulus(c);
  let value: number;
  if (c.start === NEVER) {
    value = c.count;
  } else if (c.mode === 2) {
    value = n - (d % n);
  } else if (c.mode === 3) {
    // counts by two; an odd count is first made even (mode 3, "odd counts")
    const half = (n + 1) >> 1;
    const within = d % n;
    value = (n & ~1) - 2 * (within < half ? within : within - half);
  } else {
    value = (((n - d) % m) + m) % m;
  }
  value %= m;
  return c.bcd ? toBcd(value) : value;
}

/** Status byte of the read-back command, figure 11. */
export function statusAt(c: CounterState, tick: number): number {
  const output = outputAt(c, tick);
  const isNull = !c.isLoaded || c.isArmed || c.reloadAt !== NEVER || (c.start !== NEVER && tick < c.start);
  return (output << 7) | (isNull ? 1 << 6 : 0) | (c.access << 4) | (c.mode << 1) | (c.bcd ? 1 : 0);
}

/** The first tick after `tick` at which OUT rises; NEVER when it will not by itself. A periodic one may be asked for after `earliest`. */
export function nextRise(c: CounterState, tick: number, earliest = tick): number {
  syncCounter(c, tick);
  if (c.start === NEVER || c.pausedAt !== NEVER) return NEVER;
  const n = c.count;
  if (isPeriodic(c)) {
    if (n === 1) return NEVER;
    if (c.reloadAt !== NEVER) return riseWithReload(c, tick);
    return c.start + n * (Math.floor(Math.max(earliest - c.start, 0) / n) + 1);
  }
  const rise = c.mode === 0 || c.mode === 1 ? c.start + n : c.start + n + 1;
  return rise > tick ? rise : NEVER;
}

/** A new count starts with a high output: at a cycle's end that is a rise, in the middle of mode 3 it is the low half that is left out. */
function riseWithReload(c: CounterState, tick: number): number {
  if (tick < c.start) return c.start + c.nextCount;
  return outputAt(c, c.reloadAt - 1) === 0 ? c.reloadAt : c.reloadAt + c.nextCount;
}

export function fromBcd(raw: number): number {
  return (raw >> 12) * 1000 + ((raw >> 8) & 15) * 100 + ((raw >> 4) & 15) * 10 + (raw & 15);
}

export function toBcd(value: number): number {
  return (
    ((Math.floor(value / 1000) % 10) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  );
}
