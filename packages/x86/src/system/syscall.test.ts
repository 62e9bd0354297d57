import { describe, expect, it } from 'vitest';
import {
  AMD_MODEL,
  HIGH,
  KCODE32,
  KDATA,
  type LongBench,
  RSP0,
  UCODE,
  UCODE32,
  UDATA,
  USTACK,
  longBench,
} from '../../test/long-bench.ts';
import { protectedBench, toUser } from '../../test/fake-host.ts';
import type { Bench } from '../../test/fake-host.ts';
import {
  CS,
  ECX,
  EDX,
  ENV,
  FLAG_AC,
  FLAG_DF,
  FLAG_IF,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FLAG_ZF,
  FS,
  GS,
  HF_CS32,
  HF_CS64,
  HF_SS32,
  HF_VM,
  SS,
} from '../state.ts';
import { computeHflags } from './hflags.ts';
import { readFsGsBase, swapgs, syscall, sysret, writeFsGsBase } from './syscall.ts';
import { sysenter, sysexit } from './sysenter.ts';

const R11 = 11;
const ENTRY = 0x80012340;

function ready(model = undefined as undefined | typeof AMD_MODEL): LongBench {
  const b = longBench(model);
  // SYSCALL: CS 08H, SS 10H; SYSRET: 18H (32-bit), 20H, 28H (64-bit)
  b.cpu.setEnv64(ENV.MSR_STAR, 0x11223344, (0x18 << 16) | 0x08);
  b.cpu.setEnv64(ENV.MSR_LSTAR, ENTRY, 0xffffffff);
  b.cpu.setEnv64(ENV.MSR_CSTAR, ENTRY + 16, 0xffffffff);
  b.cpu.setEnv32(ENV.MSR_FMASK, FLAG_IF | FLAG_TF | FLAG_DF | FLAG_AC);
  b.cpu.setEnv32(ENV.MSR_SYSENTER_CS, 0x08);
  b.cpu.setEnv64(ENV.MSR_SYSENTER_ESP, 0x80009000, 0xffffffff);
  b.cpu.setEnv64(ENV.MSR_SYSENTER_EIP, ENTRY, 0xffffffff);
  return b;
}
const where = (b: LongBench): number[] => [b.cpu.rip, b.cpu.segSelector(CS), b.cpu.segSelector(SS), b.cpu.cpl];

describe('SYSCALL and SYSRET', () => {
  it('go to LSTAR with flags masked, and come back', () => {
    const b = ready();
    b.toUser();
    b.goto(0x7fff_ffff_5000);
    b.cpu.setEflags(FLAG_IF | FLAG_AC | FLAG_ZF, -1);
    b.cpu.updateHflags();
    syscall(b.cpu, b.cpu.eip + 2);
    expect(where(b)).toEqual([HIGH + 0x12340, 0x08, 0x10, 0]);
    expect([b.cpu.regNumber(ECX), b.cpu.reg(R11), b.cpu.eflags()]).toEqual([
      0x7fff_ffff_5002,
      FLAG_IF | FLAG_AC | FLAG_ZF | 2,
      FLAG_ZF | 2,
    ]);
    expect([b.rsp, b.cpu.hflags]).toEqual([USTACK, computeHflags(b.cpu)]);
    b.cpu.setReg(R11, FLAG_IF | FLAG_RF | 0x8000 | 8);
    sysret(b.cpu, 8);
    expect(where(b)).toEqual([0x7fff_ffff_5002, UCODE, UDATA, 3]);
    expect([b.cpu.eflags(), b.cpu.hflags]).toEqual([FLAG_IF | 2, computeHflags(b.cpu)]);
  });
  it('SYSRET with 32-bit operands goes to compatibility code', () => {
    const b = ready();
    b.cpu.setReg64(ECX, 0x5000, 0x8000);
    sysret(b.cpu, 4);
    expect(where(b)).toEqual([0x5000, UCODE32, UDATA, 3]);
    expect(b.cpu.hflags & (HF_CS64 | HF_CS32 | HF_SS32)).toBe(HF_CS32 | HF_SS32);
    expect([b.cpu.hflags, b.cpu.env32(ENV.CS_BASE)]).toEqual([computeHflags(b.cpu), 0]);
  });
  it('from compatibility code: #UD on Intel, CSTAR on AMD', () => {
    for (const model of [undefined, AMD_MODEL]) {
      const b = ready(model);
      b.toUser(UCODE32);
      const raised = b.try(() => void syscall(b.cpu, 0x5002));
      if (model === undefined) expect(raised).toEqual({ vector: 6, error: -1 });
      else expect([...where(b), b.cpu.regNumber(ECX)]).toEqual([HIGH + 0x12350, 8, 0x10, 0, 0x5002]);
    }
  });
  it.each<[string, (b: LongBench) => void, number, number]>([
    ['SYSCALL without SCE', (b) => (b.cpu.setEnv32(ENV.MSR_EFER, 0xd00), syscall(b.cpu, 0)), 6, -1],
    ['SYSRET without SCE', (b) => (b.cpu.setEnv32(ENV.MSR_EFER, 0xd00), sysret(b.cpu, 8)), 6, -1],
    ['SYSRET at CPL 3', (b) => (b.toUser(), sysret(b.cpu, 8)), 13, 0],
    ['SYSRET to what is not canonical', (b) => (b.cpu.setReg64(ECX, 0, 0x8000), sysret(b.cpu, 8)), 13, 0],
    ['SYSRET in compatibility code, on Intel', (b) => (b.level(KCODE32, KDATA, 0), sysret(b.cpu, 4)), 6, -1],
  ])('%s', (_, run, vector, error) => {
    const b = ready();
    expect(b.try(() => run(b))).toEqual({ vector, error });
  });
});

