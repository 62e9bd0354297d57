/** The x87 functions against instructions recorded on a real CPU: results, exception flags, C1 and condition codes, exactly. */
import { describe, expect, it } from 'vitest';
import { instantiate, type SoftFloat } from '../src/instance.test-support.ts';
import { hex, readVectors, type Vector } from './nvec.ts';

const FLAGS = 0x3f;
const C1 = 0x200;
const CC = 0x4700;
// Scratch layout.
const A = 0;
const B = 16;
const DST = 32;
const DST2 = 48;
const MEM = 64;
const ARITH = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'] as const;
const D9_UNARY: { readonly [modrm: number]: string } = {
  0xf0: '2xm1',
  0xfa: 'sqrt',
  0xfc: 'rndint',
  0xfe: 'sin',
  0xff: 'cos',
};

interface Outcome {
  readonly flags: number;
  /** FSW bits the function defines, beyond the exceptions. */
  readonly condition: number;
  /** New values by position in the final stack; nothing when an unmasked exception kept the result back. */
  readonly st?: ReadonlyMap<number, Uint8Array>;
  readonly memory?: Uint8Array;
  readonly eflags?: number;
}

/** What our functions say; undefined for instructions that use none, and for stack faults (the caller's business). */
function run(s: SoftFloat, v: Vector): Outcome | undefined {
  const { init } = v;
  const [esc, modrm] = [v.code[0]!, v.code[1]!];
  const group = (modrm >> 3) & 7;
  const i = modrm & 7;
  const top = (init.fsw >> 11) & 7;
  const used = (...regs: number[]): boolean => regs.every((r) => (init.tag >> ((top + r) & 7)) & 1);
  const free = (): boolean => !((init.tag >> ((top + 7) & 7)) & 1);
  const put = (at: number, b: Uint8Array): void => s.bytes.set(b, at);
  const take = (at = DST): Uint8Array => s.bytes.slice(at, at + 10);
  const fcw = init.fcw;
  const held = (flags: number, pre = 7): boolean => (flags & ~fcw & pre) !== 0;
  put(A, init.st[0]!);
  put(B, init.st[1]!);
  put(DST, init.st[0]!);
  const result = (flags: number, position = 0, condition = C1): Outcome => ({
    flags,
    condition,
    st: new Map([[position, take()]]),
  });
  const compare = (flags: number, toEflags = false): Outcome =>
    toEflags
      ? {
          flags: flags & FLAGS,
          condition: 0,
          eflags: (flags & 0x100 ? 1 : 0) | (flags & 0x400 ? 4 : 0) | (flags & 0x4000 ? 0x40 : 0),
        }
      : { flags, condition: CC };

  if (modrm < 0xc0) {
    const operand = v.before.at(-1)!.data;
    put(MEM, operand);
    const integer = esc === 0xda ? 'i32' : esc === 0xde ? 'i16' : undefined;
    const float = esc === 0xd8 ? 'm32' : esc === 0xdc ? 'm64' : undefined;
    if (integer !== undefined || float !== undefined) {
      if (!used(0)) return undefined;
      const op = ARITH[group]!;
      if (integer !== undefined) {
        s.call(`f80_from_${integer}`, B, MEM);
        if (op === 'com' || op === 'comp') return compare(s.call('f80_cmp', A, B, 0));
        const [x, y] = op.endsWith('r') ? [B, A] : [A, B];
        return result(s.call(`f80_${op.replace(/r$/, '')}`, DST, x, y, fcw));
      }
      if (op === 'com' || op === 'comp') return compare(s.call(`f80_cmp_${float}`, A, MEM));
      return result(s.call(`f80_${op}_${float}`, DST, A, MEM, fcw));
    }
    const load = { 0xd90: 'f32', 0xdd0: 'f64', 0xdf0: 'i16', 0xdb0: 'i32', 0xdf5: 'i64', 0xdf4: 'bcd' }[
      (esc << 4) | group
    ];
    if (load !== undefined) {
      if (!free()) return undefined;
      return result(s.call(`f80_from_${load}`, DST, MEM, fcw));
    }
    const store = {
      0xd92: 'f32',
      0xd93: 'f32',
      0xdd2: 'f64',
      0xdd3: 'f64',
      0xdf2: 'i16',
      0xdf3: 'i16',
      0xdb2: 'i32',
      0xdb3: 'i32',
      0xdf7: 'i64',
      0xdf1: 'i16',
      0xdb1: 'i32',
      0xdd1: 'i64',
      0xdf6: 'bcd',
    }[(esc << 4) | group];
    if (store === undefined || !used(0)) return undefined;
    const flags = s.call(`f80_to_${store}`, MEM, A, fcw, group === 1 ? 1 : 0);
    return { flags, condition: C1, memory: s.bytes.slice(MEM, MEM + operand.length) };
  }

  if (esc === 0xd8 || esc === 0xdc || esc === 0xde) {
    if (!used(0, i)) return undefined;
    put(B, init.st[i]!);
    const op = ARITH[group]!;
    if (esc === 0xde && modrm === 0xd9) return compare(s.call('f80_cmp', A, B, 0));
    if (op === 'com' || op === 'comp') return esc === 0xd8 ? compare(s.call('f80_cmp', A, B, 0)) : undefined;
    // DC/DE E0-EF, F0-FF exchange the plain and the reversed form: still ST(0) op ST(i), as encoded, in ST(i).
    const reversed = op.endsWith('r');
    const [x, y] = reversed ? [B, A] : [A, B];
    if (esc !== 0xd8) put(DST, init.st[i]!);
    const flags = s.call(`f80_${op.replace(/r$/, '')}`, DST, x, y, fcw);
    const popped = esc === 0xde && !held(flags);
    return result(flags, esc === 0xd8 ? 0 : popped ? (i + 7) & 7 : i);
  }
  const unordered =
    (esc === 0xdd && modrm >= 0xe0) ||
    (esc === 0xda && modrm === 0xe9) ||
    ((esc === 0xdb || esc === 0xdf) && modrm >= 0xe8 && modrm < 0xf0);
  if (unordered || ((esc === 0xdb || esc === 0xdf) && modrm >= 0xf0 && modrm < 0xf8)) {
    if (esc === 0xdf && modrm === 0xe0) return undefined;
    if (!used(0, i)) return undefined;
    put(B, init.st[i]!);
    return compare(s.call('f80_cmp', A, B, unordered ? 1 : 0), esc === 0xdb || esc === 0xdf);
  }
  if (esc !== 0xd9) return undefined;
  if (modrm === 0xe5) return compare(s.call('f80_xam', A, used(0) ? 0 : 1));
  if (modrm >= 0xe8 && modrm <= 0xee) return free() ? result(s.call('f80_const', DST, modrm - 0xe8, fcw)) : undefined;
  if (!used(0)) return undefined;
  if (modrm === 0xe4) {
    s.bytes.fill(0, B, B + 10);
    return compare(s.call('f80_cmp', A, B, 0));
  }
  const unary = D9_UNARY[modrm];
  if (unary !== undefined) return result(s.call(`f80_${unary}`, DST, A, fcw));
  const pushed = (name: string, first: number, second: number): Outcome | undefined => {
    if (!free()) return undefined;
    const flags = s.call(name, first, second, A, fcw);
    if (flags & 0x400) return { flags, condition: C1 };
    return held(flags)
      ? { flags, condition: C1 }
      : {
          flags,
          condition: C1,
          st: new Map([
            [0, take(DST2)],
            [1, take()],
          ]),
        };
  };
  if (modrm === 0xf2) return pushed('f80_tan', DST, DST2);
  if (modrm === 0xfb) return pushed('f80_sincos', DST, DST2);
  if (modrm === 0xf4) return pushed('f80_xtract', DST, DST2);
  if (!used(1)) return undefined;
  switch (modrm) {
    case 0xf8:
    case 0xf5: {
      const flags = s.call(modrm === 0xf8 ? 'f80_prem' : 'f80_prem1', DST, A, B, fcw);
      return result(flags & 0x10000 ? flags | (init.fsw & 0x4100) : flags, 0, CC);
    }
    case 0xfd:
      return result(s.call('f80_scale', DST, A, B, fcw));
    case 0xf1:
      return result(s.call('f80_yl2x', DST, A, B, fcw));
    case 0xf9:
      return result(s.call('f80_yl2xp1', DST, A, B, fcw));
    case 0xf3:
      return result(s.call('f80_atan', DST, B, A, fcw));
    default:
      return undefined;
  }
}

