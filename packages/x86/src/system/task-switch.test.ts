import { describe, expect, it } from 'vitest';
import {
  type Bench,
  FREE_SEL,
  GDT,
  IDT,
  KCODE,
  KCODE16,
  KDATA,
  KDATA16,
  KSTACK,
  LDT_SEL,
  TR_SEL,
  TSS,
  UCODE,
  UDATA,
  descriptor,
  gate,
  protectedBench,
  segments,
} from '../../test/fake-host.ts';
import { CS, EAX, ENV, ESP, FLAG_NT, FLAG_TF, FLAG_VM, HF_CPL, HF_TS, HF_VM, SEG_SELECTOR } from '../state.ts';
import { farCall, farJmp } from './far-transfer.ts';
import { softInterrupt } from './soft-interrupt.ts';
import { iret } from './iret.ts';

const NEW = 0x6000;
const NEW_STACK = 0xc000;
const trSelector = (b: Bench): number => b.cpu.env32(ENV.TR + SEG_SELECTOR);
const access = (b: Bench, selector: number): number => b.host.physRead8(GDT + selector + 5);

/** A second 32-bit TSS at FREE_SEL whose task starts at 0x7000. */
function twoTasks(): Bench {
  const b = protectedBench();
  b.descriptor(GDT + FREE_SEL, descriptor(NEW, 0x67, 0x89, 0));
  b.w32(NEW + 0x1c, 0);
  b.w32(NEW + 0x20, 0x7000);
  b.w32(NEW + 0x24, 0x202);
  for (let i = 0; i < 8; i++) b.w32(NEW + 0x28 + 4 * i, i === ESP ? NEW_STACK : 0x1000 + i);
  for (let i = 0; i < 6; i++) b.w32(NEW + 0x48 + 4 * i, i === CS ? KCODE : KDATA);
  b.w32(NEW + 0x60, LDT_SEL);
  return b;
}
function tss16(b: Bench, at: number): void {
  b.descriptor(GDT + FREE_SEL, descriptor(at, 0x2b, 0x81, 0));
  b.w16(at + 0x0e, 0x7000);
  b.w16(at + 0x10, 0x0202);
  for (let i = 0; i < 8; i++) b.w16(at + 0x12 + 2 * i, i === ESP ? NEW_STACK : 0x2000 + i);
  for (let i = 0; i < 4; i++) b.w16(at + 0x22 + 2 * i, i === CS ? KCODE16 : KDATA16);
  b.w16(at + 0x2a, 0);
}

