/**
 * Narrow integers as i32 values: cutting and sign extension that emit nothing when the bits are known already.
 */
import { opId } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';

const I32_CONST = opId('i32_const');
const AND = opId('i32_and');
const OR = opId('i32_or');
const XOR = opId('i32_xor');
const SHR_U = opId('i32_shr_u');
const SELECT = opId('i32_select');

/** Width in bits of ops whose result is bounded by nature, by op id; 0: not bounded. */
const BOUNDED = new Uint8Array(1024);
for (const name of ['ld8u', 'envld_8u', 'envldx_8u']) BOUNDED[opId(name)] = 8;
for (const name of ['ld16u', 'envld_16u', 'envldx_16u']) BOUNDED[opId(name)] = 16;
for (const name of ['clz', 'ctz', 'popcnt']) BOUNDED[opId(`i32_${name}`)] = 6;
for (const name of ['eqz', 'eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u'])
  BOUNDED[opId(`i32_${name}`)] = 1;

/** Operands looked through when asking how wide a value is. */
const DEPTH = 3;

export class Narrow {
  readonly b: IrBuilder;

  constructor(b: IrBuilder) {
    this.b = b;
  }

  /** v without the bits above `bits` (8, 16 or 32). */
  cut(v: Value, bits: number): Value {
    if (bits >= 32 || this.fits(v, bits)) return v;
    return this.b.and(v, this.b.i32(bits === 8 ? 0xff : 0xffff));
  }
  /** True when v is known to be below 2^bits. */
  fits(v: Value, bits: number): boolean {
    return this.#fits(v, bits, DEPTH);
  }

  #fits(v: Value, bits: number, depth: number): boolean {
    const { block } = this.b;
    const op = block.op[v]!;
    if (op === I32_CONST) return block.imm[v]! >>> bits === 0;
    const known = BOUNDED[op]!;
    if (known !== 0) return known <= bits;
    if (op === AND) {
      const m = block.b[v]!;
      if (block.op[m] === I32_CONST && block.imm[m]! >>> bits === 0) return true;
      return depth > 0 && (this.#fits(block.a[v]!, bits, depth - 1) || this.#fits(m, bits, depth - 1));
    }
    if (depth === 0) return false;
    if (op === OR || op === XOR || op === SELECT)
      return this.#fits(block.a[v]!, bits, depth - 1) && this.#fits(block.b[v]!, bits, depth - 1);
    if (op === SHR_U) {
      const k = block.b[v]!;
      return (
        (block.op[k] === I32_CONST && (block.imm[k]! & 31) >= 32 - bits) || this.#fits(block.a[v]!, bits, depth - 1)
      );
    }
    return false;
  }

  /** v sign-extended from `size` (log2 bytes) to 32 bits. */
  signed(v: Value, size: number): Value {
    if (size === 0) return this.b.ext8s(v);
    return size === 1 ? this.b.ext16s(v) : v;
  }
}
