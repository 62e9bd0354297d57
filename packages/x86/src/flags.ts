/**
 * Lazy arithmetic flags: instead of the six flags, CC_OP names the last flag-setting operation, and CC_DST, CC_SRC,
 * CC_SRC2 hold what the flags can be computed from. This file: the encoding of CC_OP and its evaluation in script; the
 * same in IR is translate/lazy-flags.ts. Bits of dst and src above the operation's width are garbage and ignored.
 * Spec: SDM Vol. 1 §3.4.3.1 "Status Flags".
 */
import { FLAGS_ARITH, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from './state.ts';

/** CC_OP: the flags are the bits of CC_SRC. */
export const CC_EFLAGS = 0;
/** Kinds; CC_OP = 1 + kind * 4 + log2(bytes). In all but EFLAGS, ZF SF PF follow from dst. */
export const KIND_ADD = 0; // src = second operand
export const KIND_ADC = 1; // src = second operand, src2 = carry in (0/1)
export const KIND_SUB = 2; // src = subtrahend
export const KIND_SBB = 3; // src = subtrahend, src2 = borrow in
export const KIND_LOGIC = 4;
export const KIND_INC = 5; // src = CF (kept)
export const KIND_DEC = 6; // src = CF (kept)
export const KIND_SHL = 7; // src = value shifted by count - 1
export const KIND_SAR = 8; // also SHR: src = value shifted by count - 1
export const KIND_MUL = 9; // src = CF = OF (0/1)
export const KIND_GIVEN = 10; // src = CF, OF and AF at their EFLAGS positions (rotates, BT, STC, BMI)

export const ccOp = (kind: number, size: number): number => 1 + kind * 4 + size;

/** PF of a result: even number of ones in the low byte. 0x6996 is the parity of each nibble. */
const parityFlag = (v: number): number => (((0x6996 >>> ((v ^ (v >>> 4)) & 15)) & 1) === 0 ? FLAG_PF : 0);

/** The six flags as EFLAGS bits. `dstHigh`, `srcHigh`: high halves, looked at by operations of 64 bits. Hot path. */
export function evaluateFlags(op: number, dst: number, src: number, src2: number, dstHigh = 0, srcHigh = 0): number {
  if (op === CC_EFLAGS) return src & FLAGS_ARITH;
  const kind = (op - 1) >> 2;
  if (((op - 1) & 3) === 3) return evaluate64(kind, dst, dstHigh, src, srcHigh, src2 & 1);
  const shift = 32 - (8 << ((op - 1) & 3));
  // x, y: operands moved to the top of 32 bits, so that sign and carry are those of a 32-bit operation
  const x = dst << shift;
  const y = src << shift;
  const flags = (x === 0 ? FLAG_ZF : 0) | (x < 0 ? FLAG_SF : 0) | parityFlag(dst & 0xff);
  switch (kind) {
    case KIND_ADD:
    case KIND_ADC: {
      const c = kind === KIND_ADC ? src2 & 1 : 0;
      const a = (x - y - (c << shift)) | 0;
      const carry = x >>> 0 < y >>> 0 || (c !== 0 && x === y);
      return (
        flags |
        (carry ? FLAG_CF : 0) |
        ((dst ^ src ^ (dst - src - c)) & FLAG_AF) |
        (((x ^ a) & (x ^ y)) < 0 ? FLAG_OF : 0)
      );
    }
    case KIND_SUB:
    case KIND_SBB: {
      const c = kind === KIND_SBB ? src2 & 1 : 0;
      const a = (x + y + (c << shift)) | 0;
      const carry = a >>> 0 < y >>> 0 || (c !== 0 && a === y);
      return (
        flags |
        (carry ? FLAG_CF : 0) |
        ((dst ^ src ^ (dst + src + c)) & FLAG_AF) |
        (((a ^ y) & (a ^ x)) < 0 ? FLAG_OF : 0)
      );
    }
    case KIND_LOGIC:
      return flags;
    case KIND_INC:
      return flags | (src & 1) | ((dst & 15) === 0 ? FLAG_AF : 0) | (x === -0x80000000 ? FLAG_OF : 0);
    case KIND_DEC:
      return (
        flags | (src & 1) | ((dst & 15) === 15 ? FLAG_AF : 0) | (((x + (1 << shift)) | 0) === -0x80000000 ? FLAG_OF : 0)
      );
    case KIND_SHL:
      return flags | (y < 0 ? FLAG_CF : 0) | ((x ^ y) < 0 ? FLAG_OF : 0);
    case KIND_SAR:
      return flags | (src & 1) | ((x ^ y) < 0 ? FLAG_OF : 0);
    case KIND_MUL:
      return flags | (src !== 0 ? FLAG_CF | FLAG_OF : 0);
    default:
      return flags | (src & (FLAG_CF | FLAG_AF | FLAG_OF));
  }
}

/** The same for 64 bits, of which only the high halves and the carries between them are new. */
function evaluate64(kind: number, dst: number, dstHigh: number, src: number, srcHigh: number, carryIn: number): number {
  const flags = ((dst | dstHigh) === 0 ? FLAG_ZF : 0) | (dstHigh < 0 ? FLAG_SF : 0) | parityFlag(dst & 0xff);
  switch (kind) {
    case KIND_ADD:
    case KIND_ADC:
    case KIND_SUB:
    case KIND_SBB: {
      const c = (kind & 1) !== 0 ? carryIn : 0;
      // sum = other + src + c: the result of an addition, the first operand of a subtraction
      const adds = kind < KIND_SUB;
      const sum = adds ? dst : (dst + src + c) | 0;
      const low = adds ? (dst - src - c) | 0 : dst;
      const carry = sum >>> 0 < src >>> 0 || (c !== 0 && (sum ^ src) === 0) ? 1 : 0;
      const sumHigh = adds ? dstHigh : (dstHigh + srcHigh + carry) | 0;
      const high = adds ? (dstHigh - srcHigh - carry) | 0 : dstHigh;
      const carryHigh = sumHigh >>> 0 < srcHigh >>> 0 || (carry !== 0 && (sumHigh ^ srcHigh) === 0);
      return (
        flags |
        (carryHigh ? FLAG_CF : 0) |
        ((sum ^ src ^ low) & FLAG_AF) |
        (((sumHigh ^ high) & (sumHigh ^ srcHigh)) < 0 ? FLAG_OF : 0)
      );
    }
    case KIND_LOGIC:
      return flags;
    case KIND_INC:
      return (
        flags | (src & 1) | ((dst & 15) === 0 ? FLAG_AF : 0) | (dst === 0 && dstHigh === -0x80000000 ? FLAG_OF : 0)
      );
    case KIND_DEC:
      return (
        flags | (src & 1) | ((dst & 15) === 15 ? FLAG_AF : 0) | (dst === -1 && dstHigh === 0x7fffffff ? FLAG_OF : 0)
      );
    case KIND_SHL:
      return flags | (srcHigh < 0 ? FLAG_CF : 0) | ((dstHigh ^ srcHigh) < 0 ? FLAG_OF : 0);
    case KIND_SAR:
      return flags | (src & 1) | ((dstHigh ^ srcHigh) < 0 ? FLAG_OF : 0);
    case KIND_MUL:
      return flags | (src !== 0 ? FLAG_CF | FLAG_OF : 0);
    default:
      return flags | (src & (FLAG_CF | FLAG_AF | FLAG_OF));
  }
}
