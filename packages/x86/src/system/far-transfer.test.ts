import { describe, expect, it } from 'vitest';
import {
  Bench,
  CONFORMING,
  FREE_SEL,
  GDT,
  KCODE,
  KCODE16,
  KDATA,
  KSTACK,
  R1CODE,
  R1DATA,
  TSS,
  UCODE,
  UDATA,
  USTACK,
  descriptor,
  gate,
  protectedBench,
  segments,
  toUser,
} from '../../test/fake-host.ts';
import { CS, DS, ENV, ES, ESP, HF_CS32, SS } from '../state.ts';
import { farRet } from './far-return.ts';
import { farCall, farJmp } from './far-transfer.ts';
import { sysenter, sysexit } from './sysenter.ts';

const CALL32 = 0x8c;
const CALL32_USER = 0xec;
const CALL16_USER = 0xe4;

describe('real mode', () => {
  it('CALL and RET', () => {
    const b = new Bench();
    b.cpu.setReg(ESP, 0x100);
    farCall(b.cpu, 0x1234, 0xffff5678, 2, 0x10ff1);
    expect([b.cpu.segBase(CS), b.cpu.eip, b.cpu.reg(ESP), b.r16(0xfc), b.r16(0xfe)]).toEqual([
      0x12340, 0x5678, 0xfc, 0x0ff1, 0xf000,
    ]);
    farRet(b.cpu, 2, 4);
    expect([b.cpu.segBase(CS), b.cpu.eip, b.cpu.reg(ESP)]).toEqual([0xf0000, 0x0ff1, 0x104]);
  });
  it('an offset beyond the limit is #GP(0)', () => {
    const b = new Bench();
    expect(b.try(() => farJmp(b.cpu, 0x1234, 0x10000, 4, 0))).toEqual({ vector: 13, error: 0 });
  });
});

describe('code segments', () => {
  it('far JMP sets CS and its mode', () => {
    const b = protectedBench();
    farJmp(b.cpu, KCODE16, 0x1234, 4, 0);
    expect([b.cpu.eip, b.cpu.segSelector(CS), b.cpu.hflags & HF_CS32, b.cpu.segLimit(CS)]).toEqual([
      0x1234,
      KCODE16,
      0,
      0xffff,
    ]);
    expect(b.host.physRead8(GDT + KCODE16 + 5)).toBe(0x9b);
  });
  it('far CALL pushes CS and EIP, far RET returns and drops parameters', () => {
    const b = protectedBench();
    farCall(b.cpu, KCODE, 0x7000, 4, 0x5007);
    expect([b.r32(KSTACK - 8), b.r32(KSTACK - 4), b.cpu.eip]).toEqual([0x5007, KCODE, 0x7000]);
    farRet(b.cpu, 4, 8);
    expect([b.cpu.eip, b.cpu.reg(ESP)]).toEqual([0x5007, KSTACK + 8]);
  });
  it('conforming code keeps CPL', () => {
    const b = protectedBench();
    toUser(b);
    farJmp(b.cpu, CONFORMING, 0x7000, 4, 0);
    expect([b.cpu.cpl, b.cpu.segSelector(CS)]).toEqual([3, CONFORMING | 3]);
  });
  // SDM Vol. 2A "JMP", "CALL": [what, selector, CPL, access byte at FREE_SEL, vector, error]
  const rows: [string, number, number, number, number, number][] = [
    ['null', 0, 0, 0, 13, 0],
    ['beyond the GDT', 0x100, 0, 0, 13, 0x100],
    ['data', KDATA, 0, 0, 13, KDATA],
    ['more privileged nonconforming', KCODE, 3, 0, 13, KCODE],
    ['less privileged nonconforming', UCODE, 0, 0, 13, UCODE & ~3],
    ['RPL > CPL', KCODE | 1, 0, 0, 13, KCODE],
    ['not present', FREE_SEL, 0, 0x1a, 11, FREE_SEL],
    ['interrupt gate', FREE_SEL, 0, 0x8e, 13, FREE_SEL],
    ['LDT descriptor', 0x30, 0, 0, 13, 0x30],
  ];
  it.each(rows)('%s', (_, selector, cpl, access, vector, error) => {
    for (const go of [farJmp, farCall]) {
      const b = protectedBench();
      if (access !== 0) b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, access, 0xc));
      if (cpl === 3) toUser(b);
      const before = [...segments(b), b.cpu.reg(ESP)];
      expect(b.try(() => go(b.cpu, selector, 0x7000, 4, 0x5007))).toEqual({ vector, error });
      expect([...segments(b), b.cpu.reg(ESP)]).toEqual(before);
    }
  });
  it('offset beyond the limit', () => {
    const b = protectedBench();
    expect(b.try(() => farJmp(b.cpu, KCODE16, 0x10000, 4, 0))).toEqual({ vector: 13, error: 0 });
  });
});

