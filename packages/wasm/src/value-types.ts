/**
 * Value types and block types of the binary format.
 * Spec: WebAssembly Core 2.0 §5.3 (Binary Format, Types).
 */

/** Value types by text name, with their binary encoding. */
export const VALTYPE = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
} as const;

export type ValType = (typeof VALTYPE)[keyof typeof VALTYPE];

/** What a block takes and yields: nothing (`undefined`), one result, or a whole function type by its index. */
export type BlockType = ValType | { readonly type: number };

/** Block type that takes and yields nothing. */
export const EMPTY_BLOCK_TYPE = 0x40;
