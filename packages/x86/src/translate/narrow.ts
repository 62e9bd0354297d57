/**
 * Integers by operand size: values of 8, 16 and 32 bits are i32, those of 64 bits are i64. Cutting, extension and the
 * way between the two types, all of which emit nothing when the bits are known already.
 */
import { I64, opId } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const EXT_U = opId('i64_extend_i32_u');
const EXT_S = opId('i64_extend_i32_s');
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

  // --- the two types ----------------------------------------------------------------------------------------------
  /** Low 32 bits of a value of either type, as i32. */
  low(v: Value): Value {
    const { b } = this;
    if (b.typeOf(v) !== I64) return v;
    const { block } = b;
    const op = block.op[v]!;
    if (op === EXT_U || op === EXT_S) return block.a[v]!;
    return op === I64_CONST ? b.i32(block.imm[v]!) : b.wrap(v);
  }
  /** High 32 bits of an i64, as i32. */
  high(v: Value): Value {
    const { b } = this;
    const { block } = b;
    const op = block.op[v]!;
    if (op === I64_CONST) return b.i32(block.imm2[v]!);
    return op === EXT_U ? b.i32(0) : b.wrap(b.shr(v, b.i64(32)));
  }
  /** i32 to i64, zero-extended. */
  extend(v: Value): Value {
    const { b } = this;
    return b.isConst(v) ? b.i64Parts(b.constOf(v), 0) : b.extU(v);
  }
  /** i32 to i64, sign-extended. */
  extendSigned(v: Value): Value {
    const { b } = this;
    return b.isConst(v) ? b.i64Parts(b.constOf(v), b.constOf(v) >> 31) : b.extS(v);
  }
  /** A value of either type in the type of an operand of `size`: zero-extended or cut to 32 bits. */
  sized(size: number, v: Value): Value {
    if (size < 3) return this.low(v);
    return this.b.typeOf(v) === I64 ? v : this.extend(v);
  }
  /** The constant in the type of an operand of `size`. */
  int(size: number, v: number): Value {
    return size === 3 ? this.b.i64(v) : this.b.i32(v);
  }
  /** i64 from two i32. */
  pair(low: Value, high: Value): Value {
    const { b } = this;
    return b.or(b.shl(this.extend(high), b.i64(32)), this.extend(low));
  }
  /** v + n, nothing when n is 0. */
  plus(v: Value, n: number): Value {
    const { b } = this;
    return n === 0 ? v : b.add(v, b.int(b.typeOf(v), n));
  }
  /** Known to be the constant n (of either type), which is not negative and below 2^31. */
  isConstant(v: Value, n: number): boolean {
    const { block } = this.b;
    const op = block.op[v]!;
    if (op === I64_CONST) return block.imm[v] === n && block.imm2[v] === 0;
    return op === I32_CONST && block.imm[v] === n;
  }
  /** Bit n of a value of either type, as i32 0 or 1. */
  bit(v: Value, n: number): Value {
    const { b } = this;
    if (b.typeOf(v) === I64) {
      if (n < 32) return this.bit(this.low(v), n);
      const top = b.wrap(b.shr(v, b.i64(n)));
      return n === 63 ? top : b.and(top, b.i32(1));
    }
    if (n === 31) return b.shr(v, b.i32(31));
    return b.and(n === 0 ? v : b.shr(v, b.i32(n)), b.i32(1));
  }

  // --- narrow i32 values ------------------------------------------------------------------------------------------
  /** v without the bits above `bits` (8, 16; 32 and 64: all of it). */
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

  /** v sign-extended from `size` (log2 bytes) to 32 bits; an i64 as it is. */
  signed(v: Value, size: number): Value {
    if (size === 0) return this.b.ext8s(v);
    return size === 1 ? this.b.ext16s(v) : v;
  }
}
