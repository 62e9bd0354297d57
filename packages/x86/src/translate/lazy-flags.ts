/**
 * Lazy flags inside a block: what the translator knows statically about CC_OP, and the conditions as IR.
 *
 * Every flag-setting instruction sets CC_OP/CC_DST/CC_SRC(/CC_SRC2); sets that nobody reads cost nothing (the builder
 * and the region passes drop them). While CC_OP is known, a condition becomes a compare of the operation's own
 * operands. When it is not (block entry, after a shift by a variable count) the same is computed from CC_OP itself, as
 * pure ops that vanish when dead; nothing here ever leaves the block.
 * In 64-bit code the CC globals are i64; what an operation of at most 32 bits puts there is zero-extended, and read as i32.
 */
import { I64 } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';
import {
  CC_EFLAGS,
  KIND_ADC,
  KIND_ADD,
  KIND_DEC,
  KIND_GIVEN,
  KIND_INC,
  KIND_LOGIC,
  KIND_MUL,
  KIND_SAR,
  KIND_SBB,
  KIND_SHL,
  KIND_SUB,
  ccOp,
} from '../flags.ts';
import { FLAGS_ARITH, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_ZF, G } from '../state.ts';
import { alignedDst, dynamicAdjust, dynamicCarry, dynamicOverflow, dynamicSign, isEflags } from './dynamic-flags.ts';
import { Narrow } from './narrow.ts';

/** Condition codes, bits 1-3 of the opcode's low nibble (bit 0 negates). SDM Vol. 1 Appendix B. */
const COND_O = 0;
const COND_B = 1;
const COND_E = 2;
const COND_BE = 3;
const COND_S = 4;
const COND_P = 5;
const COND_L = 6;

const UNKNOWN = -1;

export class LazyFlags extends Narrow {
  /** CC_OP where it is known, else -1. */
  ccOp = UNKNOWN;
  /** Operands of a known SUB, zero-extended, or -1. */
  #left = -1;
  #right = -1;
  /** CF as 0/1 when some value of the block is it. */
  #carry = -1;

  /** The CC globals are i64. */
  readonly #wide: boolean;

  constructor(b: IrBuilder) {
    super(b);
    this.#wide = b.globals[G.CC_DST]!.type === I64;
  }

  beginFlags(op: number): void {
    this.ccOp = op;
    this.#left = -1;
    this.#carry = -1;
  }
  /** A script helper may have changed the flags. */
  forgetFlags(): void {
    this.beginFlags(UNKNOWN);
  }