describe('call gates', () => {
  it('inner level: stack switch, two parameters copied, and back with RET n', () => {
    const b = protectedBench();
    const { cpu } = b;
    b.descriptor(GDT + FREE_SEL, gate(KCODE, 0x12345678, CALL32_USER, 2));
    toUser(b);
    b.w32(USTACK, 0x111);
    b.w32(USTACK + 4, 0x222);
    farCall(cpu, FREE_SEL | 3, 0xdead, 4, 0x5007);
    expect([cpu.eip, cpu.segSelector(CS), cpu.segSelector(SS), cpu.cpl, cpu.reg(ESP)]).toEqual([
      0x12345678,
      KCODE,
      KDATA,
      0,
      KSTACK - 24,
    ]);
    expect([0, 4, 8, 12, 16, 20].map((i) => b.r32(KSTACK - 24 + i))).toEqual([
      0x5007,
      UCODE,
      0x111,
      0x222,
      USTACK,
      UDATA,
    ]);
    cpu.setSeg(ES, KDATA, 0, 0xffffffff, 0xc09300);
    farRet(cpu, 4, 8);
    expect([cpu.eip, cpu.cpl, cpu.reg(ESP), cpu.segSelector(SS), cpu.segSelector(ES), cpu.segSelector(DS)]).toEqual([
      0x5007,
      3,
      USTACK + 8,
      UDATA,
      0,
      UDATA,
    ]);
  });
  it('16-bit gate to level 1', () => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, gate(R1CODE, 0x12345678, CALL16_USER, 1));
    toUser(b);
    b.w16(USTACK, 0x333);
    farCall(b.cpu, FREE_SEL, 0, 4, 0x15007);
    const top = KSTACK - 0x800;
    expect([b.cpu.eip, b.cpu.cpl, b.cpu.segSelector(SS), b.cpu.reg(ESP)]).toEqual([0x5678, 1, R1DATA, top - 10]);
    expect([0, 2, 4, 6, 8].map((i) => b.r16(top - 10 + i))).toEqual([0x5007, UCODE, 0x333, USTACK, UDATA]);
  });
  it('same level: no stack switch', () => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, gate(KCODE, 0x7000, CALL32, 3));
    farCall(b.cpu, FREE_SEL, 0, 2, 0x5007);
    expect([b.cpu.eip, b.cpu.reg(ESP), b.r32(KSTACK - 8)]).toEqual([0x7000, KSTACK - 8, 0x5007]);
    farJmp(b.cpu, FREE_SEL, 0, 2, 0x5007);
    expect(b.cpu.reg(ESP)).toBe(KSTACK - 8);
  });
  const rows: [string, (b: Bench) => void, number, number][] = [
    ['gate DPL < CPL', (b) => b.descriptor(GDT + FREE_SEL, gate(KCODE, 0, CALL32)), 13, FREE_SEL],
    ['gate not present', (b) => b.descriptor(GDT + FREE_SEL, gate(KCODE, 0, 0x6c)), 11, FREE_SEL],
    ['null target', (b) => b.descriptor(GDT + FREE_SEL, gate(0, 0, CALL32_USER)), 13, 0],
    ['target is data', (b) => b.descriptor(GDT + FREE_SEL, gate(KDATA, 0, CALL32_USER)), 13, KDATA],
    ['target beyond the limit', (b) => b.descriptor(GDT + FREE_SEL, gate(KCODE16, 0x10000, CALL32_USER)), 13, 0],
    ['inner SS null', (b) => b.w32(TSS + 8, 0), 10, 0],
    [
      'inner stack full',
      (b) => {
        b.w32(TSS + 4, 8);
        b.w32(TSS + 8, 0x68);
        b.descriptor(GDT + 0x68, descriptor(0, 0xfff, 0x92, 0));
      },
      12,
      0x68,
    ],
    [
      "parameters beyond the caller's stack",
      (b) => {
        b.descriptor(GDT + FREE_SEL, gate(KCODE, 0, CALL32_USER, 4));
        b.cpu.setSeg(SS, UDATA, 0, USTACK + 7, 0x40f300);
      },
      12,
      0,
    ],
  ];
  it.each(rows)('%s', (_, prepare, vector, error) => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, gate(KCODE, 0x7000, CALL32_USER));
    toUser(b);
    prepare(b);
    const before = [...segments(b), b.cpu.reg(ESP), b.cpu.cpl];
    expect(b.try(() => farCall(b.cpu, FREE_SEL, 0, 4, 0x5007))).toEqual({ vector, error });
    expect([...segments(b), b.cpu.reg(ESP), b.cpu.cpl]).toEqual(before);
  });
  it('JMP does not go inward', () => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, gate(KCODE, 0x7000, CALL32_USER));
    toUser(b);
    expect(b.try(() => farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007))).toEqual({ vector: 13, error: KCODE });
  });
});

