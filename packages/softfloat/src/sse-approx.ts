/**
 * RCPPS/SS and RSQRTPS/SS: the correctly rounded value, well inside the 1.5 * 2^-12 relative error the manual allows
 * (real CPUs return other last bits, and differ among themselves). No exceptions, no MXCSR: denormal operands count as
 * zero and tiny results become zero. SDM Vol. 2B "RCPPS", "RSQRTPS".
 */
import { f64, select, type Lib } from './emit.ts';
import { F32 } from './formats.ts';
import {
  defaultNan,
  expField,
  infinityBits,
  isNan,
  isNegative,
  isZero,
  lanesBody,
  loadLane,
  quietBit,
  signBit,
} from './sse-lane.ts';

export function defineSseApprox(lib: Lib): void {
  for (const name of ['rcp', 'rsqrt'] as const) {
    const lane = lib.fn(`${name}_f32`, ['i64'], ['i64'], (f, a) => {
      f.if(isNan(F32, a!), () => f.ret(a!.or(quietBit(F32))));
      f.if(expField(F32, a!).eqz(), () => a!.set(a!.and(signBit(F32))));
      f.if(isZero(F32, a!), () => f.ret(a!.or(infinityBits(F32))));
      if (name === 'rsqrt') f.if(isNegative(F32, a!), () => f.ret(defaultNan(F32)));
      const x = f.f64(a!.wrap().un('f32_reinterpret_i32', 'f32').un('f64_promote_f32', 'f64'));
      const y = name === 'rcp' ? f64(1).div(x) : f64(1).div(x.un('f64_sqrt'));
      const bits = f.i64(y.un('f32_demote_f64', 'f32').un('i32_reinterpret_f32', 'i32').extU());
      f.ret(select(expField(F32, bits).eqz(), bits.and(signBit(F32)), bits));
    });
    lib.export(`sse_${name}_f32`, 3, (f, dst, a, lanes) => {
      lanesBody(f, { from: 32, to: 32 }, dst!, lanes!, undefined, (at, bits, flags) => {
        f.callInto(lane, [loadLane(32, a!.add(at))], [bits]);
        flags.set(0);
      });
    });
  }
}