/** APM Vol. 3 "SYSCALL", "SYSRET", the legacy-mode part. */
describe('SYSCALL and SYSRET outside long mode', () => {
  const legacy = (cpu = 'max'): Bench => {
    const b = protectedBench(cpu);
    b.cpu.setEnv32(ENV.MSR_EFER, 1);
    b.cpu.setEnv64(ENV.MSR_STAR, 0x11223344, (0x18 << 16) | 0x0b);
    toUser(b);
    b.cpu.setEflags(FLAG_IF | FLAG_ZF | FLAG_RF, -1);
    b.cpu.updateHflags();
    return b;
  };
  it('go to the EIP in STAR without interrupts, and come back with them', () => {
    const b = legacy();
    syscall(b.cpu, 0x5002);
    expect([b.cpu.eip, b.cpu.segSelector(CS), b.cpu.segSelector(SS), b.cpu.cpl]).toEqual([0x11223344, 8, 0x10, 0]);
    expect([b.cpu.reg(ECX), b.cpu.eflags(), b.cpu.hflags]).toEqual([0x5002, FLAG_ZF | 2, computeHflags(b.cpu)]);
    sysret(b.cpu, 4);
    expect([b.cpu.eip, b.cpu.segSelector(CS), b.cpu.segSelector(SS), b.cpu.cpl]).toEqual([0x5002, 0x1b, 0x23, 3]);
    expect([b.cpu.eflags(), b.cpu.hflags]).toEqual([FLAG_ZF | FLAG_IF | 2, computeHflags(b.cpu)]);
  });
  it('out of virtual-8086 and real mode too', () => {
    const b = legacy();
    b.cpu.setEflags(FLAG_VM | FLAG_IF, FLAG_VM | FLAG_IF);
    b.cpu.updateHflags();
    syscall(b.cpu, 0x5002);
    expect([b.cpu.eip, b.cpu.cpl, b.cpu.eflags() & (FLAG_VM | FLAG_IF)]).toEqual([0x11223344, 0, 0]);
    expect(b.cpu.hflags & (HF_CS32 | HF_SS32 | HF_VM)).toBe(HF_CS32 | HF_SS32);
    b.cpu.setCrRaw(0, 0x10);
    expect(b.try(() => void sysret(b.cpu, 4))).toEqual({ vector: 13, error: 0 });
  });
  it('SYSRET from compatibility code at CPL 0', () => {
    const b = ready(AMD_MODEL);
    b.level(KCODE32, KDATA, 0);
    b.cpu.setReg64(ECX, 0x5000, 0);
    sysret(b.cpu, 4);
    expect(where(b)).toEqual([0x5000, UCODE32, UDATA, 3]);
    expect([b.cpu.eflags() & FLAG_IF, b.cpu.hflags]).toEqual([FLAG_IF, computeHflags(b.cpu)]);
  });
  it.each<[string, (b: Bench) => void, number, number]>([
    ['SYSCALL without SCE', (b) => (b.cpu.setEnv32(ENV.MSR_EFER, 0), syscall(b.cpu, 0)), 6, -1],
    ['SYSRET without SCE', (b) => (b.cpu.setEnv32(ENV.MSR_EFER, 0), sysret(b.cpu, 4)), 6, -1],
    ['SYSRET at CPL 3', (b) => sysret(b.cpu, 4), 13, 0],
  ])('%s', (_, run, vector, error) => {
    const b = legacy();
    expect(b.try(() => run(b))).toEqual({ vector, error });
  });
  it('Intel has neither', () => {
    for (const run of [syscall, sysret]) {
      const b = legacy('max,vendor=GenuineIntel');
      b.cpu.cpl = 0;
      expect(b.try(() => void run(b.cpu, 4))).toEqual({ vector: 6, error: -1 });
    }
  });
});

