/**
 * Hardware task switches by JMP, CALL, IRET and task gates, with 16- and 32-bit TSS on either side.
 * SDM Vol. 3A §7.2 "Task Management Data Structures", §7.3 "Task Switching", Table 7-1 (exception conditions),
 * Table 7-2 (busy, NT, link). Everything that can fault in the old context is read or probed first; from the commit on,
 * a fault belongs to the new task and is delivered there (loading of its segments is task-segments.ts).
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  EAX,
  ENV,
  ES,
  EXC,
  FLAG_NT,
  FLAG_RF,
  FLAG_VM,
  FS,
  GS,
  HF_CPL,
  SEG_BASE,
  SEG_FLAGS,
  SEG_SELECTOR,
} from '../state.ts';
import { CR0_PG, CR0_TS } from './cr-bits.ts';
import { DR6_BT } from './debug-registers.ts';
import {
  DESC_KEPT,
  DESC_P,
  DESC_TSS_BUSY,
  DESC_TYPE_SHIFT,
  SYS_TSS16,
  SYS_TSS16_BUSY,
  SYS_TSS32,
  SYS_TSS32_BUSY,
} from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, fetchDescriptor, withinLimit } from './descriptor.ts';
import { CPU_FAULT } from './fault.ts';
import { loadPdptes } from './paging.ts';
import { commitStack, openStack, push } from './stack.ts';
import { loadTaskSegments } from './task-segments.ts';

export const SWITCH_JMP = 0;
export const SWITCH_CALL = 1;
export const SWITCH_IRET = 2;
export const SWITCH_INT = 3;

/** Fields of the two TSS formats. SDM Figures 7-2 and 7-10. Segments: ES CS SS DS (FS GS). */
const TSS32 = {
  limit: 0x67,
  cr3: 0x1c,
  eip: 0x20,
  eflags: 0x24,
  regs: 0x28,
  segs: 0x48,
  ldt: 0x60,
  trap: 0x64,
} as const;
const TSS16 = { limit: 0x2b, eip: 0x0e, eflags: 0x10, regs: 0x12, segs: 0x22, ldt: 0x2a } as const;
/** DR7: L0-L3 and LE, cleared by every task switch. SDM Vol. 3B §18.2.4. */
const DR7_LOCAL = 0x155;

/** From an instruction: a fault after the commit is delivered here, since EIP is the new task's. */
export function taskSwitchTo(cpu: X86Cpu, selector: number, source: number, nextEip: number): void {
  prepare(cpu, selector, source, cpu.eflags() & ~FLAG_RF, nextEip);
  try {
    enterNewTask(cpu);
  } catch (fault) {
    if (fault !== CPU_FAULT) throw fault;
    cpu.deliver();
    return;
  }
  cpu.deliverPendingTrap();
}

/** IRET with NT: back to the task in the link field. */
export function returnToPreviousTask(cpu: X86Cpu, nextEip: number): void {
  const link = cpu.readSys16(cpu.env32(ENV.TR + SEG_BASE));
  const error = link & 0xfffc;
  if (error === 0 || (link & 4) !== 0 || !fetchDescriptor(cpu, link)) cpu.raise(EXC.TS, error);
  const type = (cpu.descHi >>> DESC_TYPE_SHIFT) & 31;
  if (type !== SYS_TSS16_BUSY && type !== SYS_TSS32_BUSY) cpu.raise(EXC.TS, error);
  taskSwitchTo(cpu, link, SWITCH_IRET, nextEip);
}

