import { describe, expect, it } from 'vitest';
import {
  GDT,
  HIGH,
  HIGH_WORD,
  KCODE,
  KCODE32,
  KDATA,
  LDT,
  LDT_SEL,
  AMD_MODEL,
  LONG_MODEL,
  type LongBench,
  PML4,
  TR_SEL,
  TSS,
  UCODE,
  longBench,
} from '../../test/long-bench.ts';
import { Bench, descriptor } from '../../test/fake-host.ts';
import {
  CS,
  DS,
  EAX,
  ECX,
  EDX,
  ENV,
  FLAG_CF,
  FS,
  GS,
  HF_AVX,
  HF_CS32,
  HF_CS64,
  HF_LMA,
  SEG_BASE,
  SS,
  XMM_STRIDE,
} from '../state.ts';
import { movFromCr, movToCr } from './control-registers.ts';
import { checkInstructionBreakpoint, movFromDr, movToDr } from './debug-registers.ts';
import { checkUmip, lgdt, lidt, lldt, ltr } from './descriptor-tables.ts';
import { random, xgetbv, xsetbv } from './extended-control.ts';
import { farJmp } from './far-transfer.ts';
import { loadSeg } from './load-seg.ts';
import { rdmsr, wrmsr } from './msr.ts';
import { insOuts } from './port-io.ts';
import { lar, lsl } from './segment-query.ts';

const EFER = 0xc0000080;
const GP = { vector: 13, error: 0 };
const UD = { vector: 6, error: -1 };

function write(b: Bench, msr: number, low: number, high = 0): void {
  b.cpu.setReg(ECX, msr);
  b.cpu.setReg(EAX, low);
  b.cpu.setReg(EDX, high);
  wrmsr(b.cpu);
}
function read(b: Bench, msr: number): [number, number] {
  b.cpu.setReg(ECX, msr);
  rdmsr(b.cpu);
  return [b.cpu.reg(EAX), b.cpu.reg(EDX)];
}

/** 32-bit protected mode with the tables of a long-mode bench. */
function before(): LongBench {
  const b = longBench();
  b.cpu.setEnv32(ENV.MSR_EFER, 0);
  b.cpu.setCrRaw(0, 0x31);
  b.cpu.setCrRaw(4, 0);
  b.cpu.setEnv64(ENV.GDT_BASE, GDT, 0);
  b.cpu.updateHflags();
  b.level(KCODE32, KDATA, 0);
  b.cpu.eip = b.host.insnEip = 0x5000;
  return b;
}

describe('into long mode and out', () => {
  it('takes PAE, LME and paging; a far jump enters 64-bit code', () => {
    const b = before();
    const { cpu } = b;
    movToCr(cpu, 4, 0x20);
    movToCr(cpu, 3, PML4);
    write(b, EFER, 0x100);
    expect(cpu.longMode).toBe(false);
    movToCr(cpu, 0, 0x80000031 | 0);
    expect([cpu.hflags & (HF_LMA | HF_CS64 | HF_CS32), read(b, EFER)]).toEqual([HF_LMA | HF_CS32, [0x500, 0]]);
    expect(b.host.flushes.at(-1)).toBe('all');
    farJmp(cpu, KCODE, 0x6000, 4, 0x5007);
    expect([cpu.rip, cpu.hflags & (HF_LMA | HF_CS64 | HF_CS32)]).toEqual([0x6000, HF_LMA | HF_CS64]);
    expect(b.try(() => void movToCr(cpu, 0, 0x31))).toEqual(GP);
    cpu.setEnv32(ENV.SCRATCH, 0);
    farJmp(cpu, KCODE32, 0x7000, 8, 0x6007);
    movToCr(cpu, 0, 0x31);
    expect([cpu.longMode, cpu.eip, cpu.env32(ENV.CS_BASE), read(b, EFER)]).toEqual([false, 0x7000, 0, [0x100, 0]]);
  });
  it.each<[string, (b: LongBench) => void]>([
    ['without PAE', (b) => b.cpu.setCrRaw(4, 0)],
    ['CS.L set', (b) => b.cpu.setSeg(CS, KCODE, 0, 0xffffffff, 0xaf9b00)],
    ['a 16-bit TSS', (b) => b.cpu.setSegCache(ENV.TR, TR_SEL, TSS, 0x67, 0x8300)],
  ])('refuses %s', (_, spoil) => {
    const b = before();
    b.cpu.setCrRaw(4, 0x20);
    b.cpu.setEnv32(ENV.MSR_EFER, 0x100);
    spoil(b);
    expect(b.try(() => void movToCr(b.cpu, 0, 0x80000031 | 0))).toEqual(GP);
    expect(b.cpu.longMode).toBe(false);
  });
  it('LME stays while paging is on, LMA is not written, the rest is reserved', () => {
    const b = longBench();
    write(b, EFER, 0xd01 & ~0x400);
    expect(read(b, EFER)).toEqual([0xd01, 0]);
    for (const v of [0xc01, 0xd03, 0x1d01]) expect(b.try(() => write(b, EFER, v))).toEqual(GP);
  });
  it('needs CPUID.LM', () => {
    const b = new Bench();
    expect(b.try(() => write(b, EFER, 0x100))).toEqual((b.cpu.features.edxExt & (1 << 29)) !== 0 ? null : GP);
  });
});

