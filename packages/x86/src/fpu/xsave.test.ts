import { beforeEach, describe, expect, it } from 'vitest';
import { CPU_FAULT, X86Cpu } from '../cpu.ts';
import { ALL_FEATURES } from '../decode/features.ts';
import { parseCpuOption } from '../models/cpu-option.ts';
import { ENV, HF_CS64, HF_LMA, HF_SSE_FAST, XMM_STRIDE } from '../state.ts';
import { FakeHost } from '../../test/fake-host.ts';
import { FX_LONG, FX_WIDE } from './fxsave.ts';
import { XSAVE_HELPERS, XS_COMPACT, XS_OPTIMIZE } from './xsave.ts';

const AREA = 0x2000;
const X87 = 1;
const SSE = 2;
const AVX = 4;
const PKRU = 0x200;
const ALL = X87 | SSE | AVX | PKRU;
const XSTATE_BV = 512;
const XCOMP_BV = 520;

/** A processor with every feature, no paging, XCR0 with all components, the area full of 55H but for a clean header. */
class Bench {
  readonly host = new FakeHost();
  readonly cpu: X86Cpu;
  constructor(long = false) {
    const model = parseCpuOption('max');
    this.host.cpu = undefined as unknown as X86Cpu;
    this.cpu = new X86Cpu(this.host, { ...model, features: ALL_FEATURES });
    this.host.cpu = this.cpu;
    this.cpu.setEnv32(ENV.XCR0, ALL);
    if (long) this.cpu.hflags |= HF_CS64 | HF_LMA;
    this.form = long ? FX_LONG : 0;
    for (let n = 0; n < 4096; n++) this.host.physWrite8(AREA + n, n >= 512 && n < 576 ? 0 : 0x55);
  }
  readonly form: number;
  run(name: 'xsave' | 'xrstor', mask: number, more = 0): number {
    try {
      XSAVE_HELPERS[name]!(this.cpu)(AREA, 0, mask, this.form | more);
      return -1;
    } catch (fault) {
      if (fault !== CPU_FAULT) throw fault;
      return this.cpu.env32(ENV.EXCEPTION_VECTOR);
    }
  }
  word(at: number): number {
    return this.host.physRead32(AREA + at);
  }
  setWord(at: number, v: number): void {
    this.host.physWrite32(AREA + at, v);
  }
  vector(n: number, half: 0 | 1, v?: number): number {
    const at = ENV.XMM + XMM_STRIDE * n + 16 * half;
    if (v !== undefined) this.cpu.setEnv32(at, v);
    return this.cpu.env32(at);
  }
  /** Something in every component. */
  fill(): void {
    this.cpu.setEnv32(ENV.FPUC, 0x27f);
    this.cpu.setEnv32(ENV.MXCSR, 0x1fa0);
    for (let n = 0; n < 16; n++) {
      this.vector(n, 0, 0x100 + n);
      this.vector(n, 1, 0x200 + n);
    }
    this.cpu.setEnv32(ENV.PKRU, 0xc);
  }
}

let b: Bench;
beforeEach(() => {
  b = new Bench(true);
  b.fill();
});