/** Through a task gate of the IDT. cpu.ext is set by the caller; faults after the commit are its business too. */
export function interruptTask(
  cpu: X86Cpu,
  selector: number,
  errorCode: number,
  flags: number,
  returnEip: number,
): void {
  const { ext } = cpu;
  const error = (selector & 0xfffc) | ext;
  if ((selector & 4) !== 0 || (selector & 0xfffc) === 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const type = (cpu.descHi >>> DESC_TYPE_SHIFT) & 31;
  if (type !== SYS_TSS16 && type !== SYS_TSS32) cpu.raise(EXC.GP, error);
  prepare(cpu, selector, SWITCH_INT, flags, returnEip);
  if (!cpu.delivering) {
    // INT n: as for CALL, the instruction is over.
    try {
      enterNewTask(cpu);
    } catch (fault) {
      if (fault !== CPU_FAULT) throw fault;
      cpu.deliver();
    }
    return;
  }
  enterNewTask(cpu);
  if (errorCode >= 0) {
    openStack(cpu);
    push(cpu, newTssIs32(cpu) ? 4 : 2, errorCode);
    commitStack(cpu);
  }
}

const newTssIs32 = (cpu: X86Cpu): boolean => ((cpu.env32(ENV.TR + SEG_FLAGS) >>> DESC_TYPE_SHIFT) & 8) !== 0;

/**
 * Steps 1-11 of SDM §7.3 for the fetched descriptor: check, save the old task, mark busy, load the register file.
 * On return CR3, EIP, EFLAGS and the general registers are the new task's; its selectors are in cpu.newSelectors.
 */
function prepare(cpu: X86Cpu, selector: number, source: number, flags: number, nextEip: number): void {
  const { descLo: lo, descHi: hi, descLin } = cpu;
  const e = cpu.e32;
  const error = (selector & 0xfffc) | cpu.ext;
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  const wide = ((hi >>> DESC_TYPE_SHIFT) & 8) !== 0;
  const limit = descriptorLimit(lo, hi);
  const base = descriptorBase(lo, hi);
  if (limit < (wide ? TSS32.limit : TSS16.limit)) cpu.raise(EXC.TS, error);

  // Read the whole new TSS: page faults come now, in the old context.
  const regs = cpu.newRegisters;
  const segs = cpu.newSelectors;
  let cr3 = 0;
  let eip: number;
  let eflags: number;
  let ldt: number;
  let trap = 0;
  if (wide) {
    cr3 = cpu.readSys32(base + TSS32.cr3);
    eip = cpu.readSys32(base + TSS32.eip);
    eflags = cpu.readSys32(base + TSS32.eflags);
    for (let i = 0; i < 8; i++) regs[i] = cpu.readSys32(base + TSS32.regs + i * 4);
    for (let i = 0; i < 6; i++) segs[i] = cpu.readSys16(base + TSS32.segs + i * 4);
    ldt = cpu.readSys16(base + TSS32.ldt);
    trap = cpu.readSys16(base + TSS32.trap) & 1;
  } else {
    eip = cpu.readSys16(base + TSS16.eip);
    eflags = cpu.readSys16(base + TSS16.eflags);
    // A 16-bit TSS gives 16 bits of each register; the upper halves become FFFFH as on 32-bit processors.
    for (let i = 0; i < 8; i++) regs[i] = cpu.readSys16(base + TSS16.regs + i * 2) | 0xffff0000;
    for (let i = 0; i < 4; i++) segs[i] = cpu.readSys16(base + TSS16.segs + i * 2);
    segs[FS] = 0;
    segs[GS] = 0;
    ldt = cpu.readSys16(base + TSS16.ldt);
  }
  segs[6] = ldt;

  const oldSelector = e[(ENV.TR + SEG_SELECTOR) >> 2];
  const oldBase = e[(ENV.TR + SEG_BASE) >> 2];
  const oldLin = (e[ENV.GDT_BASE >> 2] + (oldSelector & 0xfff8)) >>> 0;
  const oldHi = cpu.readSys32(oldLin + 4);
  saveOldTask(cpu, oldBase, source === SWITCH_IRET ? flags & ~FLAG_NT : flags, nextEip);
  if (source === SWITCH_CALL || source === SWITCH_INT) {
    cpu.writeSys16(base, oldSelector);
    eflags |= FLAG_NT;
  }
  if (source === SWITCH_JMP || source === SWITCH_IRET) cpu.writeSys32(oldLin + 4, oldHi & ~DESC_TSS_BUSY);
  // Read again: for a switch to the running task itself the old descriptor was just written.
  const newHi = source === SWITCH_IRET ? hi : cpu.readSys32(descLin + 4) | DESC_TSS_BUSY;
  if (source !== SWITCH_IRET) cpu.writeSys32(descLin + 4, newHi);

  // Commit.
  cpu.setSegCache(ENV.TR, selector, base, limit, (newHi | DESC_TSS_BUSY) & DESC_KEPT);
  cpu.setCrRaw(0, cpu.cr(0) | CR0_TS);
  cpu.setDrRaw(7, cpu.dr(7) & ~DR7_LOCAL);
  cpu.eip = eip;
  for (let i = 0; i < 8; i++) cpu.setReg(EAX + i, regs[i]);
  cpu.setEflags(eflags, wide ? 0x003f7fd5 : 0x7fd5);
  if (!wide) cpu.ei32[ENV.EFLAGS >> 2] &= 0x7fff;
  if (trap !== 0) e[ENV.PENDING_DR6 >> 2] |= DR6_BT;
  if (wide && (cpu.ei32[ENV.CR >> 2] & CR0_PG) !== 0 && cr3 !== cpu.cr(3)) {
    cpu.newPdptesValid = loadPdptes(cpu, cr3);
    cpu.setCrRaw(3, cr3);
    cpu.host.flushTlb(false);
  } else cpu.newPdptesValid = true;
}

function saveOldTask(cpu: X86Cpu, base: number, flags: number, nextEip: number): void {
  const wide = newTssIs32(cpu);
  if (wide) {
    // The far end first: a page fault leaves the TSS untouched or is repeated in full.
    for (let i = 5; i >= 0; i--) cpu.writeSys16(base + TSS32.segs + i * 4, cpu.segSelector(i));
    for (let i = 0; i < 8; i++) cpu.writeSys32(base + TSS32.regs + i * 4, cpu.reg(i));
    cpu.writeSys32(base + TSS32.eip, nextEip);
    cpu.writeSys32(base + TSS32.eflags, flags);
  } else {
    for (let i = 3; i >= 0; i--) cpu.writeSys16(base + TSS16.segs + i * 2, cpu.segSelector(i));
    for (let i = 0; i < 8; i++) cpu.writeSys16(base + TSS16.regs + i * 2, cpu.reg(i));
    cpu.writeSys16(base + TSS16.eip, nextEip);
    cpu.writeSys16(base + TSS16.eflags, flags);
  }
}

/** In the new context: LDT, segments, EIP limit. May raise; EIP and registers are the new task's already. */
function enterNewTask(cpu: X86Cpu): void {
  const vm = (cpu.ei32[ENV.EFLAGS >> 2] & FLAG_VM) !== 0;
  // Until loaded, every segment register has its selector and no descriptor.
  for (let seg = ES; seg <= GS; seg++) cpu.setSeg(seg, cpu.newSelectors[seg], 0, 0, 0);
  cpu.setSegCache(ENV.LDTR, cpu.newSelectors[6], 0, 0, 0);
  cpu.hflags = (cpu.hflags & ~HF_CPL) | (vm ? 3 : cpu.newSelectors[CS] & 3);
  cpu.updateHflags();
  if (!cpu.newPdptesValid) cpu.raise(EXC.GP, 0);
  loadTaskSegments(cpu, vm);
  cpu.updateHflags();
  if (!withinLimit(cpu.segFlags(CS), cpu.segLimit(CS), cpu.eip, 1)) cpu.raise(EXC.GP, cpu.ext);
}
