import { describe, expect, it } from 'vitest';
import { AVX_VECTORS } from '../../test/fixtures/avx.ts';
import { CODE, DATA, DATA_END, FpuBench, TIERS } from '../../test/fpu-bench.ts';
import { vectorInputs } from '../../test/vector-inputs.ts';
import { CR0_TS, CR4_OSXSAVE } from '../system/cr-bits.ts';
import { EAX, ECX, EDX, ENV, XMM_STRIDE } from '../state.ts';

const hex = (bytes: ArrayLike<number>): string =>
  Array.from(bytes, (v) => v.toString(16).padStart(2, '0'))
    .reverse()
    .join('');

class AvxBench extends FpuBench {
  /** As `reset`, with the upper halves zero and AVX enabled, or not. */
  begin(xcr0 = 7): void {
    this.reset();
    const { cpu } = this;
    cpu.setCrRaw(4, cpu.cr(4) | CR4_OSXSAVE);
    cpu.setEnv32(ENV.XCR0, xcr0);
    cpu.e8.fill(0, ENV.XMM, ENV.XMM + 8 * XMM_STRIDE);
    cpu.updateHflags();
  }
  ymm(n: number): string {
    const at = ENV.XMM + XMM_STRIDE * n;
    return hex(this.cpu.e8.subarray(at, at + 32));
  }
  setYmm(n: number, text: string): void {
    const bytes = (text.match(/../g) ?? []).map((x) => parseInt(x, 16)).reverse();
    this.cpu.e8.set(bytes, ENV.XMM + XMM_STRIDE * n);
  }
  /** What changed, as the fixture has it. */
  vector(line: string): string {
    const [code, number, mxcsr, ...wanted] = line.split(' ') as [string, string, string, ...string[]];
    // of a gather: the index size follows from the opcode's low bit
    const bytes = code.match(/../g)!.map((x) => parseInt(x, 16));
    const gathers = (bytes[1]! & 31) === 2 && bytes[3]! >= 0x90 && bytes[3]! <= 0x93;
    const inputs = vectorInputs(Number(number), gathers ? 2 + (bytes[3]! & 1) : 0);
    this.begin();
    const { cpu } = this;
    const control = parseInt(mxcsr, 16);
    this.words(0x37f, 0, control);
    for (let n = 0; n < 8; n++) cpu.e8.set(inputs.subarray(32 * n, 32 * n + 32), ENV.XMM + XMM_STRIDE * n);
    const memory = inputs.subarray(256);
    this.poke(DATA, memory);
    cpu.setReg(EAX, DATA);
    cpu.setReg(ECX, 0x9abcdef0);
    cpu.setReg(EDX, 0x12345678);
    const stop = this.run(code);
    if (stop.vector !== 3) return `exception ${stop.vector}`;
    const changes: string[] = [];
    for (let n = 0; n < 8; n++) {
      const v = this.ymm(n);
      if (v !== hex(inputs.subarray(32 * n, 32 * n + 32))) changes.push(`${n}:${v}`);
    }
    if (hex(this.peek(DATA, 128)) !== hex(memory)) changes.push(`m:${hex(this.peek(DATA, 64))}`);
    const general = (n: number): number => cpu.reg(n) >>> 0;
    if (general(ECX) !== 0x9abcdef0) changes.push(`r:${general(ECX).toString(16)}`);
    if (general(EDX) !== 0x12345678) changes.push(`d:${general(EDX).toString(16)}`);
    if (this.mxcsr !== control) changes.push(`x:${this.mxcsr.toString(16)}`);
    if (wanted.some((w) => w.startsWith('f:'))) changes.push(`f:${(stop.eflags & 0x8d5).toString(16)}`);
    return [code, number, mxcsr, ...changes].join(' ');
  }
}

const ONES = 'f'.repeat(64);

