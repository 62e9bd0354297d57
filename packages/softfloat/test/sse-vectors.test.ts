/** The SSE functions against instructions recorded on a real CPU: lanes, MXCSR flags, EFLAGS, and whether #XM was raised. */
import { describe, expect, it } from 'vitest';
import { instantiate, type SoftFloat } from '../src/instance.test-support.ts';
import { hex, readVectors, type Vector } from './nvec.ts';

const FLAGS = 0x3f;
const NO_EXCEPTION = 255;
const XM = 19;
const A = 0;
const B = 16;
const DST = 32;

type Place = 'xmm' | 'mmx' | 'gpr' | 'eflags';
interface Outcome {
  readonly flags: number;
  readonly place: Place;
  readonly register: number;
  readonly value: Uint8Array;
  /** Upper part of an XMM destination: kept from the old value, or zero. */
  readonly zeroUpper?: boolean;
}

const ARITH: { readonly [op: number]: string } = {
  0x58: 'add',
  0x59: 'mul',
  0x5c: 'sub',
  0x5d: 'min',
  0x5e: 'div',
  0x5f: 'max',
};

/** What our functions say; undefined for instructions outside this package. */
function run(s: SoftFloat, v: Vector): Outcome | undefined {
  let p = 0;
  let prefix = 0;
  let rex = 0;
  for (; ; p++) {
    const b = v.code[p]!;
    if (b === 0x66) prefix ||= b;
    else if (b === 0xf2 || b === 0xf3) prefix = b;
    else if (v.mode === 64 && (b & 0xf0) === 0x40) rex = b;
    else if (b !== 0x67 && b !== 0x65 && b !== 0x64 && b !== 0x3e && b !== 0x26 && b !== 0x2e && b !== 0x36) break;
  }
  if (v.code[p++] !== 0x0f) return undefined;
  const map3a = v.code[p] === 0x3a;
  if (map3a) p++;
  const op = v.code[p++]!;
  const modrm = v.code[p]!;
  const reg = ((modrm >> 3) & 7) | (rex & 4 ? 8 : 0);
  const rm = (modrm & 7) | (rex & 1 ? 8 : 0);
  const isRegister = modrm >= 0xc0;
  const imm = v.code[v.code.length - 1]!;
  const { init } = v;
  const scalar = prefix >= 0xf2;
  const t = prefix === 0x66 || prefix === 0xf2 ? 'f64' : 'f32';
  const lanes = scalar ? 1 : t === 'f64' ? 2 : 4;
  const size = t === 'f64' ? 8 : 4;
  const mx = init.mxcsr;
  s.bytes.fill(0, 0, 64);
  const source = (kind: 'xmm' | 'mmx' | 'gpr'): void => {
    if (!isRegister) s.bytes.set(v.before.at(-1)!.data.subarray(0, 16), B);
    else if (kind === 'xmm') s.bytes.set(init.xmm[rm]!, B);
    else if (kind === 'mmx') s.bytes.set(init.st[rm & 7]!.subarray(0, 8), B);
    else {
      const d = new DataView(s.bytes.buffer);
      d.setUint32(B, init.gpr[rm]!, true);
      d.setUint32(B + 4, init.gprHigh[rm]!, true);
    }
  };
  s.bytes.set(init.xmm[reg]!, A);
  const xmm = (flags: number, bytes: number, zeroUpper = false): Outcome => ({
    flags,
    place: 'xmm',
    register: reg,
    value: s.bytes.slice(DST, DST + bytes),
    zeroUpper,
  });

  if (map3a) {
    if (op < 0x08 || op > 0x0b || prefix !== 0x66) return undefined;
    source('xmm');
    const type = op & 1 ? 'f64' : 'f32';
    const count = op >= 0x0a ? 1 : op & 1 ? 2 : 4;
    return xmm(s.call(`sse_round_${type}`, DST, B, count | (imm << 8), mx), count * (op & 1 ? 8 : 4));
  }
  const arith = ARITH[op];
  if (arith !== undefined) {
    source('xmm');
    return xmm(s.call(`sse_${arith}_${t}`, DST, A, B, lanes, mx), lanes * size);
  }
  const toInteger = (type: string, wide: boolean): Outcome => {
    source('xmm');
    const flags = s.call(`sse_cvt${op === 0x2c ? 't' : ''}_${type}_i${wide ? 64 : 32}`, DST, B, 1, mx);
    return { flags, place: 'gpr', register: reg, value: s.bytes.slice(DST, DST + (wide ? 8 : 4)) };
  };
  switch (op) {
    case 0x51:
      source('xmm');
      return xmm(s.call(`sse_sqrt_${t}`, DST, B, lanes, mx), lanes * size);
    case 0x52:
      source('xmm');
      return xmm(s.call('sse_rsqrt_f32', DST, B, lanes), lanes * size);
    case 0x53:
      source('xmm');
      return xmm(s.call('sse_rcp_f32', DST, B, lanes), lanes * size);
    case 0xc2:
      source('xmm');
      return xmm(s.call(`sse_cmp_${t}`, DST, A, B, lanes | (imm << 8), mx), lanes * size);
    case 0x2e:
    case 0x2f: {
      source('xmm');
      const r = s.call(`sse_comis_${t}`, A, B, op === 0x2e ? 1 : 0, mx);
      return { flags: r & FLAGS, place: 'eflags', register: 0, value: new Uint8Array([r >>> 16]) };
    }
    case 0x5a: {
      source('xmm');
      const count = scalar ? 1 : 2;
      return t === 'f32'
        ? xmm(s.call('sse_cvt_f32_f64', DST, B, count, mx), count * 8)
        : xmm(s.call('sse_cvt_f64_f32', DST, B, count, mx), count * 4, !scalar);
    }
    case 0x5b:
      source('xmm');
      return xmm(
        s.call(
          prefix === 0 ? 'sse_cvt_i32_f32' : prefix === 0x66 ? 'sse_cvt_f32_i32' : 'sse_cvtt_f32_i32',
          DST,
          B,
          4,
          mx,
        ),
        16,
      );
    case 0xe6:
      source('xmm');
      if (prefix === 0xf3) return xmm(s.call('sse_cvt_i32_f64', DST, B, 2, mx), 16);
      return xmm(s.call(prefix === 0xf2 ? 'sse_cvt_f64_i32' : 'sse_cvtt_f64_i32', DST, B, 2, mx), 8, true);
    case 0x2a:
      source(scalar ? 'gpr' : 'mmx');
      return xmm(
        s.call(`sse_cvt_i${scalar && rex & 8 ? 64 : 32}_${t}`, DST, B, scalar ? 1 : 2, mx),
        (scalar ? 1 : 2) * size,
      );
    case 0x2c:
    case 0x2d: {
      if (scalar) return toInteger(t, (rex & 8) !== 0);
      source('xmm');
      const flags = s.call(`sse_cvt${op === 0x2c ? 't' : ''}_${t}_i32`, DST, B, 2, mx);
      return { flags, place: 'mmx', register: reg & 7, value: s.bytes.slice(DST, DST + 8) };
    }
    default:
      return undefined;
  }
}

