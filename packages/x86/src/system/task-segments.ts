/**
 * Loading LDTR and the segment registers of a new task, with the checks and vectors of SDM Vol. 3A Table 7-1
 * (rows 6-20). Errors are #TS with the selector, except not-present code and data (#NP) and stack (#SS).
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, DS, ENV, ES, EXC, FS, GS, SS } from '../state.ts';
import {
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_P,
  DESC_RW,
  DESC_S,
  DESC_TYPE,
  DESC_TYPE_SHIFT,
  SYS_LDT,
} from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, fetchDescriptor, loadCache, loadVm86, markAccessed } from './descriptor.ts';
import { dataSegmentAllowed } from './load-seg.ts';

/** The selectors are in cpu.newSelectors: ES CS SS DS FS GS LDT. */
export function loadTaskSegments(cpu: X86Cpu, vm: boolean): void {
  const s = cpu.newSelectors;
  loadLdt(cpu, s[6]);
  if (vm) {
    for (let seg = ES; seg <= GS; seg++) loadVm86(cpu, seg, s[seg]);
    return;
  }
  loadCode(cpu, s[CS]);
  loadStack(cpu, s[SS]);
  loadData(cpu, ES, s[ES]);
  loadData(cpu, DS, s[DS]);
  loadData(cpu, FS, s[FS]);
  loadData(cpu, GS, s[GS]);
}

const errorOf = (cpu: X86Cpu, selector: number): number => (selector & 0xfffc) | cpu.ext;

function loadLdt(cpu: X86Cpu, selector: number): void {
  if ((selector & 0xfffc) === 0) return;
  const error = errorOf(cpu, selector);
  if ((selector & 4) !== 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.TS, error);
  const { descLo: lo, descHi: hi } = cpu;
  if ((hi & (DESC_S | DESC_TYPE)) !== SYS_LDT << DESC_TYPE_SHIFT || (hi & DESC_P) === 0) cpu.raise(EXC.TS, error);
  cpu.setSegCache(ENV.LDTR, selector, descriptorBase(lo, hi), descriptorLimit(lo, hi), hi & DESC_KEPT);
}

function loadCode(cpu: X86Cpu, selector: number): void {
  const error = errorOf(cpu, selector);
  if ((selector & 0xfffc) === 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.TS, error);
  const hi = cpu.descHi;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  if ((hi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE)) cpu.raise(EXC.TS, error);
  if ((hi & DESC_CONFORMING) !== 0 ? dpl > (selector & 3) : dpl !== (selector & 3)) cpu.raise(EXC.TS, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  markAccessed(cpu);
  loadCache(cpu, CS, selector);
}

function loadStack(cpu: X86Cpu, selector: number): void {
  const error = errorOf(cpu, selector);
  const { cpl } = cpu;
  if ((selector & 0xfffc) === 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.TS, error);
  const hi = cpu.descHi;
  if ((hi & (DESC_S | DESC_CODE | DESC_RW)) !== (DESC_S | DESC_RW)) cpu.raise(EXC.TS, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.SS, error);
  if (((hi >>> DESC_DPL_SHIFT) & 3) !== cpl || (selector & 3) !== cpl) cpu.raise(EXC.TS, error);
  markAccessed(cpu);
  loadCache(cpu, SS, selector);
}

function loadData(cpu: X86Cpu, seg: number, selector: number): void {
  if ((selector & 0xfffc) === 0) return;
  const error = errorOf(cpu, selector);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.TS, error);
  if (!dataSegmentAllowed(cpu.descHi, selector & 3, cpu.cpl)) cpu.raise(EXC.TS, error);
  if ((cpu.descHi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  markAccessed(cpu);
  loadCache(cpu, seg, selector);
}