describe('control registers in long mode', () => {
  it('CR0 and CR4 take no upper halves, CR2 and CR3 do', () => {
    const b = longBench();
    expect(b.try(() => void movToCr(b.cpu, 0, b.cpu.cr(0), 1))).toEqual(GP);
    expect(b.try(() => void movToCr(b.cpu, 4, b.cpu.cr(4), 1))).toEqual(GP);
    movToCr(b.cpu, 2, 0x1000, 0xffff8000);
    expect([movFromCr(b.cpu, 2), b.cpu.env32(ENV.SCRATCH)]).toEqual([0x1000, 0xffff8000]);
    movToCr(b.cpu, 3, PML4, 0xff);
    expect(b.cpu.crHigh(3)).toBe(0xff);
    expect(b.try(() => void movToCr(b.cpu, 3, PML4, 0x100))).toEqual(GP);
    expect(b.try(() => void movToCr(b.cpu, 3, PML4, 0x80000000))).toEqual(GP);
  });
  it('process-context identifiers: bit 63 of CR3 is not kept, enabling has conditions', () => {
    const b = longBench();
    const pcide = b.cpu.cr(4) | (1 << 17);
    b.cpu.setCrRaw(3, PML4 | 1);
    expect(b.try(() => void movToCr(b.cpu, 4, pcide))).toEqual(GP);
    b.cpu.setCrRaw(3, PML4);
    movToCr(b.cpu, 4, pcide);
    movToCr(b.cpu, 3, PML4 | 5, 0x80000000 | 0);
    expect([b.cpu.cr(3), b.cpu.crHigh(3)]).toEqual([PML4 | 5, 0]);
    expect(b.host.flushes).toEqual(['all', 'local']);
    expect(b.try(() => void movToCr(b.cpu, 4, b.cpu.cr(4) & ~0x20))).toEqual(GP);
    const c = before();
    expect(c.try(() => void movToCr(c.cpu, 4, 1 << 17))).toEqual(GP);
  });
  it('CR8 is the task priority of the APIC, in 64-bit code', () => {
    const b = longBench();
    movToCr(b.cpu, 8, 9);
    expect([b.host.tpr, movFromCr(b.cpu, 8)]).toEqual([9, 9]);
    expect(b.try(() => void movToCr(b.cpu, 8, 16))).toEqual(GP);
    const c = before();
    expect(c.try(() => void movToCr(c.cpu, 8, 9))).toEqual(UD);
    expect(c.try(() => void movFromCr(c.cpu, 8))).toEqual(UD);
  });
  it('XCR0 needs OSXSAVE, x87, and SSE with AVX', () => {
    const b = longBench();
    const set = (v: number, high = 0, n = 0): void => {
      b.cpu.setReg(ECX, n);
      b.cpu.setReg(EAX, v);
      b.cpu.setReg(EDX, high);
      xsetbv(b.cpu);
    };
    expect(b.try(() => set(1))).toEqual(UD);
    movToCr(b.cpu, 4, b.cpu.cr(4) | (1 << 18));
    expect(b.cpu.hflags & HF_AVX).toBe(0);
    set(7);
    expect(b.cpu.hflags & HF_AVX).toBe(HF_AVX);
    b.cpu.setReg(ECX, 0);
    xgetbv(b.cpu);
    expect([b.cpu.reg(EAX), b.cpu.reg(EDX)]).toEqual([7, 0]);
    b.cpu.setReg(ECX, 1); // what is in use: nothing of SSE and AVX yet
    xgetbv(b.cpu);
    expect(b.cpu.reg(EAX) & 6).toBe(0);
    b.cpu.setEnv32(ENV.XMM + 15 * XMM_STRIDE, 1);
    xgetbv(b.cpu);
    expect(b.cpu.reg(EAX) & 6).toBe(2);
    b.cpu.setEnv32(ENV.XMM + 3 * XMM_STRIDE + 16, 1);
    xgetbv(b.cpu);
    expect([b.cpu.reg(EAX) & 6, b.cpu.reg(EDX)]).toEqual([6, 0]);
    for (const [v, high, n] of [
      [6, 0, 0],
      [5, 0, 0],
      [0xf, 0, 0],
      [7, 1, 0],
      [7, 0, 1],
    ])
      expect(b.try(() => set(v, high, n))).toEqual(GP);
    set(3);
    expect(b.cpu.hflags & HF_AVX).toBe(0);
  });
});