function isNear(got: Uint8Array, want: Uint8Array): boolean {
  const [x, y] = [new Float32Array(got.slice().buffer), new Float32Array(want.slice().buffer)];
  return x.every(
    (a, i) => Object.is(a, y[i]) || Math.abs(a - y[i]!) <= Math.max(Math.abs(a), Math.abs(y[i]!)) * 2 ** -10,
  );
}

function mismatch(v: Vector, o: Outcome): string | undefined {
  const unmasked = (o.flags & ~(v.init.mxcsr >> 7) & FLAGS) !== 0;
  if (unmasked !== (v.exc === XM)) return `#XM ${unmasked} want ${v.exc === XM}`;
  const wrong = ((v.init.mxcsr | o.flags) ^ v.out.mxcsr) & FLAGS;
  if (wrong) return `flags ${o.flags.toString(16)} want ${v.out.mxcsr.toString(16)} from ${v.init.mxcsr.toString(16)}`;
  if (unmasked) return undefined;
  if (o.place === 'eflags')
    return o.value[0] === (v.out.flags & 0xff & 0xd5) && !(v.out.flags & 0x800)
      ? undefined
      : `EFLAGS ${o.value[0]} want ${v.out.flags.toString(16)}`;
  if (o.place === 'mmx') {
    const want = v.out.st[o.register]!.subarray(0, 8);
    return hex(o.value) === hex(want) ? undefined : `MMX ${hex(o.value)} want ${hex(want)}`;
  }
  if (o.place === 'gpr') {
    const want = new Uint8Array(8);
    const d = new DataView(want.buffer);
    d.setUint32(0, v.out.gpr[o.register]!, true);
    d.setUint32(4, v.out.gprHigh[o.register]!, true);
    return hex(o.value) === hex(want.subarray(0, o.value.length))
      ? undefined
      : `register ${hex(o.value)} want ${hex(want)}`;
  }
  const full = o.zeroUpper === true ? new Uint8Array(16) : v.init.xmm[o.register]!.slice();
  full.set(o.value);
  const want = v.out.xmm[o.register]!;
  return hex(full) === hex(want) || (v.tol === 3 && isNear(full, want))
    ? undefined
    : `xmm ${hex(full)} want ${hex(want)}`;
}

describe('SSE against a recorded CPU', () => {
  const s = instantiate();
  // The least number of vectors that must really have been compared.
  const groups: readonly (readonly [group: string, least: number])[] = [
    ['m32-sse', 1000],
    ['m32-sse2f', 1500],
    ['m32-ssemisc', 90],
    ['m32-sse41', 50],
    ['m64-sse', 1000],
    ['m64-sse2f', 1800],
    ['m64-ssemisc', 100],
    ['m64-sse41', 80],
  ];
  for (const [group, least] of groups) {
    it(`${group}: every vector`, () => {
      let compared = 0;
      const failures: string[] = [];
      for (const v of readVectors(`${group}.nv.gz`)) {
        if (v.exc !== NO_EXCEPTION && v.exc !== XM) continue;
        const o = run(s, v);
        if (o === undefined) continue;
        compared++;
        const wrong = mismatch(v, o);
        if (wrong !== undefined) failures.push(`#${v.index} ${hex(v.code.slice().reverse())}: ${wrong}`);
      }
      expect(failures.slice(0, 10)).toEqual([]);
      expect(failures.length).toBe(0);
      expect(compared).toBeGreaterThan(least);
    });
  }
});