describe('task switch', () => {
  it('JMP saves the old task, clears its busy bit and loads the new one', () => {
    const b = twoTasks();
    const { cpu } = b;
    cpu.setReg(EAX, 0xcafe);
    farJmp(cpu, FREE_SEL, 0, 4, 0x5007);
    expect([cpu.eip, cpu.reg(EAX), cpu.reg(ESP), cpu.eflags(), trSelector(b)]).toEqual([
      0x7000,
      0x1000,
      NEW_STACK,
      0x202,
      FREE_SEL,
    ]);
    expect([access(b, TR_SEL), access(b, FREE_SEL)]).toEqual([0x89, 0x8b]);
    expect([b.r32(TSS + 0x20), b.r32(TSS + 0x28), b.r32(TSS + 0x24), b.r32(TSS + 0x38), b.r16(TSS + 0x4c)]).toEqual([
      0x5007,
      0xcafe,
      2,
      KSTACK,
      KCODE,
    ]);
    expect(cpu.hflags & HF_TS).toBe(HF_TS);
    expect(b.r16(NEW)).toBe(0);
  });
  it('CALL links and nests, IRET with NT comes back', () => {
    const b = twoTasks();
    const { cpu } = b;
    const before = segments(b);
    farCall(cpu, FREE_SEL, 0, 4, 0x5007);
    expect([b.r16(NEW), cpu.eflags(), access(b, TR_SEL), access(b, FREE_SEL)]).toEqual([
      TR_SEL,
      0x202 | FLAG_NT,
      0x8b,
      0x8b,
    ]);
    cpu.setReg(EAX, 77);
    iret(cpu, 4, 0x7001);
    expect([cpu.eip, cpu.reg(ESP), trSelector(b), access(b, TR_SEL), access(b, FREE_SEL)]).toEqual([
      0x5007,
      KSTACK,
      TR_SEL,
      0x8b,
      0x89,
    ]);
    expect([b.r32(NEW + 0x20), b.r32(NEW + 0x24), b.r32(NEW + 0x28)]).toEqual([0x7001, 0x202, 77]);
    expect(segments(b)).toEqual(before);
  });
  it('through a task gate of the GDT, and refused through one whose DPL is too low', () => {
    const b = twoTasks();
    b.descriptor(GDT + 0x68, gate(FREE_SEL, 0, 0x85));
    farJmp(b.cpu, 0x68, 0, 4, 0x5007);
    expect(b.cpu.eip).toBe(0x7000);
    const c = twoTasks();
    c.descriptor(GDT + 0x68, gate(FREE_SEL, 0, 0x85));
    expect(c.try(() => farJmp(c.cpu, 0x69, 0, 4, 0x5007))).toEqual({ vector: 13, error: 0x68 });
  });
  it('16-bit TSS: 16-bit registers, no FS and GS', () => {
    const b = protectedBench();
    tss16(b, NEW);
    farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007);
    const { cpu } = b;
    expect([cpu.eip, cpu.reg(EAX), cpu.reg(ESP), cpu.segSelector(CS), cpu.segSelector(4)]).toEqual([
      0x7000,
      0xffff2000,
      0xffff0000 + NEW_STACK,
      KCODE16,
      0,
    ]);
    farJmp(cpu, TR_SEL, 0, 2, 0x7004);
    expect([b.r16(NEW + 0x0e), b.r16(NEW + 0x12), b.r16(NEW + 0x1a)]).toEqual([0x7004, 0x2000, NEW_STACK]);
    expect(cpu.eip).toBe(0x5007);
  });
  it('to a VM86 task', () => {
    const b = twoTasks();
    b.w32(NEW + 0x24, FLAG_VM | 2);
    for (let i = 0; i < 6; i++) b.w32(NEW + 0x48 + 4 * i, 0x100 * i);
    farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007);
    expect([b.cpu.hflags & HF_VM, b.cpu.hflags & HF_CPL, b.cpu.segBase(CS), b.cpu.eip]).toEqual([
      HF_VM,
      3,
      0x1000,
      0x7000,
    ]);
  });
  it('loads CR3 with paging on and flushes', () => {
    const b = twoTasks();
    b.w32(0x10000, 0x00000083);
    b.cpu.setCrRaw(4, 0x10);
    b.cpu.setCrRaw(3, 0x10000);
    b.w32(0x12000, 0x00000083);
    b.w32(NEW + 0x1c, 0x12000);
    b.cpu.setCrRaw(0, 0x80000011);
    b.host.flushes = [];
    farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007);
    expect([b.cpu.cr(3), b.host.flushes]).toEqual([0x12000, ['local']]);
  });
  it('T bit: #DB in the new task with DR6.BT', () => {
    const b = twoTasks();
    b.w16(NEW + 0x64, 1);
    b.descriptor(IDT + 8, gate(KCODE, 0x8000, 0x8e));
    farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007);
    expect([b.cpu.eip, b.r32(b.cpu.reg(ESP)), b.cpu.dr(6) & 0xe000]).toEqual([0x8000, 0x7000, 0x8000]);
  });

  // SDM Vol. 3A Table 7-1, faults in the old task: nothing has changed.
  const early: [string, (b: Bench) => void, number, number][] = [
    ['busy TSS', (b) => b.descriptor(GDT + FREE_SEL, descriptor(NEW, 0x67, 0x8b, 0)), 13, FREE_SEL],
    ['TSS not present', (b) => b.descriptor(GDT + FREE_SEL, descriptor(NEW, 0x67, 0x09, 0)), 11, FREE_SEL],
    ['TSS limit too small', (b) => b.descriptor(GDT + FREE_SEL, descriptor(NEW, 0x66, 0x89, 0)), 10, FREE_SEL],
  ];
  it.each(early)('%s faults in the old task', (_, prepare, vector, error) => {
    const b = twoTasks();
    prepare(b);
    const before = [...segments(b), b.cpu.reg(ESP), trSelector(b), access(b, TR_SEL)];
    expect(b.try(() => farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007))).toEqual({ vector, error });
    expect([...segments(b), b.cpu.reg(ESP), trSelector(b), access(b, TR_SEL)]).toEqual(before);
  });

  // Table 7-1, faults in the new task: delivered there, EIP of its first instruction. #TS through a task gate-less handler
  // needs a usable stack, so the rows leave SS good except where it is the subject (then: shutdown by a bad stack).
  const late: [string, (b: Bench) => void, number, number][] = [
    ['LDT selector is no LDT', (b) => b.w32(NEW + 0x60, KDATA), 10, KDATA],
    ['LDT selector is local', (b) => b.w32(NEW + 0x60, LDT_SEL | 4), 10, LDT_SEL | 4],
    ['CS null', (b) => b.w32(NEW + 0x4c, 0), 10, 0],
    ['CS is data', (b) => b.w32(NEW + 0x4c, KDATA), 10, KDATA],
    ['CS DPL != RPL', (b) => b.w32(NEW + 0x4c, UCODE & ~3), 10, UCODE & ~3],
    [
      'CS not present',
      (b) => {
        b.w32(NEW + 0x4c, 0x68);
        b.descriptor(GDT + 0x68, descriptor(0, 0xfffff, 0x1a, 0xc));
      },
      11,
      0x68,
    ],
    ['SS null', (b) => b.w32(NEW + 0x50, 0), 10, 0],
    ['SS DPL', (b) => b.w32(NEW + 0x50, UDATA), 10, UDATA & ~3],
    [
      'SS not present',
      (b) => {
        b.w32(NEW + 0x50, 0x68);
        b.descriptor(GDT + 0x68, descriptor(0, 0xfffff, 0x12, 0xc));
      },
      12,
      0x68,
    ],
    [
      'DS execute-only',
      (b) => {
        b.w32(NEW + 0x54, 0x68);
        b.descriptor(GDT + 0x68, descriptor(0, 0xfffff, 0x98, 0xc));
      },
      10,
      0x68,
    ],
    [
      'ES not present',
      (b) => {
        b.w32(NEW + 0x48, 0x68);
        b.descriptor(GDT + 0x68, descriptor(0, 0xfffff, 0x12, 0xc));
      },
      11,
      0x68,
    ],
    [
      'EIP beyond the limit',
      (b) => {
        b.w32(NEW + 0x4c, KCODE16);
        b.w32(NEW + 0x20, 0x10000);
      },
      13,
      0,
    ],
  ];
  it.each(late)('%s faults in the new task', (_, prepare, vector, error) => {
    const b = twoTasks();
    prepare(b);
    // The handler is a task of its own, since the faulting one may have no stack.
    b.descriptor(GDT + 0x70, descriptor(0x6800, 0x67, 0x89, 0));
    b.w32(0x6800 + 0x20, 0x7777);
    b.w32(0x6800 + 0x38, NEW_STACK + 0x800);
    for (let i = 0; i < 6; i++) b.w32(0x6800 + 0x48 + 4 * i, i === CS ? KCODE : KDATA);
    b.descriptor(IDT + vector * 8, gate(0x70, 0, 0x85));
    b.exec(() => farJmp(b.cpu, FREE_SEL, 0, 4, 0x5007));
    expect([b.cpu.eip, b.host.shutdowns, b.r32(b.cpu.reg(ESP)) & 0xfffe]).toEqual([0x7777, [], error]);
    expect(b.r16(0x6800)).toBe(FREE_SEL); // linked to the new task, not the old
    expect(b.r32(NEW + 0x20)).toBe(b.r32(NEW + 0x4c) === KCODE16 ? 0x10000 : 0x7000);
  });
  it('an exception through a task gate pushes its error code in the new task and links back', () => {
    const b = twoTasks();
    b.descriptor(IDT + 13 * 8, gate(FREE_SEL, 0, 0x85));
    b.exec(() => b.cpu.raise(13, 0x1238));
    expect([b.cpu.eip, b.r32(NEW_STACK - 4), b.cpu.reg(ESP), b.r16(NEW), b.r32(TSS + 0x20)]).toEqual([
      0x7000,
      0x1238,
      NEW_STACK - 4,
      TR_SEL,
      0x5000,
    ]);
    expect(b.cpu.eflags() & FLAG_NT).toBe(FLAG_NT);
  });
  it('INT n through a task gate returns behind the instruction', () => {
    const b = twoTasks();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_TF;
    b.descriptor(IDT + 0x30 * 8, gate(FREE_SEL, 0, 0x85));
    softInterrupt(b.cpu, 0x30, 0x5002, 0);
    expect([b.cpu.eip, b.r32(TSS + 0x20), b.r32(TSS + 0x24)]).toEqual([0x7000, 0x5002, 2 | FLAG_TF]);
  });
  it('IRET with a bad link is #TS', () => {
    const b = twoTasks();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_NT;
    b.w16(TSS, FREE_SEL); // available, not busy
    expect(b.try(() => iret(b.cpu, 4, 0))).toEqual({ vector: 10, error: FREE_SEL });
    b.w16(TSS, 0x200);
    expect(b.try(() => iret(b.cpu, 4, 0))).toEqual({ vector: 10, error: 0x200 });
  });
});
