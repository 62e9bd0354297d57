import { describe, expect, it } from 'vitest';
import {
  type Bench,
  CONFORMING,
  FREE_SEL,
  GDT,
  KDATA,
  LDT_SEL,
  TR_SEL,
  TSS,
  UCODE,
  UDATA,
  descriptor,
  protectedBench,
} from '../../test/fake-host.ts';
import {
  EAX,
  ECX,
  ENV,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FLAG_ZF,
  HF_INHIBIT_IRQ,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
} from '../state.ts';
import { lgdt, lidt, lldt, ltr } from './descriptor-tables.ts';
import { cli, popf, pushfValue, sti } from './flag-control.ts';
import { fpuFerr } from './fpu-error.ts';
import { hlt, monitor, mwait } from './halt.ts';
import { lar, lsl, verr, verw } from './segment-query.ts';

const GP0 = { vector: 13, error: 0 };
/** A processor at a CPL with EFLAGS and CR4; VM makes it VM86. */
function at(cpl: number, flags: number, cr4 = 0): Bench {
  const b = protectedBench();
  b.cpu.cpl = cpl;
  b.cpu.ei32[ENV.EFLAGS >> 2] = flags | 2;
  b.cpu.setCrRaw(4, cr4);
  b.cpu.updateHflags();
  return b;
}
const flags = (b: Bench): number => b.cpu.eflags() & ~2;
const VME = 1;
const PVI = 2;
const IOPL1 = 0x1000;

describe('CLI and STI', () => {
  // SDM Vol. 2A Table 3-7, Vol. 2B Table 4-19: [CPL, EFLAGS, CR4, after CLI, after STI]; null: #GP(0)
  const rows: [number, number, number, number | null, number | null][] = [
    [0, FLAG_IF, 0, 0, FLAG_IF],
    [0, 0, 0, 0, FLAG_IF],
    [1, IOPL1, 0, IOPL1, IOPL1 | FLAG_IF],
    [2, IOPL1, 0, null, null],
    [3, 0, VME, null, null],
    [3, 0, PVI, 0, FLAG_VIF],
    [3, FLAG_VIP | FLAG_VIF, PVI, FLAG_VIP, null],
    [2, 0, PVI, null, null],
    [3, FLAG_VM | FLAG_IOPL, 0, FLAG_VM | FLAG_IOPL, FLAG_VM | FLAG_IOPL | FLAG_IF],
    [3, FLAG_VM, 0, null, null],
    [3, FLAG_VM, VME, FLAG_VM, FLAG_VM | FLAG_VIF],
    [3, FLAG_VM | FLAG_VIP, VME, FLAG_VM | FLAG_VIP, null],
    [3, FLAG_VM, PVI, null, null],
  ];
  it.each(rows)('CPL %i EFLAGS %i CR4 %i', (cpl, f, cr4, afterCli, afterSti) => {
    for (const [go, after] of [
      [cli, afterCli],
      [sti, afterSti],
    ] as const) {
      const b = at(cpl, f, cr4);
      const raised = b.try(() => go(b.cpu, 0x5001));
      expect(raised).toEqual(after === null ? GP0 : null);
      expect(flags(b)).toBe(after ?? f);
      if (after !== null) expect(b.cpu.eip).toBe(0x5001);
    }
  });
  it('STI has a shadow only when IF was clear', () => {
    const b = at(0, 0);
    sti(b.cpu, 1);
    expect([b.cpu.canInterrupt(), b.cpu.hflags & HF_INHIBIT_IRQ]).toEqual([false, HF_INHIBIT_IRQ]);
    b.cpu.hflags &= ~HF_INHIBIT_IRQ;
    sti(b.cpu, 2);
    expect(b.cpu.canInterrupt()).toBe(true);
  });
});