/** The recorder's tolerance for transcendental results: 2^-60 relative, or 2^-40 relative / 2^-44 absolute for the trigonometric ones. */
function isNear(got: Uint8Array, want: Uint8Array, tol: number): boolean {
  if (hex(got) === hex(want)) return true;
  if (tol === 0) return false;
  const parts = (b: Uint8Array): [bigint, number] => {
    const d = new DataView(b.buffer, b.byteOffset, 10);
    const se = d.getUint16(8, true);
    const m = d.getBigUint64(0, true);
    return [se >> 15 ? -m : m, se & 0x7fff];
  };
  const [x, ex] = parts(got);
  const [y, ey] = parts(want);
  const base = Math.min(ex, ey);
  if (Math.abs(ex - ey) > 1) return tol === 2 && Math.max(ex, ey) < 16383 - 44;
  const xs = x << BigInt(ex - base);
  const difference = xs - (y << BigInt(ey - base));
  const abs = (n: bigint): bigint => (n < 0n ? -n : n);
  return abs(difference) <= abs(xs) >> (tol === 1 ? 60n : 40n) || (tol === 2 && Math.max(ex, ey) < 16383 - 44);
}

function mismatch(v: Vector, o: Outcome): string | undefined {
  const fsw = v.init.fsw | (o.flags & FLAGS);
  const wrongFlags = (fsw ^ v.out.fsw) & FLAGS & ~v.fswUndef;
  if (wrongFlags) return `flags ${(fsw & FLAGS).toString(16)} want ${(v.out.fsw & FLAGS).toString(16)}`;
  const wrongCondition = (o.flags ^ v.out.fsw) & o.condition & ~v.fswUndef;
  if (wrongCondition)
    return `FSW ${o.flags.toString(16)} want ${v.out.fsw.toString(16)} was ${v.init.fsw.toString(16)}`;
  for (const [position, value] of o.st ?? []) {
    if (!isNear(value, v.out.st[position]!, v.tol))
      return `ST(${position}) ${hex(value)} want ${hex(v.out.st[position]!)}`;
  }
  if (o.eflags !== undefined && (o.eflags ^ v.out.flags) & 0x8d5)
    return `EFLAGS ${o.eflags.toString(16)} want ${v.out.flags.toString(16)}`;
  if (o.memory !== undefined) {
    const window = v.before.at(-1)!;
    const want = window.data.slice();
    for (const r of v.after) want.set(r.data, r.addr - window.addr);
    if (hex(o.memory) !== hex(want)) return `memory ${hex(o.memory)} want ${hex(want)}`;
  }
  return undefined;
}