describe('MSRs of long mode', () => {
  it.each([0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102, 0x175, 0x176])(
    '%i holds canonical addresses',
    (msr) => {
      const b = longBench();
      write(b, msr, 0x89abcdef, 0xffff8000);
      expect(read(b, msr)).toEqual([0x89abcdef, 0xffff8000]);
      expect(b.try(() => write(b, msr, 0, 0x8000))).toEqual(GP);
    },
  );
  it('FS_BASE and GS_BASE are the segment bases; a selector load clears the upper half', () => {
    const b = longBench();
    write(b, 0xc0000100, 0x1000, 0x7fff);
    write(b, 0xc0000101, 0x2000, 0x7fff);
    expect([b.cpu.segBase(FS), b.cpu.segBase(GS)]).toEqual([0x7fff_0000_1000, 0x7fff_0000_2000]);
    b.descriptor(GDT + KDATA, descriptor(0x12345678, 0xfffff, 0x93, 0xc));
    loadSeg(b.cpu, FS, KDATA);
    loadSeg(b.cpu, GS, 0);
    expect([b.cpu.segBase(FS), b.cpu.segBase(GS)]).toEqual([0x12345678, 0]);
  });
  it('TSC deadline goes to the host in its own ticks', () => {
    const b = longBench();
    b.cpu.setEnv64(ENV.MSR_TSC_OFFSET, 0x100, 1);
    write(b, 0x6e0, 0x300, 2);
    expect([b.host.deadline, read(b, 0x6e0)]).toEqual([2 ** 32 + 0x200, [0x300, 2]]);
    write(b, 0x6e0, 0x50, 1); // already over
    expect(b.host.deadline).toBe(1);
    write(b, 0x6e0, 0xffffffff, 0xffffffff);
    expect(b.host.deadline).toBe(Number.MAX_SAFE_INTEGER);
    write(b, 0x6e0, 0, 0);
    expect([b.host.deadline, read(b, 0x6e0)]).toEqual([0, [0, 0]]);
  });
  it('TSC adjustment and counter move together', () => {
    const b = longBench();
    b.host.ticks = 1000;
    write(b, 0x3b, 0xffffff9c, 0xffffffff); // -100
    expect(read(b, 0x10)).toEqual([900, 0]);
    write(b, 0x10, 5000);
    expect(read(b, 0x3b)).toEqual([4000, 0]);
    expect(read(b, 0x10)).toEqual([5000, 0]);
  });
  it('a TSC deadline is a count: it moves when the counter is set, and is sooner over', () => {
    const b = longBench();
    b.host.ticks = 1000;
    write(b, 0x6e0, 5000);
    write(b, 0x10, 3000);
    expect(b.host.deadline).toBe(3000);
    write(b, 0x3b, 2500); // the adjustment was 2000
    expect(b.host.deadline).toBe(2500);
    write(b, 0x10, 6000);
    expect(b.host.deadline).toBe(1);
    write(b, 0x6e0, 0);
    write(b, 0x10, 0);
    expect(b.host.deadline).toBe(0);
  });
  it('AMD has configuration registers of its own', () => {
    for (const msr of [0xc0010010, 0xc0010015, 0xc0010055, 0xc0011029]) {
      const b = longBench(AMD_MODEL);
      write(b, msr, 0x1234, 0x5678);
      expect(read(b, msr)).toEqual([0x1234, 0x5678]);
      const intel = longBench();
      expect(intel.try(() => read(intel, msr))).toEqual(GP);
    }
  });
  it('x2APIC registers exist in x2APIC mode, which is entered and left by way of the table', () => {
    const b = longBench();
    const base = 0xfee00100;
    expect(b.try(() => read(b, 0x802))).toEqual(GP);
    write(b, 0x1b, base | 0xc00);
    write(b, 0x830, 1, 2);
    expect(read(b, 0x830)).toEqual([1, 2]);
    expect(b.try(() => read(b, 0x831))).toEqual(GP);
    expect(b.try(() => write(b, 0x1b, base | 0x800))).toEqual(GP);
    write(b, 0x1b, base);
    expect(b.try(() => write(b, 0x1b, base | 0xc00))).toEqual(GP);
    expect(b.try(() => write(b, 0x1b, base | 0x400))).toEqual(GP);
    write(b, 0x1b, base | 0x800, 0xff);
    expect(b.try(() => write(b, 0x1b, base | 0x800, 0x100))).toEqual(GP);
  });
});

