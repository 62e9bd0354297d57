/** f32 and f64 bits to the 80-bit form, exactly and without judging them: NaNs keep their kind. SDM Vol. 1 §4.2.2. */
import { MSB, i32, type Expr, type Fn, type Var } from './emit.ts';
import { DE } from './flags.ts';
import { F32, F64, F80_BIAS, F80_MAX_EXP, type Format } from './formats.ts';

function expand(f: Fn, fmt: Format, bits: Var, sign: Expr, mant: Var, signExp: Var, de: Var): void {
  const fractionBits = fmt.precision - 1;
  const exp = f.i32(bits.shr(fractionBits).wrap().and(fmt.maxExp));
  mant.set(bits.shl(64 - fractionBits).shr(1));
  f.if(
    exp.sub(1).ltU(fmt.maxExp - 1),
    () => {
      mant.set(mant.or(MSB));
      signExp.set(exp.add(F80_BIAS - fmt.bias).or(sign));
    },
    () => {
      f.if(
        exp.nz(),
        () => {
          mant.set(mant.or(MSB));
          signExp.set(sign.or(F80_MAX_EXP));
        },
        () => {
          signExp.set(sign);
          f.if(mant.nz(), () => {
            const n = f.i64(mant.clz());
            mant.set(mant.shl(n));
            signExp.set(
              i32(F80_BIAS - fmt.bias + 1)
                .sub(n.wrap())
                .or(sign),
            );
            de.set(DE);
          });
        },
      );
    },
  );
}

/** Sets mant, signExp; de becomes DE for a denormal (else it is left alone). */
export function expandF32(f: Fn, bits: Expr, mant: Var, signExp: Var, de: Var): void {
  const b = f.i32(bits);
  expand(f, F32, f.i64(b.extU()), b.shr(16).and(0x8000), mant, signExp, de);
}

export function expandF64(f: Fn, bits: Expr, mant: Var, signExp: Var, de: Var): void {
  const b = f.i64(bits);
  expand(f, F64, b, b.shr(48).wrap().and(0x8000), mant, signExp, de);
}
