import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAP_0F38, MAP_0F3A } from '../decode/row.ts';
import { buildTable } from '../decode/table.ts';
import { CR4_OSXSAVE } from '../system/cr-bits.ts';
import { EAX, EBP, EBX, ECX, EDI, EDX, ENV } from '../state.ts';
import { CODE, DATA, FpuBench, TIERS } from '../../test/fpu-bench.ts';
import { SIMD_ROWS } from './rows-simd.ts';

const byte = (v: number): string => v.toString(16).padStart(2, '0');
/** 4000 0000 0000: not canonical when its bit 47 is joined by nothing above. */
const NOT_CANONICAL = 0x8000;
const R8 = 8;

describe.each(TIERS)('SIMD and x87 in 64-bit code, %s tier', (tier) => {
  const m = new FpuBench(tier, 'max', true);
  const general = (n: number): string => byte(m.cpu.regHigh(n)).padStart(8, '0') + byte(m.cpu.reg(n)).padStart(8, '0');

  it('has sixteen XMM registers', () => {
    m.reset();
    m.poke(DATA, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    m.cpu.setReg(EBX, DATA);
    m.setXmm(15, '00000000000000010000000000000010');
    // movdqa xmm8, [rbx]; paddq xmm15, xmm8; movq rax, xmm15; pextrq rcx, xmm15, 1
    m.run('66440F6F03 66450FD4F8 664C0F7EF8 664C0F3A16F901');
    expect([general(EAX), general(ECX), m.xmm(15)]).toEqual([
      '0807060504030211',
      '0000000000000001',
      '00000000000000010807060504030211',
    ]);
  });

  it('but eight MMX registers', () => {
    m.reset();
    m.cpu.setReg64(R8, 0x11223344, 0x55667788);
    m.run('490F6EC0 4D0F7EC0 450FEFC0'); // movq mm0, r8; movq r8, mm0; pxor mm0, mm0 with REX.R and REX.B
    expect([general(R8), m.st(0)]).toEqual(['5566778811223344', 'ffff0000000000000000']);
  });

  it('converts to and from 64-bit integers, exactly and with flags', () => {
    m.reset();
    m.setXmm(0, '00000000000000004270000000000001'); // 2^40 and a little
    m.run('F2480F2DC0');
    expect([general(EAX), m.mxcsr]).toEqual(['0000010000000000', 0x1fa0]);
    m.words(0x37f, 0, 0x1f80);
    m.setXmm(0, '000000000000000043e0000000000000'); // 2^63
    m.run('F2480F2CC0');
    expect([general(EAX), m.mxcsr]).toEqual(['8000000000000000', 0x1f81]);
    m.words(0x37f, 0, 0x1fa0);
    m.setXmm(0, '0000000000000000c3e0000000000000'); // -2^63
    m.run('F2480F2CC0');
    expect([general(EAX), m.mxcsr]).toEqual(['8000000000000000', 0x1fa0]);
    m.words(0x37f, 0, 0x1f80);
    m.cpu.setReg64(EAX, 1, 0x200000); // 2^53 + 1
    m.run('F2480F2AC0');
    expect([m.xmm(0).slice(16), m.mxcsr]).toEqual(['4340000000000000', 0x1fa0]);
    m.words(0x37f, 0, 0x1f80);
    m.run('F20F2AC0'); // the low half alone
    expect([m.xmm(0).slice(16), m.mxcsr]).toEqual(['3ff0000000000000', 0x1f80]);
  });

  it('zero-extends what goes to general registers', () => {
    m.reset();
    m.setXmm(9, '80000000800000008000000080000000');
    for (const n of [EAX, ECX, EDX]) m.cpu.setReg64(n, 0, 0xffffffff);
    m.run('410F50C1 66410FD7C9 66410FC5D107'); // movmskps eax, xmm9; pmovmskb ecx, xmm9; pextrw edx, xmm9, 7
    expect([general(EAX), general(ECX), general(EDX)]).toEqual([
      '000000000000000f',
      '0000000000008888',
      '0000000000008000',
    ]);
  });

  it('PCMPESTRI with REX.W takes lengths of 64 bits', () => {
    m.reset();
    m.setXmm(0, '00000000000000000000000000000063');
    m.setXmm(1, '00000000000000000000000064636261');
    m.cpu.setReg64(EAX, 1, 0);
    m.cpu.setReg64(EDX, 0, 1);
    m.run('66480F3A61C100');
    expect(general(ECX)).toBe('0000000000000002');
    m.run('660F3A61C100');
    expect(general(ECX)).toBe('0000000000000010'); // EDX is 0: nothing to look at
  });

  it('FXSAVE64 has 64-bit pointers, both forms have sixteen XMM registers', () => {
    m.reset();
    m.setXmm(15, '0123456789abcdef0123456789abcdef');
    m.cpu.setReg(EBX, DATA);
    m.poke(DATA, new Array<number>(512).fill(0xee));
    m.run('D9E8 480FAE03'); // fld1
    expect([m.peek32(DATA + 8), m.peek32(DATA + 12), m.peek32(DATA + 160 + 240)]).toEqual([CODE, 0, 0x89abcdef]);
    m.poke(DATA + 12, [1, 2, 0, 0]);
    m.run('0F57FF 450F57FF 480FAE0B'); // xorps xmm7, xmm7; xorps xmm15, xmm15
    expect([m.cpu.env32(ENV.FIP + 4), m.xmm(15)]).toEqual([0x201, '0123456789abcdef0123456789abcdef']);
    m.run('0FAE0B');
    expect([m.cpu.env32(ENV.FIP + 4), m.cpu.env32(ENV.FCS)]).toEqual([0, 0x201]);
  });

  it('an address that is not canonical is #GP(0), on the stack #SS(0)', () => {
    const faults = (code: string, register: number): number[] => {
      m.reset();
      m.words(0x37e, 0, 0x1f80);
      m.setXmm(1, '80000000000000000000000000000000');
      m.cpu.setReg64(register, 0, NOT_CANONICAL);
      const stop = m.run(code);
      return [stop.vector, stop.error, stop.eip - CODE];
    };
    expect(faults('660FF7C1', EDI)).toEqual([13, 0, 0]); // maskmovdqu
    expect(faults('0FAE03', EBX)).toEqual([13, 0, 0]); // fxsave
    expect(faults('0FAE4500', EBP)).toEqual([12, 0, 0]);
    expect(faults('D93B', EBX)).toEqual([13, 0, 0]); // fnstcw
    expect(faults('D97500', EBP)).toEqual([12, 0, 0]); // fnstenv
    expect(faults('D9E8DD5D00', EBP)).toEqual([12, 0, 2]); // fld1; fstp by way of the helper, an exception being unmasked
    expect(faults('0F1003', EBX)).toEqual([13, 0, 0]);
  });

  it('a masked store across the end of the lower half is #GP(0) only if it writes there', () => {
    m.reset();
    m.setXmm(1, '80000000000000000000000000000000');
    m.cpu.setReg64(EDI, 0xfffffff8, 0x7fff);
    expect(m.run('660FF7C1').vector).toBe(13);
    m.setXmm(1, '00000000000000000000000000000080');
    expect(m.run('660FF7C1').vector).toBe(14);
  });

  it('XSAVE and XRSTOR go through REX.W and CR4.OSXSAVE', () => {
    m.reset();
    m.cpu.setReg(EBX, DATA);
    m.cpu.setCrRaw(4, m.cpu.cr(4) & ~CR4_OSXSAVE);
    m.cpu.updateHflags();
    expect(m.run('0FAE23').vector).toBe(6);
    const enable = (): void => {
      m.cpu.setCrRaw(4, m.cpu.cr(4) | CR4_OSXSAVE);
      m.cpu.setEnv32(ENV.XCR0, 3);
      m.cpu.updateHflags();
    };
    m.reset();
    enable();
    m.cpu.setReg(EBX, DATA);
    m.cpu.setReg(EAX, 3);
    m.setXmm(12, '0123456789abcdef0123456789abcdef');
    m.poke(DATA, new Array<number>(1024).fill(0));
    m.run('480FAE23'); // xsave64
    expect([m.peek32(DATA + 512), m.peek32(DATA + 160 + 192)]).toEqual([2, 0x89abcdef]);
    enable();
    m.poke(DATA + 512, [0]);
    expect(m.run('480FAE2B').vector).toBe(3); // xrstor64
    expect(m.xmm(12)).toBe('00000000000000000000000000000000');
    enable();
    m.cpu.setReg(EBX, DATA + 32);
    expect(m.run('480FAE23').vector).toBe(13);
  });
});

// --- random streams -----------------------------------------------------------------------------------------------------
const rows = buildTable(SIMD_ROWS).rows.filter((r) => !r.fn.startsWith('fx'));
/** One instruction on registers 0-15 or on memory at [rbx + 32 * slot]; general registers are any but RBX, RSP, RDI. */
const instruction = fc
  .tuple(fc.constantFrom(...rows), fc.boolean(), fc.nat(15), fc.nat(15), fc.nat(255), fc.boolean())
  .map(([row, memory, reg, rm, imm, w]) => {
    const isGeneral = (letters: string): boolean =>
      row.operands.some((o) => new RegExp(`^[${letters}][dyq]$`).test(o.text));
    const safe = (n: number): number => ([3, 4, 7].includes(n) ? 8 + n : n);
    const useMemory = row.form === 'mem' || (row.form === 'both' && memory);
    const r = row.digit >= 0 ? row.digit : isGeneral('G') ? safe(reg) : reg;
    const b = isGeneral('ER') ? safe(rm) : rm;
    const rex = 0x40 | (row.w === 1 || (row.w < 0 && w) ? 8 : 0) | ((r >> 3) << 2) | (useMemory ? 0 : b >> 3);
    let code = ['', '66', 'f3', 'f2'][Math.max(0, row.prefix)]! + byte(rex) + '0f';
    code += (row.map === MAP_0F38 ? '38' : row.map === MAP_0F3A ? '3a' : '') + byte(row.opcode);
    if (row.hasModrm)
      code += useMemory ? byte(0x43 | ((r & 7) << 3)) + byte(32 * (rm & 3)) : byte(0xc0 | ((r & 7) << 3) | (b & 7));
    return row.imm1 !== 0 ? code + byte(imm) : code;
  });
const double = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }) },
  { weight: 4, arbitrary: fc.double({ min: -1e19, max: 1e19, noNaN: true }) },
  { weight: 1, arbitrary: fc.double() },
);
const vector = fc.oneof(
  fc.tuple(double, double).map(([a, b]) => new Uint8Array(Float64Array.of(a, b).buffer)),
  fc.tuple(double, double, double, double).map((v) => new Uint8Array(Float32Array.from(v).buffer)),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const hex = (v: Uint8Array): string => [...v].reverse().map(byte).join('');

describe('SIMD instruction streams of 64-bit code', () => {
  it('leave the same state in both tiers', () => {
    const hot = new FpuBench('hot', 'max', true);
    const cold = new FpuBench('cold', 'max', true);
    const mxcsr = fc.oneof(
      { weight: 6, arbitrary: fc.constant(0x1fa0) },
      { weight: 2, arbitrary: fc.constantFrom(0x1f80, 0x9fe0, 0x5fa0, 0x3f80) },
      { weight: 1, arbitrary: fc.nat(0xffff) },
    );
    fc.assert(
      fc.property(
        fc.array(instruction, { minLength: 1, maxLength: 8 }),
        fc.array(vector, { minLength: 24, maxLength: 24 }),
        mxcsr,
        fc.array(fc.integer(), { minLength: 32, maxLength: 32 }),
        (code, values, mode, words) => {
          const outcome = (m: FpuBench): unknown[] => {
            m.reset();
            m.words(0x37f, 0, mode);
            for (let n = 0; n < 16; n++) {
              m.setXmm(n, hex(values[n]!));
              if (n !== 4) m.cpu.setReg64(n, words[2 * n]!, words[2 * n + 1]!);
            }
            for (let n = 0; n < 8; n++) m.poke(DATA + 16 * n, values[16 + n]!);
            m.cpu.setReg(EBX, DATA);
            m.cpu.setReg(EDI, DATA + 0x400);
            const stop = m.run(code.join(''));
            return [
              stop.vector,
              stop.eip - CODE,
              stop.eflags & 0x8d5,
              m.mxcsr,
              m.fsw,
              m.tags,
              [...m.cpu.e8.slice(ENV.GPR, ENV.GPR + 128)],
              Array.from({ length: 16 }, (_, n) => m.xmm(n)),
              [0, 1, 2, 3, 4, 5, 6, 7].map((n) => m.st(n)),
              m.peek(DATA, 128),
              m.peek(DATA + 0x400, 16),
            ];
          };
          expect(outcome(hot), code.join(' ')).toEqual(outcome(cold));
        },
      ),
      { seed: 64, numRuns: 300 },
    );
  });
});
