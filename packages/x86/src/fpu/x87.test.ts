import { describe, expect, it } from 'vitest';
import { CR0_NE } from '../system/cr-bits.ts';
import { EAX, EBX, ENV, HF_FPU_ES, HF_FPU_UNMASKED } from '../state.ts';
import { CODE, DATA, DATA_END, FpuBench, TIERS } from '../../test/fpu-bench.ts';

const ONE = '3fff8000000000000000';
const THREE = '4000c000000000000000';
const INDEFINITE = 'ffffc000000000000000';

describe.each(TIERS)('x87, %s tier', (tier) => {
  const m = new FpuBench(tier);

  it('keeps TOP, tags and values through pushes and pops', () => {
    m.reset();
    expect(m.run('D9E8 D9E8 D8C1 D9E8 DEC1').vector).toBe(3); // fld1 fld1 fadd st,st1; fld1 faddp
    expect([m.top, m.tags, m.st(0), m.st(1)]).toEqual([6, 0xc0, THREE, ONE]);
    expect(m.fsw & 0xff).toBe(0);
  });

  it('masked underflow gives the default NaN and IE, SF with C1 clear', () => {
    m.reset();
    m.run('D9E8 D8C3'); // fld1; fadd st, st(3)
    expect([m.st(0), m.fsw & 0x27f, m.tags]).toEqual([INDEFINITE, 0x41, 0x80]);
  });

  it('masked overflow gives the default NaN with C1 set', () => {
    m.reset();
    m.run('D9E8'.repeat(9));
    expect([m.top, m.st(0), m.fsw & 0x27f, m.tags]).toEqual([7, INDEFINITE, 0x241, 0xff]);
  });

  it('an unmasked stack fault leaves registers and stack alone and waits', () => {
    m.reset();
    m.words(0x37e, 0, 0x1f80);
    expect(m.run('D8C1').vector).toBe(3);
    expect([m.top, m.tags, m.fsw & 0xff]).toEqual([0, 0, 0xc1]);
    expect(m.cpu.hflags & HF_FPU_ES).not.toBe(0);
  });

  it('#MF comes at the next waiting instruction, with EIP there; FNSTSW does not wait', () => {
    m.reset();
    m.words(0x37b, 0, 0x1f80); // ZE unmasked
    const stop = m.run('D9E8 D9EE DEF9 DFE0 D9E8'); // fld1 fldz fdivp fnstsw ax; fld1
    expect([stop.vector, stop.eip]).toEqual([16, CODE + 8]);
    expect(m.cpu.reg(EAX) & 0xffff).toBe(0xb084 | ((m.top << 11) & 0x3800));
    expect([m.st(0), m.st(1), m.top]).toEqual(['00000000000000000000', ONE, 6]); // FDIVP did not pop
    expect(m.cpu.env32(ENV.FIP)).toBe(CODE + 4);
  });

  it('an unmasked overflow stores the scaled result and pops', () => {
    m.reset();
    m.words(0x377, 0, 0x1f80);
    m.setSt(0, '7ffe8000000000000000');
    m.run('D8C8'); // fmul st, st: 2^16383 squared = 2^32766, scaled by 2^-24576 = 2^8190
    expect([m.st(0), m.fsw & 0xff]).toEqual(['5ffd8000000000000000', 0x88]);
  });

  it('a store with unmasked overflow writes nothing and does not pop; unmasked PE does both', () => {
    m.reset();
    m.poke(DATA, [1, 2, 3, 4]);
    m.words(0x377, 0x3800, 0x1f80);
    m.setSt(0, '7ffe8000000000000000');
    m.cpu.setReg(EBX, DATA);
    m.run('D91B'); // fstp dword [ebx]
    expect([m.peek(DATA, 4), m.top, m.fsw & 0xff]).toEqual([[1, 2, 3, 4], 7, 0x88]);
    m.reset();
    m.words(0x35f, 0x3800, 0x1f80);
    m.setSt(0, '3ffd' + 'aaaaaaaaaaaaaaab');
    m.cpu.setReg(EBX, DATA);
    m.run('D91B');
    expect([m.peek32(DATA), m.top, m.fsw & 0xff]).toEqual([0x3eaaaaab, 0, 0xa0]);
  });

  it("a masked underflow of a store gives the format's indefinite, also while another exception is unmasked", () => {
    for (const fcw of [0x37f, 0x37b]) {
      for (const [code, bytes] of [
        ['D913', [0, 0, 0xc0, 0xff]],
        ['DD13', [0, 0, 0, 0, 0, 0, 0xf8, 0xff]],
        ['DB13', [0, 0, 0, 0x80]],
        ['DF13', [0, 0x80]],
        ['DF3B', [0, 0, 0, 0, 0, 0, 0, 0x80]],
        ['DD0B', [0, 0, 0, 0, 0, 0, 0, 0x80]],
        ['DB3B', [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff]],
        ['DF33', [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff]],
      ] as const) {
        m.reset();
        m.words(fcw, 0, 0x1f80);
        m.cpu.setReg(EBX, DATA);
        expect([m.run(code).vector, m.peek(DATA, bytes.length), m.fsw & 0x2ff], code).toEqual([3, bytes, 0x41]);
      }
    }
  });

  it('FLDCW that unmasks a flagged exception makes it pending; FNCLEX takes it back', () => {
    m.reset();
    m.words(0x37f, 0x04, 0x1f80);
    m.poke(DATA, [0x7b, 0x03]);
    m.cpu.setReg(EBX, DATA);
    const stop = m.run('D92B 9B'); // fldcw [ebx]; fwait
    expect([stop.vector, stop.eip, m.fsw & 0x8080]).toEqual([16, CODE + 2, 0x8080]);
    m.words(0x37f, 0x04, 0x1f80);
    m.cpu.setReg(EBX, DATA);
    expect(m.run('D92B DBE2 9B').vector).toBe(3);
    expect([m.fsw & 0x80ff, m.cpu.hflags & HF_FPU_UNMASKED]).toEqual([0, HF_FPU_UNMASKED]);
  });

  it('a store that faults has no effect at all', () => {
    m.reset();
    m.run('D9EB'); // fldpi
    m.cpu.setReg(EBX, DATA_END - 2);
    const stop = m.run('D91B');
    expect([stop.vector, stop.eip, m.top, m.fsw & 0x3f, m.tags]).toEqual([14, CODE, 7, 0, 0x80]);
    m.cpu.setReg(EBX, DATA_END - 4);
    expect(m.run('DB3B').vector).toBe(14); // fstp tbyte
    expect([m.top, m.tags]).toEqual([7, 0x80]);
  });

  it('FSIN out of range sets C2; FSINCOS then does not push', () => {
    m.reset();
    m.words(0x37f, 0x3800, 0x1f80);
    m.setSt(0, '403e8000000000000000'); // 2^63
    m.run('D9FE');
    expect([m.fsw & 0x400, m.st(0)]).toEqual([0x400, '403e8000000000000000']);
    m.run('D9FB');
    expect([m.fsw & 0x400, m.top, m.st(0)]).toEqual([0x400, 7, '403e8000000000000000']);
    m.setSt(0, '00000000000000000000');
    m.run('D9FB');
    expect([m.fsw & 0x400, m.top, m.st(0), m.st(1)]).toEqual([0, 6, ONE, '00000000000000000000']);
  });

  it('FCOMI and FCMOV work on EFLAGS', () => {
    m.reset();
    const stop = m.run('D9E8 D9EE DBF1 DAC1'); // fld1 fldz; fcomi st,st1 (0 < 1: CF); fcmovb st,st1
    expect([stop.eflags & 0x8d5, m.st(0)]).toEqual([1, ONE]);
  });

  it('FNSTENV and FLDENV: 28 bytes, tags of every kind, all masked afterwards', () => {
    m.reset();
    m.words(0x37e, 0x2800, 0x1f80);
    m.setSt(0, ONE);
    m.setSt(1, '00000000000000000000');
    m.setSt(2, INDEFINITE);
    m.cpu.setReg(EBX, DATA);
    m.run('D933'); // fnstenv [ebx]
    expect([m.peek32(DATA), m.peek32(DATA + 4), m.peek32(DATA + 8)]).toEqual([0xffff037e, 0xffff2800, 0xffff93ff]);
    expect([m.fcw, m.cpu.hflags & HF_FPU_UNMASKED]).toEqual([0x37f, 0]);
    m.run('DBE3 D923'); // fninit; fldenv [ebx]
    expect([m.fcw, m.top, m.tags, m.st(0)]).toEqual([0x37e, 5, 0xe0, ONE]);
  });

  it('FNSAVE in the 16-bit layout and FRSTOR give the state back', () => {
    m.reset();
    m.run('D9E8 D9EB');
    const before = [m.top, m.tags, m.st(0), m.st(1)];
    m.cpu.setReg(EBX, DATA + 0x100);
    m.run('66DD33'); // fnsave, 94 bytes
    expect([m.top, m.tags, m.fcw]).toEqual([0, 0, 0x37f]);
    expect(m.peek(DATA + 0x100 + 14, 10)).toEqual([0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40]);
    m.run('66DD23');
    expect([m.top, m.tags, m.st(0), m.st(1)]).toEqual(before);
  });

  it('FSTENV knows the last instruction even with everything masked', () => {
    m.reset();
    m.cpu.setReg(EBX, DATA);
    m.run('90 D9EE D933');
    expect(m.peek32(DATA + 12)).toBe(CODE + 1);
  });

  it('without CR0.NE the instruction waits for the interrupt of FERR#', () => {
    m.reset();
    m.words(0x37e, 0x81, 0x1f80);
    m.cpu.setCrRaw(0, m.cpu.cr(0) & ~CR0_NE);
    m.cpu.updateHflags();
    expect(() => m.run('D9E8')).toThrow(/no stop/);
    expect([m.cpu.eip, m.top]).toEqual([CODE, 0]);
  });
});

describe('x87 availability', () => {
  it('without an FPU instructions do nothing, and #NM comes with EM', () => {
    const m = new FpuBench('cold', 'max,-fpu');
    m.cpu.setReg(EAX, 0x5a5a);
    expect([m.run('DBE3 DFE0 D9E8').vector, m.cpu.reg(EAX), m.tags]).toEqual([3, 0x5a5a, 0]);
    m.cpu.setCrRaw(0, m.cpu.cr(0) | 4);
    m.cpu.updateHflags();
    expect(m.run('DBE3').vector).toBe(7);
  });

  it('#NM with TS or EM; WAIT only with TS and MP', () => {
    const m = new FpuBench('cold');
    const CR0 = m.cpu.cr(0);
    for (const [bits, code, vector] of [
      [8, 'D9E8', 7],
      [4, 'D9E8', 7],
      [8 | 2, '9B', 7],
      [8, '9B', 3],
      [4, '9B', 3],
    ] as const) {
      m.reset();
      m.cpu.setCrRaw(0, (CR0 & ~14) | bits);
      m.cpu.updateHflags();
      expect(m.run(code).vector, `CR0 bits ${bits}, ${code}`).toBe(vector);
    }
  });
});
