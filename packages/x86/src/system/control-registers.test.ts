import { describe, expect, it } from 'vitest';
import { Bench, protectedBench } from '../../test/fake-host.ts';
import { CS, ENV, HF_ALIGN, HF_DEBUG, HF_EM, HF_MP, HF_OSFXSR, HF_PE, HF_TS } from '../state.ts';
import { clts, invlpg, lmsw, movFromCr, movToCr } from './control-registers.ts';
import { checkInstructionBreakpoint, movFromDr, movToDr } from './debug-registers.ts';

const PG = 0x80000000;
const GP0 = { vector: 13, error: 0 };
const UD = { vector: 6, error: -1 };

describe('CR0', () => {
  it('PE, MP, EM, TS show in the block flags; ET reads as 1; unknown bits are dropped', () => {
    const b = new Bench();
    movToCr(b.cpu, 0, 0x0000ffef);
    expect(movFromCr(b.cpu, 0)).toBe(0x3f);
    expect(b.cpu.hflags & (HF_PE | HF_MP | HF_EM | HF_TS)).toBe(HF_PE | HF_MP | HF_EM | HF_TS);
    clts(b.cpu);
    expect(b.cpu.hflags & HF_TS).toBe(0);
  });
  it('PG without PE and NW without CD are #GP(0)', () => {
    const b = new Bench();
    expect(b.try(() => movToCr(b.cpu, 0, PG | 0x10))).toEqual(GP0);
    expect(b.try(() => movToCr(b.cpu, 0, 0x20000010))).toEqual(GP0);
    expect(movFromCr(b.cpu, 0)).toBe(0x60000010);
  });
  it('flushes everything when translations change, nothing otherwise', () => {
    const b = protectedBench();
    b.host.flushes = [];
    movToCr(b.cpu, 0, 0x19);
    expect(b.host.flushes).toEqual([]);
    movToCr(b.cpu, 0, PG | 0x11);
    movToCr(b.cpu, 0, PG | 0x10011);
    expect(b.host.flushes).toEqual(['all', 'all']);
  });
  it('LMSW sets PE and cannot clear it', () => {
    const b = new Bench();
    lmsw(b.cpu, 0xffff);
    expect(movFromCr(b.cpu, 0)).toBe(0x6000001f);
    lmsw(b.cpu, 0);
    expect(movFromCr(b.cpu, 0)).toBe(0x60000011);
  });
  it('keeps the code segment cache across PE changes', () => {
    const b = new Bench();
    movToCr(b.cpu, 0, 0x11);
    expect([b.cpu.segBase(CS), b.cpu.cpl]).toEqual([0xffff0000, 0]);
  });
});

describe('CR3 and CR4', () => {
  it('CR3 flushes non-global entries', () => {
    const b = protectedBench();
    b.host.flushes = [];
    movToCr(b.cpu, 3, 0x12345018);
    expect([movFromCr(b.cpu, 3), b.host.flushes]).toEqual([0x12345018, ['local']]);
  });
  it('PAE: bad PDPTEs are #GP(0) at every write that loads them', () => {
    const b = protectedBench();
    b.w32(0x8000, 0x9001);
    b.w32(0x8008, 0x9003); // reserved bit 1
    movToCr(b.cpu, 4, 0x20);
    movToCr(b.cpu, 3, 0x8000);
    expect(b.try(() => movToCr(b.cpu, 0, PG | 0x11))).toEqual(GP0);
    b.w32(0x8008, 0);
    movToCr(b.cpu, 0, PG | 0x11);
    b.w32(0xa000, 0x9021);
    expect(b.try(() => movToCr(b.cpu, 3, 0xa000))).toEqual(GP0);
    expect([b.cpu.cr(3), b.cpu.pdptes[0]]).toEqual([0x8000, 0x9001]);
    b.w32(0x8010, 0x9003);
    expect(b.try(() => movToCr(b.cpu, 4, 0xa0))).toEqual(GP0);
    expect(b.cpu.cr(4)).toBe(0x20);
  });
  it('CR4 knows the bits of the model', () => {
    const b = protectedBench('pentium');
    expect(b.try(() => movToCr(b.cpu, 4, 0x20))).toEqual(GP0);
    movToCr(b.cpu, 4, 0x5f);
    expect(movFromCr(b.cpu, 4)).toBe(0x5f);
    const max = protectedBench();
    movToCr(max.cpu, 4, 0x600);
    expect(max.cpu.hflags & HF_OSFXSR).toBe(HF_OSFXSR);
    expect(max.try(() => movToCr(max.cpu, 4, 0x1000))).toEqual(GP0);
  });
  it('registers that do not exist are #UD', () => {
    const b = protectedBench('486,-vme,-pse');
    for (const n of [1, 4, 5, 7, 8]) {
      expect(b.try(() => movToCr(b.cpu, n, 0))).toEqual(UD);
      expect(b.try(() => movFromCr(b.cpu, n))).toEqual(UD);
    }
  });
  it('CR2 is storage; INVLPG flushes one page', () => {
    const b = protectedBench();
    movToCr(b.cpu, 2, -1);
    expect(movFromCr(b.cpu, 2)).toBe(-1);
    b.host.flushes = [];
    invlpg(b.cpu, 0xfffff123 | 0, 0);
    expect(b.host.flushes).toEqual(['page fffff123']);
  });
  it('alignment checks need AM, AC and CPL 3', () => {
    const b = protectedBench();
    movToCr(b.cpu, 0, 0x40011);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= 1 << 18;
    b.cpu.updateHflags();
    expect(b.cpu.hflags & HF_ALIGN).toBe(0);
    b.cpu.cpl = 3;
    b.cpu.updateHflags();
    expect(b.cpu.hflags & HF_ALIGN).toBe(HF_ALIGN);
  });
});

