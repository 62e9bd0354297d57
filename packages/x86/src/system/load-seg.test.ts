import { describe, expect, it } from 'vitest';
import {
  Bench,
  CONFORMING,
  FREE_SEL,
  GDT,
  KCODE,
  KDATA,
  LDT,
  LDT_SEL,
  R1DATA,
  UDATA,
  descriptor,
  protectedBench,
  toUser,
} from '../../test/fake-host.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  FS,
  GS,
  HF_ADDSEG,
  HF_CPL,
  HF_FGCHECK,
  HF_INHIBIT_IRQ,
  HF_SEGCHECK,
  HF_SS32,
  SS,
} from '../state.ts';
import { LOAD_SEG_NO_SHADOW, loadSeg } from './load-seg.ts';

const GP = 13;
const NP = 11;
const STACK = 12;

describe('load_seg in protected mode', () => {
  // SDM Vol. 2B "MOV": protected-mode exceptions. [what, segment, selector, access byte put at FREE_SEL, CPL, vector, error]
  const F = FREE_SEL;
  const rows: [string, number, number, number, number, number | null, number?][] = [
    ['null into DS', DS, 0, 0, 0, null],
    ['null with RPL 3 into DS', DS, 3, 0, 3, null],
    ['null into SS', SS, 0, 0, 0, GP, 0],
    ['beyond the GDT limit', DS, 0x100, 0, 0, GP, 0x100],
    ['beyond the LDT limit', DS, 0x104, 0, 0, GP, 0x104],
    ['system descriptor', DS, LDT_SEL, 0, 0, GP, LDT_SEL],
    ['execute-only code into DS', DS, F, 0x98, 0, GP, F],
    ['readable code into DS', DS, F, 0x9a, 0, null],
    ['read-only data into DS', DS, F, 0x90, 0, null],
    ['data with DPL < CPL', DS, KDATA | 3, 0, 3, GP, KDATA],
    ['data with RPL > DPL', DS, KDATA | 1, 0, 0, GP, KDATA],
    ['readable conforming code with DPL < CPL', DS, CONFORMING, 0, 3, null],
    ['not present data', DS, F, 0x12, 0, NP, F],
    ['not present stack', SS, F, 0x12, 0, STACK, F],
    ['stack not writable', SS, F, 0x90, 0, GP, F],
    ['stack is code', SS, KCODE, 0, 0, GP, KCODE],
    ['stack RPL != CPL', SS, KDATA | 1, 0, 0, GP, KDATA],
    ['stack DPL != CPL', SS, R1DATA & ~3, 0, 0, GP, R1DATA & ~3],
    ['good stack at CPL 3', SS, UDATA, 0, 3, null],
    ['rights come before presence', DS, F | 3, 0x12, 3, GP, F],
  ];
  it.each(rows)('%s', (_, seg, selector, access, cpl, vector, error) => {
    const b = protectedBench();
    if (access !== 0) b.descriptor(GDT + FREE_SEL, descriptor(0x12345678, 0xfffff, access, 0xc));
    if (cpl === 3) toUser(b);
    const before = b.cpu.segSelector(seg);
    const raised = b.try(() => loadSeg(b.cpu, seg, selector));
    expect(raised).toEqual(vector === null ? null : { vector, error });
    expect(b.cpu.segSelector(seg)).toBe(vector === null ? selector : before);
  });

  it('loads base, scaled limit and rights, and sets the accessed bit in memory', () => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, descriptor(0x12345678, 0x81234, 0x92, 0xc));
    loadSeg(b.cpu, ES, FREE_SEL);
    expect([b.cpu.segBase(ES), b.cpu.segLimit(ES), b.cpu.segFlags(ES)]).toEqual([0x12345678, 0x81234fff, 0xc09300]);
    expect(b.host.physRead8(GDT + FREE_SEL + 5)).toBe(0x93);
    expect(b.cpu.hflags & (HF_ADDSEG | HF_SEGCHECK)).toBe(HF_ADDSEG | HF_SEGCHECK);
  });
  it('finds local descriptors', () => {
    const b = protectedBench();
    b.descriptor(LDT + 8, descriptor(0x1000, 0xfff, 0x92, 0));
    loadSeg(b.cpu, FS, 0xc);
    expect([b.cpu.segBase(FS), b.cpu.segLimit(FS)]).toEqual([0x1000, 0xfff]);
    expect(b.cpu.hflags & HF_FGCHECK).toBe(HF_FGCHECK);
  });
  it('has every local selector out of bounds under a null LDTR', () => {
    const b = protectedBench();
    b.cpu.setSegCache(ENV.LDTR, 0, 0, 0, 0);
    expect(b.try(() => loadSeg(b.cpu, DS, 4))).toEqual({ vector: GP, error: 4 });
  });
  it('keeps block flags flat for flat segments and follows SS.B', () => {
    const b = protectedBench();
    expect(b.cpu.hflags & (HF_ADDSEG | HF_SEGCHECK | HF_FGCHECK)).toBe(0);
    b.descriptor(GDT + FREE_SEL, descriptor(0, 0xffff, 0x92, 0));
    loadSeg(b.cpu, SS, FREE_SEL);
    expect(b.cpu.hflags & HF_SS32).toBe(0);
    loadSeg(b.cpu, SS, KDATA);
    expect(b.cpu.hflags & HF_SS32).toBe(HF_SS32);
  });
  it('begins an interrupt shadow with MOV SS and not with LSS', () => {
    const b = protectedBench();
    loadSeg(b.cpu, SS | LOAD_SEG_NO_SHADOW, KDATA);
    expect(b.cpu.hflags & HF_INHIBIT_IRQ).toBe(0);
    loadSeg(b.cpu, SS, KDATA);
    expect(b.cpu.hflags & HF_INHIBIT_IRQ).toBe(HF_INHIBIT_IRQ);
  });
  it('raises #UD for CS', () => {
    const b = protectedBench();
    expect(b.try(() => loadSeg(b.cpu, CS, KCODE))?.vector).toBe(6);
  });
});

describe('load_seg in real and virtual-8086 mode', () => {
  it('keeps unreal limits in real mode', () => {
    const b = protectedBench();
    loadSeg(b.cpu, GS, KDATA);
    b.cpu.setCrRaw(0, 0x10);
    b.cpu.updateHflags();
    loadSeg(b.cpu, GS, 0x1234);
    expect([b.cpu.segSelector(GS), b.cpu.segBase(GS), b.cpu.segLimit(GS)]).toEqual([0x1234, 0x12340, 0xffffffff]);
    const fresh = new Bench();
    loadSeg(fresh.cpu, DS, 0xf000);
    expect([fresh.cpu.segBase(DS), fresh.cpu.segLimit(DS)]).toEqual([0xf0000, 0xffff]);
  });
  it('loads 64K segments in VM86', () => {
    const b = protectedBench();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= 1 << 17;
    b.cpu.updateHflags();
    expect(b.cpu.hflags & HF_CPL).toBe(3);
    loadSeg(b.cpu, DS, 0x2345);
    expect([b.cpu.segBase(DS), b.cpu.segLimit(DS), b.cpu.segFlags(DS)]).toEqual([0x23450, 0xffff, 0xf300]);
  });
});