describe('tables and segments in long mode', () => {
  it('LGDT and LIDT take canonical bases', () => {
    const b = longBench();
    lgdt(b.cpu, 0xff, 0x1000, 0xffff8000);
    expect(b.cpu.envNumber(ENV.GDT_BASE)).toBe(-0x7fff_ffff_f000);
    expect(b.try(() => void lidt(b.cpu, 0xff, 0x1000, 0x8000))).toEqual(GP);
  });
  it('LTR and LLDT take 16-byte descriptors', () => {
    const b = longBench();
    b.wide(GDT + TR_SEL, descriptor(0x80000000 + TSS, 0x67, 0x89, 0), HIGH_WORD);
    ltr(b.cpu, TR_SEL);
    lldt(b.cpu, LDT_SEL);
    expect([b.cpu.envNumber(ENV.TR + SEG_BASE), b.cpu.envNumber(ENV.LDTR + SEG_BASE)]).toEqual([
      HIGH + TSS,
      HIGH + LDT,
    ]);
    expect(b.r32(GDT + TR_SEL + 4) & 0x200).toBe(0x200);
    // an LDT in the upper half works
    b.descriptor(LDT + 8, descriptor(0, 0xfffff, 0x92, 0xc));
    loadSeg(b.cpu, DS, 0xc);
    expect(b.cpu.segSelector(DS)).toBe(0xc);
  });
  it.each<[string, (b: LongBench) => void, number]>([
    ['the upper half has a type', (b) => b.w32(GDT + TR_SEL + 12, 0x1f00), TR_SEL],
    ['the base is not canonical', (b) => b.w32(GDT + TR_SEL + 8, 0x8000), TR_SEL],
    ['the table ends in it', (b) => b.cpu.setEnv32(ENV.GDT_LIMIT, TR_SEL + 14), TR_SEL],
    ['a 16-bit TSS', (b) => b.descriptor(GDT + TR_SEL, descriptor(TSS, 0x67, 0x81, 0)), TR_SEL],
  ])('LTR: %s', (_, spoil, error) => {
    const b = longBench();
    b.wide(GDT + TR_SEL, descriptor(0x80000000 + TSS, 0x67, 0x89, 0), HIGH_WORD);
    spoil(b);
    const access = b.r32(GDT + TR_SEL + 4);
    expect(b.try(() => void ltr(b.cpu, TR_SEL))).toEqual({ vector: 13, error });
    expect(b.r32(GDT + TR_SEL + 4)).toBe(access);
  });
  it('SS may be null in 64-bit code of CPL 0 to 2 with the same RPL', () => {
    const b = longBench();
    loadSeg(b.cpu, SS, 0);
    expect(b.cpu.segSelector(SS)).toBe(0);
    expect(b.try(() => void loadSeg(b.cpu, SS, 1))).toEqual(GP);
    b.toUser();
    expect(b.try(() => void loadSeg(b.cpu, SS, 3))).toEqual(GP);
    b.level(KCODE32, KDATA, 0);
    expect(b.try(() => void loadSeg(b.cpu, SS, 0))).toEqual(GP);
  });
  it('LAR and LSL know no 16-bit system types', () => {
    const b = longBench();
    expect(lsl(b.cpu, TR_SEL, 8)).toBe(0x67);
    b.descriptor(GDT + TR_SEL, descriptor(TSS, 0x67, 0x81, 0));
    expect([lsl(b.cpu, TR_SEL, 8), lar(b.cpu, TR_SEL, 8)]).toEqual([0, 0]);
    expect(lar(b.cpu, UCODE, 8)).toBe(0xa0fa00);
  });
  it('UMIP keeps table registers from programs', () => {
    const b = longBench();
    b.cpu.setCrRaw(4, b.cpu.cr(4) | (1 << 11));
    checkUmip(b.cpu);
    b.toUser();
    expect(b.try(() => void checkUmip(b.cpu))).toEqual(GP);
  });
});