describe('debug registers', () => {
  it('fixed bits, and DR4/DR5 as aliases until CR4.DE', () => {
    const b = protectedBench();
    movToDr(b.cpu, 6, 0);
    movToDr(b.cpu, 7, 0);
    expect([movFromDr(b.cpu, 6) >>> 0, movFromDr(b.cpu, 7)]).toEqual([0xffff0ff0, 0x400]);
    movToDr(b.cpu, 4, -1);
    expect(movFromDr(b.cpu, 6) >>> 0).toBe(0xffffefff);
    movToCr(b.cpu, 4, 8);
    expect(b.try(() => movFromDr(b.cpu, 4))).toEqual(UD);
    expect(b.try(() => movToDr(b.cpu, 5, 0))).toEqual(UD);
  });
  it('instruction breakpoint: a fault with the DR6 bit, not under RF', () => {
    const b = protectedBench();
    movToDr(b.cpu, 1, 0x5000);
    movToDr(b.cpu, 7, 0x08);
    expect(b.cpu.hflags & HF_DEBUG).toBe(HF_DEBUG);
    expect(b.try(() => checkInstructionBreakpoint(b.cpu, 0x5001))).toBeNull();
    expect(b.try(() => checkInstructionBreakpoint(b.cpu, 0x5000))).toEqual({ vector: 1, error: -1 });
    expect(b.cpu.dr(6) & 15).toBe(2);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= 1 << 16;
    expect(b.try(() => checkInstructionBreakpoint(b.cpu, 0x5000))).toBeNull();
  });
  it('a data hit of the instruction before is reported at the next one', () => {
    const b = protectedBench();
    movToDr(b.cpu, 0, 0x7000);
    movToDr(b.cpu, 7, 0x000d0001);
    expect(b.cpu.hflags & HF_DEBUG).toBe(HF_DEBUG);
    b.cpu.hitWatchpoint(0x7000, 1, true);
    expect(b.try(() => checkInstructionBreakpoint(b.cpu, 0x5000))).toEqual({ vector: 1, error: -1 });
    expect([b.cpu.dr(6) & 15, b.cpu.env32(ENV.PENDING_DR6)]).toEqual([1, 0]);
  });
  it('general detect faults before the access and clears itself', () => {
    const b = protectedBench();
    movToDr(b.cpu, 7, 0x2000);
    expect(b.try(() => movFromDr(b.cpu, 0))).toEqual({ vector: 1, error: -1 });
    expect([b.cpu.dr(6) & 0x2000, b.cpu.dr(7)]).toEqual([0x2000, 0x400]);
  });
  it('collects data breakpoints, aligned to their length', () => {
    const b = protectedBench();
    movToDr(b.cpu, 0, 0x1003);
    movToDr(b.cpu, 3, 0x2001);
    movToDr(b.cpu, 7, 0x70010000 | (1 << 18) | (1 << 7) | 1);
    expect(b.cpu.watchpoints).toEqual([
      { index: 0, address: 0x1002, length: 2, reads: false },
      { index: 3, address: 0x2000, length: 2, reads: true },
    ]);
  });
});