describe('x87 against a recorded CPU', () => {
  const s = instantiate();
  // The least number of vectors that must really have been compared, so that the test cannot pass by skipping.
  const groups: readonly (readonly [group: string, least: number])[] = [
    ['m32-x87arith', 3000],
    ['m32-x87mem', 2000],
    ['m32-x87cmp', 1200],
    ['m32-x87misc', 500],
    ['m32-x87trans', 1400],
    ['m64-x87arith', 1200],
    ['m64-x87mem', 1000],
    ['m64-x87cmp', 500],
    ['m64-x87misc', 250],
    ['m64-x87trans', 450],
  ];
  for (const [group, least] of groups) {
    it(`${group}: every vector`, () => {
      let compared = 0;
      const failures: string[] = [];
      for (const v of readVectors(`${group}.nv.gz`)) {
        const o = run(s, v);
        if (o === undefined) continue;
        compared++;
        const wrong = mismatch(v, o);
        if (wrong !== undefined)
          failures.push(`#${v.index} ${hex(v.code.slice().reverse())} fcw ${v.init.fcw.toString(16)}: ${wrong}`);
      }
      expect(failures.slice(0, 10)).toEqual([]);
      expect(failures.length).toBe(0);
      expect(compared).toBeGreaterThan(least);
    });
  }
});