describe('SYSENTER and SYSEXIT', () => {
  it('from compatibility code to 64-bit code and back to either', () => {
    const b = ready();
    b.toUser(UCODE32);
    sysenter(b.cpu);
    expect([...where(b), b.rsp]).toEqual([HIGH + 0x12340, 8, 0x10, 0, RSP0]);
    expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
    b.cpu.setReg64(EDX, 0x5000, 0x7fff);
    b.cpu.setReg64(ECX, 0x6000, 0x7ffe);
    sysexit(b.cpu, 8);
    expect([...where(b), b.rsp]).toEqual([0x7fff_0000_5000, 0x2b, 0x33, 3, 0x7ffe_0000_6000]);
    sysenter(b.cpu);
    sysexit(b.cpu, 4);
    expect([...where(b), b.rsp, b.cpu.code64]).toEqual([0x5000, 0x1b, 0x23, 3, 0x6000, false]);
  });
  it('SYSEXIT refuses RIP and RSP that are not canonical', () => {
    for (const r of [ECX, EDX]) {
      const b = ready();
      b.cpu.setReg64(r, 0, 0x8000);
      expect(b.try(() => void sysexit(b.cpu, 8))).toEqual({ vector: 13, error: 0 });
    }
  });
  it('AMD has them in legacy mode only', () => {
    const b = ready(AMD_MODEL);
    expect(b.try(() => void sysenter(b.cpu))).toEqual({ vector: 6, error: -1 });
    const c = protectedBench();
    expect(c.try(() => void sysenter(c.cpu))).toEqual({ vector: 13, error: 0 });
  });
});

describe('bases of FS and GS', () => {
  it('SWAPGS exchanges GS with its MSR', () => {
    const b = ready();
    b.cpu.setSegBase(GS, 0x1111, 0x2222);
    b.cpu.setEnv64(ENV.MSR_KERNEL_GS_BASE, 0x3333, 0xffff8000);
    swapgs(b.cpu);
    expect(b.cpu.segBase(GS)).toBe(-0x7fffffffcccd);
    expect([b.cpu.env32(ENV.MSR_KERNEL_GS_BASE), b.cpu.env32(ENV.MSR_KERNEL_GS_BASE + 4)]).toEqual([0x1111, 0x2222]);
    b.toUser();
    expect(b.try(() => void swapgs(b.cpu))).toEqual({ vector: 13, error: 0 });
    b.toUser(UCODE32);
    expect(b.try(() => void swapgs(b.cpu))).toEqual({ vector: 6, error: -1 });
  });
  it('RDFSBASE and WRFSBASE need CR4.FSGSBASE and canonical values', () => {
    const b = ready();
    expect(b.try(() => void readFsGsBase(b.cpu, FS))).toEqual({ vector: 6, error: -1 });
    b.cpu.setCrRaw(4, b.cpu.cr(4) | (1 << 16));
    b.toUser();
    writeFsGsBase(b.cpu, FS, 0x89abcdef, 0x7fff);
    expect([readFsGsBase(b.cpu, FS) >>> 0, b.cpu.env32(ENV.SCRATCH)]).toEqual([0x89abcdef, 0x7fff]);
    expect(b.try(() => void writeFsGsBase(b.cpu, GS, 0, 0x8000))).toEqual({ vector: 13, error: 0 });
  });
});
