/**
 * VMState: a device's saved state as a data description - names, types, ranges, versions - of a plain state object.
 * Saving, checking and loading read the same description (`state-stream.ts`); nothing here touches bytes.
 *
 * Rules: a field never changes meaning; a new field gets `since` (the version that brought it) and a default; state that
 * is rarely needed goes into a subsection with a `needed` test, so that older readers can still load the usual case.
 */

import type { DeviceTimer } from './env.ts';

export type ScalarKind = 'bool' | 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | 'f64';
export type FieldKind = ScalarKind | 'buffer' | 'array' | 'list' | 'struct' | 'structs' | 'timer';

export interface FieldLimits {
  /** Smallest and largest value that makes sense; a loaded value outside is refused by name. */
  readonly min?: number;
  readonly max?: number;
  /** Version of the description that brought the field. @default 1 */
  readonly since?: number;
  /** Value for states older than `since`. @default 0 */
  readonly default?: number;
}

export interface VmField<N extends string = string> {
  readonly name: N;
  readonly kind: FieldKind;
  /** Elements of an array, bytes of a buffer, most elements of a list; 1 for scalars. */
  readonly count: number;
  readonly element: ScalarKind;
  readonly min: number;
  readonly max: number;
  readonly since: number;
  readonly default: number;
  readonly struct: VmStruct | null;
}

export interface VmStruct {
  readonly fields: readonly VmField[];
}

const LIMITS: Readonly<Record<ScalarKind, readonly [number, number]>> = {
  bool: [0, 1],
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffffffff],
  i32: [-0x80000000, 0x7fffffff],
  u64: [0, Number.MAX_SAFE_INTEGER],
  i64: [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  f64: [-Infinity, Infinity],
};

function make<N extends string>(
  name: N,
  kind: FieldKind,
  element: ScalarKind,
  count: number,
  limits: FieldLimits = {},
  struct: VmStruct | null = null,
): VmField<N> {
  const [low, high] = LIMITS[element];
  const { min = low, max = high, since = 1 } = limits;
  return { name, kind, element, count, min, max, since, default: limits.default ?? 0, struct };
}

/** Constructors of fields. `name` is a property of the state object. */
export const field = {
  bool: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'bool', 'bool', 1, limits),
  u8: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'u8', 'u8', 1, limits),
  u16: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'u16', 'u16', 1, limits),
  u32: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'u32', 'u32', 1, limits),
  i32: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'i32', 'i32', 1, limits),
  /** A number, exact up to 2^53 - 1. Times in ns go here (or in `i64`, where -1 means "none"). */
  u64: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'u64', 'u64', 1, limits),
  i64: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'i64', 'i64', 1, limits),
  f64: <N extends string>(name: N, limits?: FieldLimits) => make(name, 'f64', 'f64', 1, limits),
  /** A Uint8Array of exactly `size` bytes, filled in place. */
  buffer: <N extends string>(name: N, size: number, limits?: FieldLimits) => make(name, 'buffer', 'u8', size, limits),
  /** A typed array or number[] of exactly `count` elements, filled in place. `min`/`max` hold for each element. */
  array: <N extends string>(name: N, element: ScalarKind, count: number, limits?: FieldLimits) =>
    make(name, 'array', element, count, limits),
  /** A number[] of at most `maxCount` elements, replaced as a whole. */
  list: <N extends string>(name: N, element: ScalarKind, maxCount: number, limits?: FieldLimits) =>
    make(name, 'list', element, maxCount, limits),
  /** A nested object. */
  struct: <N extends string>(name: N, fields: readonly VmField[], limits?: FieldLimits) =>
    make(name, 'struct', 'u8', 1, limits, { fields }),
  /** An array of exactly `count` nested objects. */
  structs: <N extends string>(name: N, fields: readonly VmField[], count: number, limits?: FieldLimits) =>
    make(name, 'structs', 'u8', count, limits, { fields }),
  /** A DeviceTimer: its deadline is saved, and it is armed or deleted on load. */
  timer: <N extends string>(name: N, limits?: FieldLimits) =>
    make(name, 'timer', 'i64', 1, { min: -1, default: -1, ...limits }),
} as const;

/** A state object as decoded: timers as their deadline in ns (-1: not armed), arrays and buffers as number[]. */
export type Decoded<S> = {
  readonly [K in keyof S]: S[K] extends DeviceTimer
    ? number
    : S[K] extends { readonly length: number; readonly [index: number]: number }
      ? readonly number[]
      : S[K] extends readonly (infer E)[]
        ? readonly Decoded<E>[]
        : S[K] extends object
          ? Decoded<S[K]>
          : S[K];
};

export interface VmSubsection<S> {
  readonly name: string;
  readonly version: number;
  /** Is this part needed to restore `state`? When not, it is left out. */
  needed(state: S): boolean;
  readonly fields: readonly VmField<keyof S & string>[];
  /** What the fields are when the part was left out. */
  readonly absent: Partial<S>;
}

export interface VmStateInit<S> {
  /** Name of the layout, usually the chip: 'i8254'. */
  readonly name: string;
  /** Written into new states. */
  readonly version: number;
  /** Oldest version that can still be loaded. @default 1 */
  readonly minVersion?: number;
  readonly fields: readonly VmField<keyof S & string>[];
  readonly subsections?: readonly VmSubsection<S>[];
  /** Last look at a decoded state before anything is changed: returns what contradicts what, or null. */
  check?(incoming: Decoded<S>, version: number): string | null;
}

/** State description without its type parameter, as the stream code sees it. */
export interface VmState {
  readonly name: string;
  readonly version: number;
  readonly minVersion: number;
  readonly fields: readonly VmField[];
  readonly subsections: readonly VmSubsection<never>[];
  check(incoming: never, version: number): string | null;
}

/** Builds a description of state objects of type `S`, and checks it. */
export function defineVmState<S extends object>(init: VmStateInit<S>): VmState {
  checkFields(init.name, init.fields);
  for (const part of init.subsections ?? []) checkFields(`${init.name}/${part.name}`, part.fields);
  return {
    name: init.name,
    version: init.version,
    minVersion: init.minVersion ?? 1,
    fields: init.fields,
    subsections: (init.subsections ?? []) as readonly unknown[] as readonly VmSubsection<never>[],
    check: (incoming, version) => init.check?.(incoming as Decoded<S>, version) ?? null,
  };
}

function checkFields(section: string, fields: readonly VmField[]): void {
  const seen = new Set<string>();
  for (const entry of fields) {
    if (seen.has(entry.name)) throw new Error(`vmstate ${section}: field ${entry.name} is described twice`);
    seen.add(entry.name);
    if (!Number.isSafeInteger(entry.count) || entry.count < 1 || entry.count > MAX_FIELD_COUNT)
      throw new Error(`vmstate ${section}: field ${entry.name} has count ${entry.count}`);
    if (entry.struct !== null) checkFields(`${section}.${entry.name}`, entry.struct.fields);
  }
}

/** Most elements of one field. Guest RAM is not a field: it has its own transfer. */
export const MAX_FIELD_COUNT = 1 << 24;
