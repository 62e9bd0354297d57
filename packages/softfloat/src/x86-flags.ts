/**
 * The six arithmetic flags out of the lazy state of the x86 package: what its `flags.ts` says, for the places where all of
 * them are wanted and the operation is not known (PUSHF, LAHF, SYSCALL). SDM Vol. 1 §3.4.3.1 "Status Flags".
 */
import { i32, i64, k64, select } from './emit.ts';
import type { Expr, Lib } from './emit.ts';

const CF = 0x001;
const AF = 0x010;
const OF = 0x800;
const ALL = 0x8d5;
const PF_SHIFT = 2;
const AF_SHIFT = 4;
const ZF_SHIFT = 6;
const SF_SHIFT = 7;
const OF_SHIFT = 11;
/** Kinds in the operation's number, 1 + kind * 4 + log2(bytes). */
const SUB = 2;
const LOGIC = 4;
const INC = 5;
const SHL = 7;
const SAR = 8;
const MUL = 9;

export function defineX86Flags(lib: Lib): void {
  lib.export('x86_flags', 6, (f, op, resultLow, resultHigh, operandLow, operandHigh, carryIn) => {
    f.if(op!.eqz(), () => f.ret(operandLow!.and(ALL)));
    const kind = f.i32(op!.sub(1).sar(2));
    // operands with their top bit at bit 63
    const shift = f.i64(i64(64).sub(i64(8).shl(op!.sub(1).and(3).extU())));
    const whole = (low: Expr, high: Expr): Expr => high.extU().shl(32).or(low.extU());
    const x = f.i64(whole(resultLow!, resultHigh!).shl(shift));
    const y = f.i64(whole(operandLow!, operandHigh!).shl(shift));
    const top = (v: Expr): Expr => v.shr(63).wrap();
    const even = resultLow!.and(0xff).un('i32_popcnt').and(1).eqz();
    const flags = f.i32(x.eqz().shl(ZF_SHIFT).or(top(x).shl(SF_SHIFT)).or(even.shl(PF_SHIFT)));
    f.if(kind.eq(LOGIC), () => f.ret(flags));
    f.if(kind.ltU(LOGIC), () => {
      // sum = other + y + carry: the result of an addition, the first operand of a subtraction
      const carry = f.i32(carryIn!.and(kind).and(1));
      const moved = f.i64(carry.extU().shl(shift));
      const adds = f.i32(kind.ltU(SUB));
      const sum = f.i64(select(adds, x, x.add(y).add(moved)));
      const other = f.i64(select(adds, x.sub(y).sub(moved), x));
      const out = sum.ltU(y).or(carry.and(sum.eq(y)));
      const nibble = sum.xor(y).xor(other).shr(shift).wrap().and(AF);
      f.ret(
        flags
          .or(out)
          .or(nibble)
          .or(top(sum.xor(other).and(sum.xor(y))).shl(OF_SHIFT)),
      );
    });
    f.if(kind.ltU(SHL), () => {
      const least = k64(0x80000000, 0);
      const digit = resultLow!.and(15);
      const carried = flags.or(operandLow!.and(CF));
      f.if(kind.eq(INC), () => f.ret(carried.or(digit.eqz().shl(AF_SHIFT)).or(x.eq(least).shl(OF_SHIFT))));
      const before = x.add(i64(1).shl(shift));
      f.ret(carried.or(digit.eq(15).shl(AF_SHIFT)).or(before.eq(least).shl(OF_SHIFT)));
    });
    f.if(kind.ltU(MUL), () => {
      const out = select(kind.eq(SAR), operandLow!.and(CF), top(y));
      f.ret(flags.or(out).or(top(x.xor(y)).shl(OF_SHIFT)));
    });
    f.if(kind.eq(MUL), () => f.ret(select(operandLow!.eqz(), flags, flags.or(CF | OF))));
    f.ret(flags.or(operandLow!.and(i32(CF | AF | OF))));
  });
}