  /** A value in the type of the CC globals. */
  #global(v: Value): Value {
    return this.#wide && this.b.typeOf(v) !== I64 ? this.extend(v) : v;
  }

  // --- setting ----------------------------------------------------------------------------------------------------
  #set(op: number, dst: Value, src: Value): void {
    const { b } = this;
    b.set(G.CC_OP, b.i32(op));
    if (dst >= 0) b.set(G.CC_DST, this.#global(dst));
    if (src >= 0) b.set(G.CC_SRC, this.#global(src));
    this.ccOp = op;
    this.#left = -1;
    this.#carry = -1;
  }
  setAdd(size: number, result: Value, right: Value): void {
    this.#set(ccOp(KIND_ADD, size), result, right);
  }
  setAdc(size: number, result: Value, right: Value, carryIn: Value): void {
    this.#set(ccOp(KIND_ADC, size), result, right);
    this.b.set(G.CC_SRC2, this.#global(carryIn));
  }
  /** left and right zero-extended. */
  setSub(size: number, result: Value, left: Value, right: Value): void {
    this.#set(ccOp(KIND_SUB, size), result, right);
    this.#left = left;
    this.#right = right;
  }
  setSbb(size: number, result: Value, right: Value, borrowIn: Value): void {
    this.#set(ccOp(KIND_SBB, size), result, right);
    this.b.set(G.CC_SRC2, this.#global(borrowIn));
  }
  setLogic(size: number, result: Value): void {
    this.#set(ccOp(KIND_LOGIC, size), result, -1);
  }
  setInc(size: number, result: Value): void {
    this.#setKeepingCarry(KIND_INC, size, result);
  }
  setDec(size: number, result: Value): void {
    this.#setKeepingCarry(KIND_DEC, size, result);
  }
  #setKeepingCarry(kind: number, size: number, result: Value): void {
    const carry = this.carry();
    this.#set(ccOp(kind, size), result, carry);
    this.#carry = carry;
  }
  /** Shift left; `before` = the value shifted by count - 1. */
  setShl(size: number, result: Value, before: Value): void {
    this.#set(ccOp(KIND_SHL, size), result, before);
  }
  setSar(size: number, result: Value, before: Value): void {
    this.#set(ccOp(KIND_SAR, size), result, before);
  }
  setMul(size: number, low: Value, overflow: Value): void {
    this.#set(ccOp(KIND_MUL, size), low, overflow);
    this.#carry = overflow;
  }
  /** ZF SF PF from dst; CF, OF (0/1 values) given; AF 0. */
  setGiven(size: number, dst: Value, carry: Value, overflow: Value): void {
    const { b } = this;
    this.#set(ccOp(KIND_GIVEN, size), dst, b.or(carry, b.shl(overflow, b.i32(11))));
    this.#carry = carry;
  }
  /** ZF SF PF from dst; CF, AF, OF at their EFLAGS positions in `bits`. */
  setBits(size: number, dst: Value, bits: Value): void {
    this.#set(ccOp(KIND_GIVEN, size), dst, bits);
  }
  /** ZF alone (0/1), the rest stays. */
  setZero(zero: Value): void {
    const { b } = this;
    this.setEflags(b.or(b.and(this.allFlags(), b.i32(~FLAG_ZF)), b.shl(zero, b.i32(6))));
  }
  /** All six from EFLAGS bits (others must be clear). */
  setEflags(bits: Value): void {
    this.#set(CC_EFLAGS, -1, bits);
  }
  /** The operation of `set` where count != 0, else the flags stay: after this CC_OP is not known. */
  setUnless(countIsZero: Value, op: number, dst: Value, src: Value): void {
    const { b } = this;
    if (b.isConst(countIsZero)) {
      if (b.constOf(countIsZero) === 0) this.#set(op, dst, src);
      return;
    }
    const known = this.ccOp;
    b.set(G.CC_OP, b.select(countIsZero, b.get(G.CC_OP), b.i32(op)));
    b.set(G.CC_DST, b.select(countIsZero, b.get(G.CC_DST), this.#global(dst)));
    b.set(G.CC_SRC, b.select(countIsZero, b.get(G.CC_SRC), this.#global(src)));
    this.beginFlags(known === op ? op : UNKNOWN);
  }
  /** Change CF and OF (0/1 values; -1: keep), leave the rest. */
  setCarryOverflow(carry: Value, overflow: Value): void {
    const { b } = this;
    const mask = (carry >= 0 ? FLAG_CF : 0) | (overflow >= 0 ? FLAG_OF : 0);
    let bits = carry >= 0 ? carry : b.i32(0);
    if (overflow >= 0) bits = b.or(bits, b.shl(overflow, b.i32(11)));
    if (this.ccOp > CC_EFLAGS) {
      if (overflow < 0) bits = b.or(bits, b.shl(this.overflow(), b.i32(11)));
      if (carry < 0) bits = b.or(bits, this.carry());
      const size = (this.ccOp - 1) & 3;
      this.#set(ccOp(KIND_GIVEN, size), -1, b.or(bits, this.#adjust()));
    } else {
      this.#set(CC_EFLAGS, -1, b.or(b.and(this.allFlags(), b.i32(~mask)), bits));
    }
    this.#carry = carry;
  }

  // --- reading: each flag as 0/1 ----------------------------------------------------------------------------------
  get #kind(): number {
    return (this.ccOp - 1) >> 2;
  }
  get #size(): number {
    return (this.ccOp - 1) & 3;
  }
  /** Contents of a CC global in the type of the known operation; i32 while it is EFLAGS. */
  #operand(global: number): Value {
    const v = this.b.get(global);
    return this.ccOp > CC_EFLAGS && this.#size === 3 ? v : this.low(v);
  }
  #dst(): Value {
    return this.#operand(G.CC_DST);
  }
  #src(): Value {
    return this.#operand(G.CC_SRC);
  }
  /** Carry in of a known ADC or SBB, in its type. */
  #carryIn(): Value {
    return this.#operand(G.CC_SRC2);
  }
  /** First operand of a known addition or subtraction, with garbage above its width. */
  #first(): Value {
    const { b } = this;
    if (this.#left >= 0) return this.#left;
    const kind = this.#kind;
    const dst = this.#dst();
    const src = this.#src();
    const base = kind === KIND_ADD || kind === KIND_ADC ? b.sub(dst, src) : b.add(dst, src);
    if (kind === KIND_ADC) return b.sub(base, this.#carryIn());
    return kind === KIND_SBB ? b.add(base, this.#carryIn()) : base;
  }

  carry(): Value {
    if (this.#carry < 0) this.#carry = this.#computeCarry();
    return this.#carry;
  }
  #computeCarry(): Value {
    const { b } = this;
    if (this.ccOp < 0) return dynamicCarry(this);
    const src = this.#src();
    if (this.ccOp === CC_EFLAGS) return this.bit(src, 0);
    const bits = 8 << this.#size;
    switch (this.#kind) {
      case KIND_ADD:
        return b.ltU(this.cut(this.#dst(), bits), this.cut(src, bits));
      case KIND_ADC: {
        const d = this.cut(this.#dst(), bits);
        const s = this.cut(src, bits);
        return b.or(b.ltU(d, s), b.and(this.low(this.#carryIn()), b.eq(d, s)));
      }
      case KIND_SUB:
        return b.ltU(this.cut(this.#first(), bits), this.#left >= 0 ? this.#right : this.cut(src, bits));
      case KIND_SBB: {
        const a = this.cut(this.#first(), bits);
        const s = this.cut(src, bits);
        return b.or(b.ltU(a, s), b.and(this.low(this.#carryIn()), b.eq(a, s)));
      }
      case KIND_LOGIC:
        return b.i32(0);
      case KIND_SHL:
        return this.bit(src, bits - 1);
      default:
        return this.bit(src, 0);
    }
  }
  zero(): Value {
    const { b } = this;
    if (this.ccOp < 0) return b.select(isEflags(b), this.bit(this.#src(), 6), b.eqz(alignedDst(this)));
    if (this.ccOp === CC_EFLAGS) return this.bit(this.#src(), 6);
    return this.#left >= 0 ? b.eq(this.#left, this.#right) : b.eqz(this.cut(this.#dst(), 8 << this.#size));
  }
  sign(): Value {
    const { b } = this;
    if (this.ccOp < 0) return b.select(isEflags(b), this.bit(this.#src(), 7), dynamicSign(this));
    if (this.ccOp === CC_EFLAGS) return this.bit(this.#src(), 7);
    return this.bit(this.#dst(), (8 << this.#size) - 1);
  }
  parity(): Value {
    const { b } = this;
    if (this.ccOp === CC_EFLAGS) return this.bit(this.#src(), 2);
    const even = b.eqz(b.and(b.popcnt(b.and(this.low(this.#dst()), b.i32(0xff))), b.i32(1)));
    return this.ccOp < 0 ? b.select(isEflags(b), this.bit(this.#src(), 2), even) : even;
  }
  overflow(): Value {
    const { b } = this;
    if (this.ccOp < 0) return dynamicOverflow(this);
    const src = this.#src();
    if (this.ccOp === CC_EFLAGS) return this.bit(src, 11);
    const top = (8 << this.#size) - 1;
    const dst = this.#dst();
    switch (this.#kind) {
      case KIND_ADD:
      case KIND_ADC:
        return this.bit(b.and(b.xor(dst, this.#first()), b.xor(dst, src)), top);
      case KIND_SUB:
      case KIND_SBB: {
        const a = this.#first();
        return this.bit(b.and(b.xor(a, src), b.xor(a, dst)), top);
      }
      case KIND_INC:
        return b.eq(this.cut(dst, top + 1), this.#extreme(top, 0));
      case KIND_DEC:
        return b.eq(this.cut(dst, top + 1), this.#extreme(top, 1));
      case KIND_LOGIC:
        return b.i32(0);
      case KIND_SHL:
      case KIND_SAR:
        return this.bit(b.xor(dst, src), top);
      case KIND_MUL:
        return this.bit(src, 0);
      default:
        return this.bit(src, 11);
    }
  }
  /** 2^top - less, in the type of an operation whose top bit that is. */
  #extreme(top: number, less: number): Value {
    const { b } = this;
    if (top === 63) return b.i64Parts(-less, less === 0 ? -0x80000000 : 0x7fffffff);
    return b.i32(2 ** top - less);
  }
  /** AF in its EFLAGS position. */
  #adjust(): Value {
    const { b } = this;
    const mask = b.i32(FLAG_AF);
    if (this.ccOp < 0) return dynamicAdjust(this);
    if (this.ccOp === CC_EFLAGS) return b.and(this.#src(), mask);
    const dst = this.low(this.#dst());
    switch (this.#kind) {
      case KIND_ADD:
      case KIND_ADC:
      case KIND_SUB:
      case KIND_SBB:
        return b.and(b.xor(b.xor(dst, this.low(this.#src())), this.low(this.#first())), mask);
      case KIND_INC:
        return b.shl(b.eqz(b.and(dst, b.i32(15))), b.i32(4));
      case KIND_DEC:
        return b.shl(b.eq(b.and(dst, b.i32(15)), b.i32(15)), b.i32(4));
      case KIND_GIVEN:
        return b.and(this.low(this.#src()), mask);
      default:
        return b.i32(0);
    }
  }
  /** AF as 0/1. */
  adjust(): Value {
    return this.bit(this.#adjust(), 4);
  }

  /** The six flags at their EFLAGS positions. */
  allFlags(): Value {
    const { b } = this;
    if (this.ccOp === CC_EFLAGS) return b.and(this.#src(), b.i32(FLAGS_ARITH));
    const at = (v: Value, n: number): Value => b.shl(v, b.i32(n));
    let bits = b.or(this.carry(), b.or(at(this.parity(), 2), this.#adjust()));
    bits = b.or(bits, b.or(at(this.zero(), 6), at(this.sign(), 7)));
    return b.or(bits, at(this.overflow(), 11));
  }

  /** Condition `cc` (0-15 as in Jcc) as 0/1. */
  condition(cc: number): Value {
    const { b } = this;
    const code = cc >> 1;
    const not = (cc & 1) !== 0;
    if (this.ccOp > CC_EFLAGS) {
      const kind = this.#kind;
      const size = this.#size;
      const bits = 8 << size;
      if (kind === KIND_SUB && code !== COND_O && code !== COND_S && code !== COND_P) {
        const l = this.#left >= 0 ? this.#left : this.cut(this.#first(), bits);
        const r = this.#left >= 0 ? this.#right : this.cut(this.#src(), bits);
        if (code === COND_B) return not ? b.geU(l, r) : b.ltU(l, r);
        if (code === COND_E) return not ? b.ne(l, r) : b.eq(l, r);
        if (code === COND_BE) return not ? b.gtU(l, r) : b.leU(l, r);
        const ls = this.signed(l, size);
        const rs = this.signed(r, size);
        if (code === COND_L) return not ? b.geS(ls, rs) : b.ltS(ls, rs);
        return not ? b.gtS(ls, rs) : b.leS(ls, rs);
      }
      if (code === COND_E || (kind === KIND_LOGIC && code === COND_BE)) {
        const v = this.cut(this.#dst(), bits);
        return not ? b.ne(v, this.int(size, 0)) : b.eqz(v);
      }
      if (code === COND_S || (kind === KIND_LOGIC && code === COND_L)) {
        const v = this.signed(this.#dst(), size);
        return not ? b.geS(v, this.int(size, 0)) : b.ltS(v, this.int(size, 0));
      }
      if (kind === KIND_LOGIC && code > COND_L) {
        const v = this.signed(this.#dst(), size);
        return not ? b.gtS(v, this.int(size, 0)) : b.leS(v, this.int(size, 0));
      }
    }
    const v = this.#flagCondition(code);
    return not ? b.eqz(v) : v;
  }
  #flagCondition(code: number): Value {
    const { b } = this;
    switch (code) {
      case COND_O:
        return this.overflow();
      case COND_B:
        return this.carry();
      case COND_E:
        return this.zero();
      case COND_BE:
        return b.or(this.carry(), this.zero());
      case COND_S:
        return this.sign();
      case COND_P:
        return this.parity();
      case COND_L:
        return b.xor(this.sign(), this.overflow());
      default:
        return b.or(this.zero(), b.xor(this.sign(), this.overflow()));
    }
  }
}
