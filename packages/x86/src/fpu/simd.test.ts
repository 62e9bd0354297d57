import { describe, expect, it } from 'vitest';
import { CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_OSXSAVE } from '../system/cr-bits.ts';
import { EAX, EBX, ECX, EDI, HF_SSE_FAST } from '../state.ts';
import { CODE, DATA, DATA_END, FpuBench, TIERS } from '../../test/fpu-bench.ts';

const PATTERN = '0f0e0d0c0b0a09080706050403020100';

describe.each(TIERS)('MMX and SSE, %s tier', (tier) => {
  const m = new FpuBench(tier);

  it('an MMX instruction makes TOP 0 and all tags valid, EMMS empties them', () => {
    m.reset();
    m.run('D9E8 0FEFC0'); // fld1; pxor mm0, mm0
    expect([m.top, m.tags, m.st(0)]).toEqual([0, 0xff, 'ffff0000000000000000']);
    m.run('0F77');
    expect([m.top, m.tags]).toEqual([0, 0]);
  });

  it('MMX reports a pending x87 error, SSE does not', () => {
    m.reset();
    m.words(0x37e, 0x81, 0x1f80);
    expect(m.run('0FEFC0').vector).toBe(16);
    m.words(0x37e, 0x81, 0x1f80);
    expect(m.run('660FEFC0').vector).toBe(3);
  });

  it('16-byte operands must be aligned, unaligned forms need not', () => {
    m.reset();
    m.setXmm(0, PATTERN);
    for (const [code, vector] of [
      ['0F2803', 13],
      ['0F1003', 3],
      ['660F6F03', 13],
      ['F30F6F03', 3],
      ['0F5803', 13],
      ['660FE703', 13],
      ['F20F5803', 3],
    ] as const) {
      m.cpu.setReg(EBX, DATA + 8);
      const stop = m.run(code);
      expect([stop.vector, stop.eip], code).toEqual([vector, vector === 13 ? CODE : CODE + code.length / 2 + 1]);
    }
  });

  it('an unmasked exception is #XM: flags set, destination kept', () => {
    m.reset();
    m.words(0x37f, 0, 0x1d80); // ZE unmasked
    m.setXmm(1, '00000000000000003ff0000000000000');
    m.setXmm(2, '00000000000000000000000000000000');
    const stop = m.run('F20F5ECA'); // divsd xmm1, xmm2
    expect([stop.vector, stop.eip, m.mxcsr, m.xmm(1)]).toEqual([19, CODE, 0x1d84, '00000000000000003ff0000000000000']);
  });

  it('and #UD without CR4.OSXMMEXCPT', () => {
    m.reset();
    m.words(0x37f, 0, 0x1d80);
    m.setXmm(1, '00000000000000003ff0000000000000');
    m.cpu.setCrRaw(4, m.cpu.cr(4) & ~CR4_OSXMMEXCPT);
    m.cpu.updateHflags();
    expect(m.run('F20F5ECA').vector).toBe(6);
  });

  it('without CR4.OSFXSR SSE is undefined, MMX is not', () => {
    for (const [code, vector] of [
      ['0F58C1', 6],
      ['660FEFC0', 6],
      ['0F2AC0', 6],
      ['0FEFC0', 3],
      ['0FE0C1', 3],
    ] as const) {
      m.reset();
      m.cpu.setCrRaw(4, m.cpu.cr(4) & ~CR4_OSFXSR);
      m.cpu.updateHflags();
      expect(m.run(code).vector, code).toBe(vector);
    }
  });

  it('LDMXCSR refuses reserved bits and decides about fast arithmetic', () => {
    m.reset();
    m.cpu.setReg(EBX, DATA);
    m.poke(DATA, [0x80, 0x1f, 1, 0]);
    expect([m.run('0FAE13').vector, m.mxcsr]).toEqual([13, 0x1f80]);
    m.poke(DATA, [0xa0, 0x1f, 0, 0]);
    expect([m.run('0FAE13').vector, m.mxcsr, m.cpu.hflags & HF_SSE_FAST]).toEqual([3, 0x1fa0, HF_SSE_FAST]);
    m.poke(DATA, [0x80, 0x3f, 0, 0]);
    m.run('0FAE13');
    expect(m.cpu.hflags & HF_SSE_FAST).toBe(0);
  });

  it('the first inexact result turns fast arithmetic on', () => {
    m.reset();
    m.setXmm(0, '00000000000000003ff0000000000000');
    m.setXmm(1, '00000000000000004008000000000000');
    m.run('F20F5EC1 F20F58C1'); // divsd xmm0, xmm1; addsd xmm0, xmm1
    expect([m.xmm(0), m.mxcsr, m.cpu.hflags & HF_SSE_FAST]).toEqual([
      '0000000000000000400aaaaaaaaaaaab',
      0x1fa0,
      HF_SSE_FAST,
    ]);
  });

  it('MASKMOVDQU writes only chosen bytes and faults only for those', () => {
    m.reset();
    m.poke(DATA, new Array<number>(16).fill(0xee));
    m.setXmm(0, PATTERN);
    m.setXmm(1, '80000000000000000000000000008000');
    m.cpu.setReg(EDI, DATA);
    m.run('660FF7C1');
    expect(m.peek(DATA, 16)).toEqual([0xee, 1, ...new Array<number>(13).fill(0xee), 15]);
    m.cpu.setReg(EDI, DATA_END - 8);
    m.poke(DATA_END - 8, new Array<number>(8).fill(0xee));
    const stop = m.run('660FF7C1');
    expect([stop.vector, m.peek(DATA_END - 7, 1)]).toEqual([14, [0xee]]); // nothing written before the fault
    m.setXmm(1, '00000000000000000000000000008000');
    expect([m.run('660FF7C1').vector, m.peek(DATA_END - 7, 1)]).toEqual([3, [1]]);
  });

  it('FXSAVE and FXRSTOR give the whole state back, FXRSTOR refuses a bad MXCSR', () => {
    m.reset();
    m.words(0x27f, 0x2800, 0x1fa5);
    m.setSt(0, '4000c90fdaa22168c235');
    m.setXmm(7, PATTERN);
    m.cpu.setReg(EBX, DATA + 0x200);
    const state = (): unknown[] => [m.fcw, m.fsw, m.mxcsr, m.tags, m.st(0), m.xmm(7)];
    const before = state();
    m.run('0FAE03');
    expect(m.peek(DATA + 0x200, 8)).toEqual([0x7f, 2, 0, 0x28, 0x20, 0, 0, 0]);
    expect(m.peek32(DATA + 0x200 + 28)).toBe(0xffff);
    m.run('DBE3 0F57FF'); // fninit; xorps xmm7, xmm7
    m.run('0FAE0B');
    expect(state()).toEqual(before);
    m.poke(DATA + 0x200 + 26, [1]);
    expect(m.run('DBE3 0FAE0B').vector).toBe(13);
    expect([m.top, m.tags, m.xmm(7)]).toEqual([0, 0, PATTERN]);
    m.cpu.setReg(EBX, DATA + 0x208);
    expect(m.run('0FAE03').vector).toBe(13); // alignment
  });

  it('PCMPISTRI finds a byte, PSHUFB and PALIGNR move bytes', () => {
    m.reset();
    m.setXmm(0, '00000000000000000000000000000063'); // set {'c'}
    m.setXmm(1, '00000000000000000000000064636261'); // "abcd"
    const stop = m.run('660F3A63C100');
    expect([m.cpu.reg(ECX), stop.eflags & 0x8d5]).toEqual([2, 0x0c1]);
    m.setXmm(0, PATTERN);
    m.setXmm(1, '800f0e0d0c0b0a090807060504030201');
    m.run('660F3800C1');
    expect(m.xmm(0)).toBe('000f0e0d0c0b0a090807060504030201');
    m.setXmm(0, PATTERN);
    m.run('660F3A0FC004');
    expect(m.xmm(0)).toBe('030201000f0e0d0c0b0a090807060504');
  });

  it("AESENC, AESDEC and PCLMULQDQ give the SDM's examples", () => {
    m.reset();
    // Intel, "Advanced Encryption Standard (AES) New Instructions Set", section "AESENC" and "AESDEC" examples
    m.setXmm(1, '7b5b54657374566563746f725d53475d');
    m.setXmm(2, '48692853686179295b477565726f6e5d');
    m.run('660F38DCCA');
    expect(m.xmm(1)).toBe('a8311c2f9fdba3c58b104b58ded7e595');
    m.setXmm(1, '7b5b54657374566563746f725d53475d');
    m.run('660F38DECA');
    expect(m.xmm(1)).toBe('138ac342faea2787b58eb95eb730392a');
    m.setXmm(1, '7b5b54657374566563746f725d53475d');
    m.run('660F3A44CA00');
    expect(m.xmm(1)).toBe('1d4d84c85c3440c0929633d5d36f0451');
  });

  it('VEX-coded forms are undefined without CR4.OSXSAVE', () => {
    m.reset();
    m.cpu.setCrRaw(4, m.cpu.cr(4) & ~CR4_OSXSAVE);
    m.cpu.updateHflags();
    expect(m.run('C5F877').vector).toBe(6);
  });

  it('PEXTRW and PMOVMSKB deliver to general registers', () => {
    m.reset();
    m.setXmm(3, '80ff000000000000ffff000080000001');
    m.run('660FC5C302 660FD7CB'); // pextrw eax, xmm3, 2; pmovmskb ecx, xmm3
    expect([m.cpu.reg(EAX), m.cpu.reg(ECX)]).toEqual([0, 0xc0c8]);
  });
});