describe('XSAVE and XRSTOR', () => {
  it('give all components back, of sixteen registers in 64-bit code', () => {
    b.run('xsave', -1);
    expect([b.word(XSTATE_BV), b.word(XCOMP_BV)]).toEqual([ALL, 0]);
    expect([b.word(0) & 0xffff, b.word(24), b.word(160 + 240), b.word(576 + 240), b.word(2688)]).toEqual([
      0x27f, 0x1fa0, 0x10f, 0x20f, 0xc,
    ]);
    const { cpu } = b;
    cpu.setEnv32(ENV.FPUC, 0x37f);
    cpu.setEnv32(ENV.MXCSR, 0x1f80);
    cpu.setEnv32(ENV.PKRU, 0);
    for (let n = 0; n < 16; n++) for (const half of [0, 1] as const) b.vector(n, half, 0);
    expect(b.run('xrstor', -1)).toBe(-1);
    expect([cpu.env32(ENV.FPUC), cpu.env32(ENV.MXCSR), cpu.env32(ENV.PKRU)]).toEqual([0x27f, 0x1fa0, 0xc]);
    expect([b.vector(15, 0), b.vector(15, 1)]).toEqual([0x10f, 0x20f]);
    expect(cpu.hflags & HF_SSE_FAST).not.toBe(0);
  });

  it('touch eight registers outside 64-bit code', () => {
    const m = new Bench();
    m.fill();
    m.run('xsave', -1);
    expect([m.word(160 + 112), m.word(160 + 128), m.word(576 + 112), m.word(576 + 128)]).toEqual([
      0x107, 0x55555555, 0x207, 0x55555555,
    ]);
    m.setWord(XSTATE_BV, 0);
    m.run('xrstor', -1);
    expect([m.vector(7, 0), m.vector(7, 1), m.vector(8, 0), m.vector(8, 1)]).toEqual([0, 0, 0x108, 0x208]);
  });

  it('leave alone what is not asked for', () => {
    b.setWord(XSTATE_BV, X87 | PKRU);
    b.run('xsave', AVX);
    expect([b.word(0), b.word(160), b.word(2688), b.word(XSTATE_BV)]).toEqual([
      0x55555555,
      0x55555555,
      0x55555555,
      X87 | AVX | PKRU,
    ]);
    expect(b.word(24)).toBe(0x1fa0); // MXCSR goes with SSE and with AVX
    b.vector(0, 0, 1);
    b.vector(0, 1, 1);
    b.run('xrstor', AVX);
    expect([b.vector(0, 0), b.vector(0, 1)]).toEqual([1, 0x200]);
  });

  it('XSTATE_BV tells what is in use; a clear bit restores the initial state', () => {
    for (let n = 0; n < 16; n++) b.vector(n, 1, 0);
    b.run('xsave', -1);
    expect(b.word(XSTATE_BV)).toBe(X87 | SSE | PKRU);
    expect(b.word(576)).toBe(0); // written all the same
    b.setWord(XSTATE_BV, 0);
    b.vector(3, 1, 7);
    b.run('xrstor', -1);
    const { cpu } = b;
    expect([cpu.env32(ENV.FPUC), b.vector(2, 0), b.vector(3, 1), cpu.env32(ENV.PKRU)]).toEqual([0x37f, 0, 0, 0]);
    expect(cpu.env32(ENV.MXCSR)).toBe(0x1fa0); // comes from memory whatever XSTATE_BV says
  });

  it('XRSTOR refuses a bad header and MXCSR before anything changes', () => {
    b.run('xsave', -1);
    b.vector(0, 0, 5);
    const refusedWith = (at: number, v: number, mask = -1): number => {
      const old = b.word(at);
      b.setWord(at, v);
      const vector = b.run('xrstor', mask);
      b.setWord(at, old);
      return vector;
    };
    expect(refusedWith(XSTATE_BV, ALL | 8)).toBe(13);
    expect(refusedWith(XSTATE_BV + 4, 1)).toBe(13);
    expect(refusedWith(XCOMP_BV, 1)).toBe(13);
    expect(refusedWith(XCOMP_BV + 8, 1)).toBe(13);
    expect(refusedWith(XCOMP_BV + 16, 1, 0)).toBe(-1); // the standard form knows 16 bytes of zeros
    expect(refusedWith(24, 0x10000)).toBe(13);
    expect(refusedWith(24, 0x10000, X87 | PKRU)).toBe(-1);
    expect(b.vector(0, 0)).toBe(5);
  });

  it('with REX.W have pointers of 64 bits', () => {
    b.cpu.setEnv32(ENV.FIP, 0x11111111);
    b.cpu.setEnv32(ENV.FIP + 4, 0x2222);
    b.cpu.setEnv32(ENV.FCS, 0x33);
    b.run('xsave', X87);
    expect([b.word(8), b.word(12)]).toEqual([0x11111111, 0x33]);
    b.run('xsave', X87, FX_WIDE);
    expect([b.word(8), b.word(12)]).toEqual([0x11111111, 0x2222]);
    b.cpu.setEnv32(ENV.FIP + 4, 0);
    b.run('xrstor', X87, FX_WIDE);
    expect([b.cpu.env32(ENV.FIP + 4), b.cpu.env32(ENV.FCS)]).toEqual([0x2222, 0]);
  });

  it('look at XCR0', () => {
    b.cpu.setEnv32(ENV.XCR0, X87 | SSE);
    b.run('xsave', -1);
    expect([b.word(XSTATE_BV), b.word(576)]).toEqual([X87 | SSE, 0x55555555]);
    b.setWord(XSTATE_BV, AVX);
    expect(b.run('xrstor', X87)).toBe(13);
  });
});