describe('PUSHF and POPF', () => {
  // [what, CPL, EFLAGS, CR4, popped value, size, EFLAGS after or null]
  const rows: [string, number, number, number, number, number, number | null][] = [
    ['CPL 0 changes IF and IOPL', 0, 0, 0, 0x3ad5 | FLAG_VM | FLAG_RF | FLAG_VIF | FLAG_VIP, 4, 0x3ad5],
    ['CPL 0, 16 bit', 0, FLAG_AC, 0, 0x7fd5, 2, FLAG_AC | 0x7fd5],
    ['CPL <= IOPL changes IF, not IOPL', 1, IOPL1, 0, FLAG_IOPL | FLAG_IF, 4, IOPL1 | FLAG_IF],
    ['CPL > IOPL changes neither', 3, FLAG_IF, PVI, FLAG_IOPL, 4, FLAG_IF],
    ['VM86 with IOPL 3', 3, FLAG_VM | FLAG_IOPL, 0, FLAG_IF | 1, 4, FLAG_VM | FLAG_IOPL | FLAG_IF | 1],
    ['VM86 with IOPL < 3', 3, FLAG_VM, 0, 0, 2, null],
    ['VM86 with VME: IF goes to VIF', 3, FLAG_VM, VME, FLAG_IF | FLAG_NT, 2, FLAG_VM | FLAG_VIF | FLAG_NT],
    ['VM86 with VME, 32 bit', 3, FLAG_VM, VME, 0, 4, null],
    ['VM86 with VME, VIP and IF', 3, FLAG_VM | FLAG_VIP, VME, FLAG_IF, 2, null],
    ['VM86 with VME and TF', 3, FLAG_VM, VME, 0x100, 2, null],
    ['clears RF', 0, FLAG_RF, 0, FLAG_ZF, 4, FLAG_ZF],
  ];
  it.each(rows)('%s', (_, cpl, f, cr4, value, size, after) => {
    const b = at(cpl, f, cr4);
    expect(b.try(() => popf(b.cpu, value, size, 0x5001))).toEqual(after === null ? GP0 : null);
    expect(flags(b)).toBe(after ?? f);
  });
  it('PUSHF hides VM and RF, and shows VIF as IF under VME', () => {
    expect(pushfValue(at(0, FLAG_RF | FLAG_AC | 1).cpu, 4)).toBe(2 | FLAG_AC);
    expect(pushfValue(at(3, FLAG_VM | FLAG_IOPL | FLAG_AC).cpu, 4)).toBe(2 | FLAG_IOPL | FLAG_AC);
    expect(pushfValue(at(3, FLAG_VM | FLAG_VIF, VME).cpu, 2)).toBe(2 | FLAG_IOPL | FLAG_IF);
    expect(pushfValue(at(3, FLAG_VM | FLAG_IF, VME).cpu, 2)).toBe(2 | FLAG_IOPL);
    const b = at(3, FLAG_VM);
    expect(b.try(() => pushfValue(b.cpu, 2))).toEqual(GP0);
  });
});

describe('LAR, LSL, VERR, VERW', () => {
  const zf = (b: Bench): boolean => (b.cpu.eflags() & FLAG_ZF) !== 0;
  it('gives rights and limits of visible segments', () => {
    const b = protectedBench();
    expect([lar(b.cpu, KDATA, 4) >>> 0, zf(b)]).toEqual([0x00c09200, true]);
    expect([lar(b.cpu, KDATA, 2), zf(b)]).toEqual([0x9200, true]);
    expect([lsl(b.cpu, UDATA, 4) >>> 0, zf(b)]).toEqual([0xffffffff, true]);
    expect([lsl(b.cpu, TR_SEL, 4), zf(b)]).toEqual([0x1ff, true]);
  });
  // [selector, CPL, access byte at FREE_SEL or 0, LAR, LSL, VERR, VERW]
  const rows: [string, number, number, number, boolean, boolean, boolean, boolean][] = [
    ['null', 0, 0, 0, false, false, false, false],
    ['beyond', 0x100, 0, 0, false, false, false, false],
    ['data from outside', KDATA, 3, 0, false, false, false, false],
    ['data by RPL', KDATA | 1, 0, 0, false, false, false, false],
    ['user data', UDATA, 3, 0, true, true, true, true],
    ['conforming from outside', CONFORMING, 3, 0, true, true, true, false],
    ['execute only', FREE_SEL, 0, 0x98, true, true, false, false],
    ['read only', FREE_SEL, 0, 0x90, true, true, true, false],
    ['LDT', LDT_SEL, 0, 0, true, true, false, false],
    ['call gate', FREE_SEL, 0, 0x8c, true, false, false, false],
    ['interrupt gate', FREE_SEL, 0, 0x8e, false, false, false, false],
    ['code', UCODE, 3, 0, true, true, true, false],
  ];
  it.each(rows)('%s', (_, selector, cpl, access, rights, limit, readable, writable) => {
    const b = protectedBench();
    if (access !== 0) b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfff, access, 4));
    b.cpu.cpl = cpl;
    const got = [lar, lsl, verr, verw].map((query) => {
      query(b.cpu, selector, 4);
      return zf(b);
    });
    expect(got).toEqual([rights, limit, readable, writable]);
  });
});