describe.each(TIERS)('AVX, %s tier', (tier) => {
  const m = new AvxBench(tier);

  it('does what a processor did', () => {
    const chosen = AVX_VECTORS.filter((_, n) => tier === 'cold' || n % 4 === 0);
    expect(chosen.map((line) => m.vector(line))).toEqual(chosen);
  });

  it('is undefined unless CR4.OSXSAVE and XCR0 say otherwise, and CR0.TS is #NM', () => {
    m.begin(3);
    expect(m.run('C5FC58C1').vector).toBe(6);
    m.begin();
    m.cpu.setCrRaw(4, m.cpu.cr(4) & ~CR4_OSXSAVE);
    m.cpu.updateHflags();
    expect(m.run('C5FC58C1').vector).toBe(6);
    m.begin();
    m.cpu.setCrRaw(0, m.cpu.cr(0) | CR0_TS);
    m.cpu.updateHflags();
    expect(m.run('C5FC58C1').vector).toBe(7);
    m.cpu.setCrRaw(0, m.cpu.cr(0) & ~CR0_TS);
  });

  it('writes zeros above 128 bits where SSE leaves them', () => {
    m.begin();
    m.setYmm(1, ONES);
    m.run('0F57C9'); // xorps xmm1, xmm1
    expect(m.ymm(1)).toBe(`${'f'.repeat(32)}${'0'.repeat(32)}`);
    m.setYmm(1, ONES);
    m.run('C5F057C9'); // vxorps xmm1, xmm1, xmm1
    expect(m.ymm(1)).toBe('0'.repeat(64));
    m.setYmm(2, ONES);
    m.run('C5F877'); // vzeroupper
    expect(m.ymm(2)).toBe(`${'0'.repeat(32)}${'f'.repeat(32)}`);
    m.run('C5FC77'); // vzeroall
    expect(m.ymm(2)).toBe('0'.repeat(64));
  });

  it('wants no alignment but for the aligned moves', () => {
    for (const [code, vector] of [
      ['C5FC5800', 3], // vaddps ymm0, ymm0, [eax]
      ['C5FC1000', 3], // vmovups
      ['C5FC2800', 13], // vmovaps
      ['C5FD7F00', 13], // vmovdqa [eax], ymm0
    ] as const) {
      m.begin();
      m.cpu.setReg(EAX, DATA + 16);
      expect(m.run(code).vector, code).toBe(vector);
    }
  });

  it('faults at the upper half as at the lower, before anything is written to a register', () => {
    m.begin();
    m.setYmm(0, ONES);
    m.cpu.setReg(EAX, DATA_END - 16);
    const stop = m.run('C5FC1000'); // vmovups ymm0, [eax]
    expect([stop.vector, stop.eip, m.ymm(0)]).toEqual([14, CODE, ONES]);
  });

  it('a store of 32 bytes that faults anywhere writes nothing', () => {
    // from 23 bytes below the end: the upper half crosses into the missing page; from 16: it begins there; from 9: the lower half does
    for (const below of [23, 16, 9]) {
      m.begin();
      m.setYmm(0, ONES);
      m.poke(DATA_END - 32, new Array<number>(32).fill(0));
      m.cpu.setReg(EAX, DATA_END - below);
      const stop = m.run('C5FC1100'); // vmovups [eax], ymm0
      expect([stop.vector, m.cpu.cr(2) >>> 0, ...m.peek(DATA_END - 32, 32)]).toEqual([
        14,
        DATA_END,
        ...new Array<number>(32).fill(0),
      ]);
    }
    m.cpu.setReg(EAX, DATA_END - 32);
    expect([m.run('C5FC1100').vector, hex(m.peek(DATA_END - 32, 32))]).toEqual([3, ONES]);
  });

  it('of several NaNs a dot product has in each lane the one that processors have', () => {
    m.begin();
    m.setYmm(1, '7fc000137fc000127fc000117fc00010'.padStart(64, '0'));
    m.setYmm(2, '3f800000'.repeat(4).padStart(64, '0'));
    m.run('C4E37140C2FF'); // vdpps xmm0, xmm1, xmm2, ff
    expect(m.ymm(0).slice(32)).toBe('7fc000127fc000137fc000107fc00011');
    m.setYmm(1, '7ff80000000000117ff8000000000010'.padStart(64, '0'));
    m.setYmm(2, '3ff0000000000000'.repeat(2).padStart(64, '0'));
    m.run('C4E37141C2FF'); // vdppd xmm0, xmm1, xmm2, ff
    expect(m.ymm(0).slice(32)).toBe('7ff80000000000117ff8000000000010');
  });

  it('masked moves touch only what is chosen', () => {
    m.begin();
    m.setYmm(1, `${'0'.repeat(32)}${'80000000'.repeat(4)}`);
    m.cpu.setReg(EAX, DATA_END - 16);
    m.poke(DATA_END - 16, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
    expect(m.run('C4E2752C00').vector).toBe(3); // vmaskmovps ymm0, ymm1, [eax]
    expect(m.ymm(0)).toBe(`${'0'.repeat(32)}00000004000000030000000200000001`);
    m.setYmm(0, ONES);
    expect(m.run('C4E2752E00').vector).toBe(3); // vmaskmovps [eax], ymm1, ymm0
    expect(m.peek32(DATA_END - 4)).toBe(0xffffffff);
    m.setYmm(1, `80000000${'0'.repeat(24)}${'80000000'.repeat(4)}`);
    m.poke(DATA_END - 16, [1]);
    expect(m.run('C4E2752E00').vector).toBe(14);
    expect(m.peek(DATA_END - 16, 1)).toEqual([1]);
  });

  it('a masked store inside a page keeps the rest, in all widths', () => {
    m.begin();
    const before = Array.from({ length: 32 }, (_, n) => n + 1);
    const mask = `80000000${'00000000'.repeat(2)}ff000000${'7fffffff'.repeat(2)}80000000ffffffff`;
    for (const [code, chosen] of [
      ['C4E2758E00', [0, 1, 4, 7]], // vpmaskmovd [eax], ymm1, ymm0
      ['C4E2718E00', [0, 1]], // xmm
      ['C4E2F58E00', [0, 1, 6, 7]], // vpmaskmovq [eax], ymm1, ymm0
    ] as const) {
      m.setYmm(0, 'ee'.repeat(32));
      m.setYmm(1, mask);
      m.poke(DATA + 0x104, before);
      m.cpu.setReg(EAX, DATA + 0x104);
      expect(m.run(code).vector).toBe(3);
      const lanes: readonly number[] = chosen;
      expect(m.peek(DATA + 0x104, 32)).toEqual(before.map((v, n) => (lanes.includes(n >> 2) ? 0xee : v)));
    }
  });

  it('a gather that faults leaves what it has, and the mask of the rest', () => {
    m.begin();
    m.cpu.setReg(EAX, DATA_END - 8);
    m.poke(DATA_END - 8, [1, 0, 0, 0, 2, 0, 0, 0]);
    m.setYmm(1, '0000000000000000000000000000000000000000000000020000000100000000'); // indices 0, 1, 2, 0
    m.setYmm(2, ONES);
    const stop = m.run('C4E269900488'); // vpgatherdd xmm0, [eax + xmm1*4], xmm2
    expect([stop.vector, stop.eip]).toEqual([14, CODE]);
    expect(m.ymm(0).slice(32)).toBe('00000000000000000000000200000001');
    expect(m.ymm(2).slice(32)).toBe('ffffffffffffffff0000000000000000');
    m.setYmm(2, ONES);
    expect(m.run('C4E269901488').vector).toBe(6); // destination and mask are one register
  });

  it('an unmasked exception of either half keeps the destination', () => {
    m.begin();
    m.words(0x37f, 0, 0x1d80); // ZE unmasked
    m.setYmm(1, '3f800000'.repeat(8));
    m.setYmm(2, `00000000${'3f800000'.repeat(7)}`);
    m.setYmm(0, ONES);
    const stop = m.run('C5F45EC2'); // vdivps ymm0, ymm1, ymm2
    expect([stop.vector, m.mxcsr, m.ymm(0)]).toEqual([19, 0x1d84, ONES]);
  });
});