describe('XSAVEOPT and XSAVEC', () => {
  it('do not write what is in its initial state', () => {
    for (let n = 0; n < 16; n++) b.vector(n, 0, 0);
    b.run('xsave', -1, XS_OPTIMIZE);
    expect([b.word(XSTATE_BV), b.word(160), b.word(576)]).toEqual([X87 | AVX | PKRU, 0x55555555, 0x200]);
    b.cpu.setEnv32(ENV.MXCSR, 0x1f80);
    b.run('xsave', X87 | SSE, XS_COMPACT);
    expect([b.word(XSTATE_BV), b.word(160)]).toEqual([X87, 0x55555555]);
    b.cpu.setEnv32(ENV.MXCSR, 0x1fa0); // part of SSE state in this form
    b.run('xsave', X87 | SSE, XS_COMPACT);
    expect([b.word(XSTATE_BV), b.word(160)]).toEqual([X87 | SSE, 0]);
  });

  it('XSAVEC packs what is asked for, XRSTOR finds it', () => {
    b.run('xsave', X87 | PKRU, XS_COMPACT);
    expect([b.word(XSTATE_BV), b.word(XCOMP_BV), b.word(XCOMP_BV + 4), b.word(576)]).toEqual([
      X87 | PKRU,
      X87 | PKRU,
      0x80000000,
      0xc,
    ]);
    b.run('xsave', SSE | AVX | PKRU, XS_COMPACT);
    expect([b.word(576), b.word(832)]).toEqual([0x200, 0xc]);
    b.cpu.setPkru(0);
    b.vector(0, 1, 1);
    expect(b.run('xrstor', -1)).toBe(-1);
    expect([b.cpu.env32(ENV.PKRU), b.vector(0, 1), b.cpu.env32(ENV.FPUC)]).toEqual([0xc, 0x200, 0x37f]);
    b.setWord(XSTATE_BV, X87); // not among the components of the area
    expect(b.run('xrstor', -1)).toBe(13);
  });

  it('XRSTORS knows the compacted form alone', () => {
    b.run('xsave', ALL, XS_COMPACT);
    b.vector(0, 1, 1);
    expect([b.run('xrstor', -1, XS_COMPACT), b.vector(0, 1)]).toEqual([-1, 0x200]);
    b.run('xsave', ALL);
    b.setWord(XCOMP_BV, 0);
    b.setWord(XCOMP_BV + 4, 0);
    expect([b.run('xrstor', ALL), b.run('xrstor', ALL, XS_COMPACT)]).toEqual([-1, 13]);
  });

  it('the compacted form initializes MXCSR too', () => {
    b.run('xsave', ALL, XS_COMPACT);
    b.setWord(XSTATE_BV, 0);
    b.run('xrstor', SSE);
    expect(b.cpu.env32(ENV.MXCSR)).toBe(0x1f80);
  });
});