describe('far RET', () => {
  it('to an inner level is #GP(selector)', () => {
    const b = protectedBench();
    toUser(b);
    b.w32(USTACK, 0x7000);
    b.w32(USTACK + 4, KCODE);
    expect(b.try(() => farRet(b.cpu, 4, 0))).toEqual({ vector: 13, error: KCODE });
  });
  it('beyond the stack limit is #SS(0)', () => {
    const b = protectedBench();
    b.cpu.setSeg(SS, KDATA, 0, KSTACK + 5, 0x409300);
    expect(b.try(() => farRet(b.cpu, 4, 0))).toEqual({ vector: 12, error: 0 });
  });
});

describe('SYSENTER and SYSEXIT', () => {
  it('go to flat segments and back', () => {
    const b = protectedBench();
    const { cpu } = b;
    toUser(b);
    expect(b.try(() => sysenter(cpu))).toEqual({ vector: 13, error: 0 });
    cpu.setEnv32(ENV.MSR_SYSENTER_CS, 0x60);
    cpu.setEnv32(ENV.MSR_SYSENTER_ESP, 0x1111);
    cpu.setEnv32(ENV.MSR_SYSENTER_EIP, 0x2222);
    cpu.ei32[ENV.EFLAGS >> 2] |= 0x200;
    sysenter(cpu);
    expect([cpu.cpl, cpu.segSelector(CS), cpu.segSelector(SS), cpu.reg(ESP), cpu.eip, cpu.eflags()]).toEqual([
      0, 0x60, 0x68, 0x1111, 0x2222, 2,
    ]);
    cpu.setReg(1, 0x3333);
    cpu.setReg(2, 0x4444);
    sysexit(cpu, 4);
    expect([cpu.cpl, cpu.segSelector(CS), cpu.segSelector(SS), cpu.reg(ESP), cpu.eip, cpu.segFlags(CS)]).toEqual([
      3, 0x73, 0x7b, 0x3333, 0x4444, 0xc0fb00,
    ]);
    expect(b.try(() => sysexit(cpu, 4))).toEqual({ vector: 13, error: 0 });
  });
});