describe('LLDT, LTR, LGDT, LIDT', () => {
  it('load', () => {
    const b = protectedBench();
    lgdt(b.cpu, 0x12345, -4);
    lidt(b.cpu, 7, 0x1000);
    expect([b.cpu.env32(ENV.GDT_LIMIT), b.cpu.env32(ENV.GDT_BASE), b.cpu.env32(ENV.IDT_LIMIT)]).toEqual([
      0x2345, 0xfffffffc, 7,
    ]);
    const c = protectedBench();
    c.descriptor(GDT + FREE_SEL, descriptor(TSS, 0x67, 0x89, 0));
    ltr(c.cpu, FREE_SEL);
    expect([
      c.cpu.env32(ENV.TR + SEG_SELECTOR),
      c.cpu.env32(ENV.TR + SEG_BASE),
      c.host.physRead8(GDT + FREE_SEL + 5),
    ]).toEqual([FREE_SEL, TSS, 0x8b]);
    lldt(c.cpu, 0);
    expect(c.cpu.env32(ENV.LDTR + SEG_LIMIT)).toBe(0);
  });
  it.each([
    ['LTR null', ltr, 0, 13, 0],
    ['LTR local', ltr, FREE_SEL | 4, 13, FREE_SEL | 4],
    ['LTR busy', ltr, TR_SEL, 13, TR_SEL],
    ['LTR data', ltr, KDATA, 13, KDATA],
    ['LTR not present', ltr, FREE_SEL, 11, FREE_SEL],
    ['LLDT local', lldt, LDT_SEL | 4, 13, LDT_SEL | 4],
    ['LLDT of a TSS', lldt, TR_SEL, 13, TR_SEL],
    ['LLDT beyond', lldt, 0x200, 13, 0x200],
  ] as const)('%s', (_, load, selector, vector, error) => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, descriptor(TSS, 0x67, 0x09, 0));
    expect(b.try(() => load(b.cpu, selector))).toEqual({ vector, error });
  });
});

describe('HLT, MONITOR, MWAIT, FERR', () => {
  it('HLT stops behind itself', () => {
    const b = protectedBench();
    b.cpu.hflags |= HF_INHIBIT_IRQ;
    hlt(b.cpu, 0x5001);
    expect([b.cpu.eip, b.cpu.halted, b.host.halts, b.cpu.hflags & HF_INHIBIT_IRQ]).toEqual([0x5001, true, 1, 0]);
  });
  it('MONITOR and MWAIT refuse hints; MWAIT waits only when something can end it', () => {
    const b = protectedBench();
    b.cpu.setReg(EAX, 0x6000);
    b.cpu.setReg(ECX, 1);
    expect(b.try(() => monitor(b.cpu))).toEqual(GP0);
    b.cpu.setReg(ECX, 0);
    expect(b.try(() => monitor(b.cpu))).toBeNull();
    mwait(b.cpu, 0x5003);
    expect([b.cpu.halted, b.cpu.eip]).toEqual([false, 0x5003]);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_IF;
    mwait(b.cpu, 0x5003);
    expect(b.cpu.halted).toBe(true);
  });
  it('a pending x87 error is #MF with NE, else the FERR# pin and another try', () => {
    const b = protectedBench();
    fpuFerr(b.cpu);
    expect([b.host.ferrLevel, b.cpu.eip]).toEqual([true, 0x5000]);
    b.cpu.setCrRaw(0, 0x31);
    expect(b.try(() => fpuFerr(b.cpu))).toEqual({ vector: 16, error: -1 });
  });
});
