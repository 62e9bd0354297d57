/**
 * Random operations on a device: port and memory accesses of every size, time, and whatever the test adds. Repeatable
 * from its seed. A failure names the seed, the step and the last operations, so that it can be pasted into a test.
 */
import type { FakeBus } from './fake-bus.ts';
import { Random } from './random.ts';

export interface FuzzOptions {
  readonly bus: FakeBus;
  readonly seed: number;
  /** Number of operations; 10^4 to 10^5 keeps a test quick. */
  readonly operations: number;
  /** Ports to aim at; neighbours are hit too, by wide accesses. */
  readonly ports?: readonly number[];
  /** Memory addresses to aim at. */
  readonly mmio?: readonly number[];
  /** Largest step of time, ns. 0: time stands still. @default 2_000_000 */
  readonly maxAdvance?: number;
  /** Further operations by name: inject input, unplug a backend, load a state. */
  readonly extra?: Readonly<Record<string, (random: Random) => void>>;
  /** Checked after every operation; throws or returns a text when something is wrong. */
  readonly invariant?: () => string | null | void;
}

const HISTORY = 20;

export function fuzzDevice(options: FuzzOptions): void {
  const random = new Random(options.seed);
  const history: string[] = [];
  const kinds: (() => string)[] = [];
  if ((options.ports ?? []).length > 0) for (let i = 0; i < 8; i++) kinds.push(() => portOperation(options, random));
  if ((options.mmio ?? []).length > 0) for (let i = 0; i < 8; i++) kinds.push(() => memoryOperation(options, random));
  if ((options.maxAdvance ?? 1) > 0) kinds.push(() => timeOperation(options, random));
  for (const [name, action] of Object.entries(options.extra ?? {})) {
    kinds.push(() => {
      action(random);
      return name;
    });
  }
  for (let step = 0; step < options.operations; step++) {
    let problem: string | null;
    try {
      history.push(random.pick(kinds)());
      problem = options.invariant?.() ?? null;
    } catch (error) {
      problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    if (history.length > HISTORY) history.shift();
    if (problem !== null)
      throw new Error(`seed ${options.seed}, step ${step}: ${problem}\nlast operations:\n  ${history.join('\n  ')}`);
  }
}

function portOperation({ bus, ports = [] }: FuzzOptions, random: Random): string {
  const port = random.pick(ports);
  const size = random.pick([1, 1, 1, 2, 4] as const);
  const isWrite = random.below(2) === 0;
  const value = random.nasty(size * 8);
  const text = isWrite
    ? `out${size * 8}(0x${port.toString(16)}, 0x${value.toString(16)})`
    : `in${size * 8}(0x${port.toString(16)})`;
  return access(
    text,
    size,
    isWrite,
    value,
    (v) => bus.out8(port, v),
    (v) => bus.out16(port, v),
    (v) => bus.out32(port, v),
    () => bus.in8(port),
    () => bus.in16(port),
    () => bus.in32(port),
  );
}

function memoryOperation({ bus, mmio = [] }: FuzzOptions, random: Random): string {
  const address = random.pick(mmio);
  const size = random.pick([1, 2, 4, 4, 4] as const);
  const isWrite = random.below(2) === 0;
  const value = random.nasty(size * 8);
  const text = isWrite
    ? `write${size * 8}(0x${address.toString(16)}, 0x${value.toString(16)})`
    : `read${size * 8}(0x${address.toString(16)})`;
  const m = bus.memory;
  return access(
    text,
    size,
    isWrite,
    value,
    (v) => m.write8(address, v),
    (v) => m.write16(address, v),
    (v) => m.write32(address, v),
    () => m.read8(address),
    () => m.read16(address),
    () => m.read32(address),
  );
}

type Store = (value: number) => void;
type Load = () => number;

function access(
  text: string,
  size: 1 | 2 | 4,
  isWrite: boolean,
  value: number,
  w8: Store,
  w16: Store,
  w32: Store,
  r8: Load,
  r16: Load,
  r32: Load,
): string {
  if (isWrite) (size === 1 ? w8 : size === 2 ? w16 : w32)(value);
  else {
    const read = (size === 1 ? r8 : size === 2 ? r16 : r32)();
    if (!Number.isInteger(read) || read < 0 || read >= 2 ** (size * 8))
      throw new Error(`${text} gave ${read}, which is not an unsigned ${size * 8}-bit value`);
  }
  return text;
}

function timeOperation({ bus, maxAdvance = 2_000_000 }: FuzzOptions, random: Random): string {
  const ns = random.below(4) === 0 ? random.below(100) : random.below(maxAdvance);
  bus.advance(ns);
  return `advance(${ns})`;
}
