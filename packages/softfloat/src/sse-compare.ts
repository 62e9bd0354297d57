/**
 * CMPccPS/PD/SS/SD, COMIS and UCOMIS. SDM Vol. 2A "CMPPS" table 3-1, "COMISS". The predicate is one of the eight legacy ones,
 * or 80H and what it says of two operands: true for less 1, equal 2, greater 4, unordered 8; 10H: a quiet NaN is invalid.
 */
import { i32, i64, select, type Lib } from './emit.ts';
import { DE, IE, MXCSR_DAZ } from './flags.ts';
import { F32, F64 } from './formats.ts';
import { applyDaz, denormalFlag, isDenormal, isNan, isSignalling, lanesBody, loadLane, width } from './sse-lane.ts';

/** EFLAGS positions, shifted to the upper half of the result. */
const CF = 1 << 16;
const PF = 4 << 16;
const ZF = 0x40 << 16;

export function defineSseCompare(lib: Lib): void {
  for (const t of [F32, F64]) {
    const float = t.name === 'f32' ? 'f32_reinterpret_i32' : 'f64_reinterpret_i64';
    // (a, b, mxcsr, predicate) -> (mask, flags)
    const compare = lib.fn(`cmp_${t.name}`, ['i64', 'i64', 'i32', 'i32'], ['i64', 'i32'], (f, a, b, mxcsr, pred) => {
      applyDaz(f, t, a!, mxcsr!);
      applyDaz(f, t, b!, mxcsr!);
      const kind = f.i32(pred!.and(3));
      const truth = f.i32();
      const flags = f.i32(0);
      const legacy = f.i32(pred!.and(0x80).eqz());
      f.if(
        isNan(t, a!).or(isNan(t, b!)),
        () => {
          truth.set(select(legacy, kind.eq(3), pred!.shr(3).and(1)));
          // LT, LE and their negations signal for quiet NaNs too.
          const signals = select(legacy, kind.eq(1).or(kind.eq(2)), pred!.shr(4).and(1));
          flags.set(isSignalling(t, a!).or(isSignalling(t, b!)).or(signals));
        },
        () => {
          flags.set(denormalFlag(f, t, [a!, b!], mxcsr!));
          const x = t.name === 'f32' ? f.f32(a!.wrap().un(float, 'f32')) : f.f64(a!.un(float, 'f64'));
          const y = t.name === 'f32' ? f.f32(b!.wrap().un(float, 'f32')) : f.f64(b!.un(float, 'f64'));
          const legacyTruth = select(kind.eqz(), x.eq(y), select(kind.eq(1), x.lt(y), x.le(y).and(kind.ne(3))));
          const relation = select(x.lt(y), i32(0), select(x.eq(y), i32(1), i32(2)));
          truth.set(select(legacy, legacyTruth, pred!.shr(relation).and(1)));
        },
      );
      truth.set(truth.xor(pred!.shr(2).and(legacy)));
      const ones = t.name === 'f32' ? i64(0xffffffff) : i64(-1);
      f.ret(select(truth, ones, i64(0)), flags);
    });
    lib.export(`sse_cmp_${t.name}`, 5, (f, dst, a, b, lanesPred, mxcsr) => {
      lanesBody(f, { from: width(t), to: width(t) }, dst!, lanesPred!.and(0xff), mxcsr!, (at, bits, flags) => {
        f.callInto(
          compare,
          [loadLane(width(t), a!.add(at)), loadLane(width(t), b!.add(at)), mxcsr!, lanesPred!.shr(8)],
          [bits, flags],
        );
      });
    });
    lib.export(`sse_comis_${t.name}`, 4, (f, a, b, quiet, mxcsr) => {
      const x = f.i64(loadLane(width(t), a!));
      const y = f.i64(loadLane(width(t), b!));
      f.if(mxcsr!.and(MXCSR_DAZ), () => {
        applyDaz(f, t, x, mxcsr!);
        applyDaz(f, t, y, mxcsr!);
      });
      f.if(isNan(t, x).or(isNan(t, y)), () => {
        f.ret(
          select(quiet!.eqz().or(isSignalling(t, x)).or(isSignalling(t, y)), i32(IE | ZF | PF | CF), i32(ZF | PF | CF)),
        );
      });
      const p = t.name === 'f32' ? f.f32(x.wrap().un(float, 'f32')) : f.f64(x.un(float, 'f64'));
      const q = t.name === 'f32' ? f.f32(y.wrap().un(float, 'f32')) : f.f64(y.un(float, 'f64'));
      const flags = select(isDenormal(t, x).or(isDenormal(t, y)), i32(DE), i32(0));
      f.ret(flags.or(select(p.lt(q), i32(CF), select(p.eq(q), i32(ZF), i32(0)))));
    });
  }
}