describe('other instructions in 64-bit code', () => {
  it('debug registers hold 64-bit addresses, DR6 and DR7 do not', () => {
    const b = longBench();
    movToDr(b.cpu, 0, 0x80005000, HIGH_WORD);
    movToDr(b.cpu, 1, 0x80006004, HIGH_WORD);
    movToDr(b.cpu, 7, 0x00d00405); // execute; write of 4
    expect([movFromDr(b.cpu, 0) >>> 0, b.cpu.env32(ENV.SCRATCH)]).toEqual([0x80005000, HIGH_WORD]);
    expect(b.cpu.watchpoints).toEqual([{ index: 1, address: HIGH + 0x6004, length: 4, reads: false }]);
    expect(b.try(() => void movToDr(b.cpu, 7, 0x400, 1))).toEqual(GP);
    b.goto(HIGH + 0x5000);
    expect(b.try(() => void checkInstructionBreakpoint(b.cpu, b.cpu.eip))).toEqual({ vector: 1, error: -1 });
    b.goto(0x5000);
    expect(b.try(() => void checkInstructionBreakpoint(b.cpu, b.cpu.eip))).toBe(null);
  });
  it('REP OUTS and INS use all of RSI, RDI and RCX', () => {
    const b = longBench();
    b.cpu.setReg64(6, 0x80006000, HIGH_WORD);
    b.cpu.setReg64(ECX, 2, 0);
    b.w32(0x6000, 0x11223344);
    insOuts(b.cpu, 1, 1, 4 | 2 | (DS << 4), b.cpu.eip + 2);
    expect(b.host.ports.map((p) => p.value)).toEqual([0x44, 0x33]);
    expect([b.cpu.regNumber(6), b.cpu.regNumber(ECX), b.cpu.rip]).toEqual([HIGH + 0x6002, 0, HIGH + 0x5002]);
    b.cpu.setReg64(7, 0xffffffff, 0);
    b.cpu.setReg64(ECX, 1, 1);
    b.w32(0x12000 + 8, 0xe7);
    expect(b.try(() => void insOuts(b.cpu, 0, 1, 4, b.cpu.eip + 2))?.vector).toBe(14);
    b.cpu.setReg64(7, 0, 0x8000);
    expect(b.try(() => void insOuts(b.cpu, 0, 1, 4, b.cpu.eip + 2))).toEqual(GP);
  });
  it('FS has a base in 64-bit code, DS does not', () => {
    const b = longBench();
    b.cpu.setSegBase(FS, 0x80000000, HIGH_WORD);
    b.cpu.setSeg(DS, KDATA, 0x100, 0xffffffff, 0xc09300);
    b.cpu.setReg(6, 0x6000);
    b.w32(0x6000, 0x55);
    insOuts(b.cpu, 1, 1, 4 | (FS << 4), b.cpu.eip + 2);
    b.cpu.setReg(6, 0x6000);
    insOuts(b.cpu, 1, 1, 4 | (DS << 4), b.cpu.eip + 2);
    expect(b.host.ports.map((p) => p.value)).toEqual([0x55, 0x55]);
  });
  it('random numbers come from the host, with CF', () => {
    const b = longBench();
    expect(random(b.cpu, 8)).toBe(0x12345679);
    expect([b.cpu.env32(ENV.SCRATCH), b.cpu.eflags() & FLAG_CF]).toEqual([0x12345678, FLAG_CF]);
    expect(random(b.cpu, 2)).toBe(0x567a);
    expect(b.cpu.env32(ENV.SCRATCH)).toBe(0);
  });
  it('RIP is signed, and has the window in its upper half', () => {
    const b = longBench(LONG_MODEL);
    b.cpu.rip = -0x123456789abc;
    expect([b.cpu.rip, b.cpu.eip, b.cpu.env32(ENV.CS_BASE) | 0]).toEqual([
      -0x123456789abc,
      -0x123456789abc >>> 0,
      Math.floor(-0x123456789abc / 2 ** 32),
    ]);
    b.level(KCODE32, KDATA, 0);
    b.cpu.rip = 0x5000;
    expect([b.cpu.rip, b.cpu.env32(ENV.CS_BASE)]).toEqual([0x5000, 0]);
  });
});
