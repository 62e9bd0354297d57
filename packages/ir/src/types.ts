/**
 * Value types and handles of the IR. Types are small integers so that tables indexed by them stay typed arrays.
 * A `Value` is the index of the op that defines it; straight-line SSA, one definition, never reassigned.
 */

export const I32 = 0;
export const I64 = 1;
export const F32 = 2;
export const F64 = 3;
export const V128 = 4;
/** The op defines no value. */
export const NONE = 5;

export type IrType = 0 | 1 | 2 | 3 | 4 | 5;

export const TYPE_NAMES = ['i32', 'i64', 'f32', 'f64', 'v128', 'none'] as const;

/** Index of the defining op inside its block. -1: no operand. */
export type Value = number;

/**
 * One named piece of CPU state that code keeps in a register: read with `get`, written with `set`.
 * Within a region it lives in a WebAssembly local; outside at `offset` bytes from the env base, little-endian.
 * `type` i32 over a 64-bit slot names its low half.
 */
export interface GlobalDef {
  readonly name: string;
  readonly type: IrType;
  readonly offset: number;
}
