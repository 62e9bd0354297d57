import { describe, expect, it } from 'vitest';
import { Bench, protectedBench } from '../test/fake-host.ts';
import { KIND_SUB, ccOp } from './flags.ts';
import {
  CS,
  EAX,
  EDX,
  ENV,
  FLAGS_ARITH,
  FLAG_CF,
  FLAG_DF,
  FLAG_IF,
  FLAG_ZF,
  HF_CS32,
  HF_FPU_UNMASKED,
  HF_PE,
  HF_SEGCHECK,
} from './state.ts';

describe('X86Cpu', () => {
  it('powers on at FFFF:FFF0 with its signature in EDX', () => {
    const { cpu } = new Bench('pentium3');
    expect([cpu.segSelector(CS), cpu.segBase(CS), cpu.env32(ENV.CS_BASE), cpu.eip]).toEqual([
      0xf000, 0xffff0000, 0xffff0000, 0xfff0,
    ]);
    expect([cpu.reg(EDX), cpu.reg(EAX), cpu.cr(0), cpu.eflags(), cpu.dr(6), cpu.dr(7)]).toEqual([
      0x673, 0, 0x60000010, 2, 0xffff0ff0, 0x400,
    ]);
    expect(cpu.hflags & (HF_PE | HF_CS32 | HF_SEGCHECK | HF_FPU_UNMASKED)).toBe(HF_SEGCHECK | HF_FPU_UNMASKED);
  });
  it('keeps the TSC running over reset', () => {
    const { cpu } = new Bench();
    cpu.setEnv32(ENV.MSR_TSC_OFFSET, 77);
    cpu.reset();
    expect(cpu.env32(ENV.MSR_TSC_OFFSET)).toBe(77);
  });
  it('setEflags keeps lazy flags outside the mask', () => {
    const { cpu } = protectedBench();
    cpu.setEnv32(ENV.CC_OP, ccOp(KIND_SUB, 2));
    cpu.setEnv32(ENV.CC_DST, 0xffffffff);
    cpu.setEnv32(ENV.CC_SRC, 1); // 0 - 1: CF, PF, AF, SF
    expect(cpu.eflags()).toBe(2 | 0x95);
    cpu.setEflags(FLAG_ZF | FLAG_IF | FLAG_DF, FLAG_ZF | FLAG_IF);
    expect([cpu.eflags(), cpu.env32(ENV.CC_OP)]).toEqual([2 | 0x95 | FLAG_ZF | FLAG_IF, 0]);
    cpu.setEflags(0, FLAGS_ARITH);
    expect(cpu.eflags()).toBe(2 | FLAG_IF);
    cpu.setEflags(FLAG_CF, FLAG_CF);
    expect(cpu.eflags()).toBe(2 | FLAG_IF | FLAG_CF);
  });
  it('canInterrupt needs IF', () => {
    const { cpu } = protectedBench();
    expect(cpu.canInterrupt()).toBe(false);
    cpu.setEflags(FLAG_IF, FLAG_IF);
    expect(cpu.canInterrupt()).toBe(true);
  });
  it('memory goes through the host at current privilege', () => {
    const { cpu } = protectedBench();
    cpu.write32(0x6000, 0x89abcdef);
    expect([cpu.read8(0x6000), cpu.read16(0x6001), cpu.readSys32(0x6000)]).toEqual([0xef, 0xabcd, 0x89abcdef]);
  });
});
