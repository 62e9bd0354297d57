import { describe, expect, it } from 'vitest';
import {
  type Bench,
  FREE_SEL,
  GDT,
  IDT,
  KCODE,
  KSTACK,
  descriptor,
  gate,
  protectedBench,
  toUser,
} from '../../test/fake-host.ts';
import { CS, ENV, ESP, FLAG_TF, HF_INHIBIT_IRQ, SS } from '../state.ts';
import { SHADOW_MOV_SS } from './load-seg.ts';
import { singleStep } from './debug-registers.ts';

const HANDLER = (vector: number): number => 0x8000 + vector * 16;
/** Gates of the given vectors; all others are absent (not present: a second fault, #NP). */
function withHandlers(...vectors: number[]): Bench {
  const b = protectedBench();
  for (const v of vectors) b.descriptor(IDT + v * 8, gate(KCODE, HANDLER(v), 0x8e));
  return b;
}
/** An absent gate makes the delivery of `first` raise #NP; a gate to a missing page is below. */
function deliver(b: Bench, vector: number, error = -1): number {
  b.exec(() => (vector === 14 ? b.cpu.pageFault(0x1234, error) : b.cpu.raise(vector, error)));
  return b.cpu.eip;
}

describe('nested exceptions', () => {
  // SDM Vol. 3A Table 6-5: rows first exception, second here is always contributory (#GP of an invalid gate).
  const rows: [string, number, number, number][] = [
    ['benign then contributory: handled serially', 6, -1, 13],
    ['#DB then contributory: serially', 1, -1, 13],
    ['#DE then contributory: double fault', 0, -1, 8],
    ['#TS then contributory: double fault', 10, 0, 8],
    ['#NP then contributory: double fault', 11, 0, 8],
    ['#SS then contributory: double fault', 12, 0, 8],
    ['#PF then contributory: double fault', 14, 0, 8],
    ['#AC then contributory: serially', 17, 0, 13],
  ];
  it.each(rows)('%s', (_, vector, error, reached) => {
    const b = withHandlers(13, 8);
    // Type 0 gate: #GP(vector * 8 + 2 + EXT).
    b.descriptor(IDT + vector * 8, [0, 0]);
    expect(deliver(b, vector, error)).toBe(HANDLER(reached));
    expect(b.r32(b.cpu.reg(ESP))).toBe(reached === 8 ? 0 : vector * 8 + 3);
  });
  it('#GP then #GP is a double fault, whose fault is a shutdown', () => {
    const b = protectedBench();
    deliver(b, 13, 0);
    expect(b.host.shutdowns).toEqual(['triple fault']);
  });
  /** Identity map of 1M without page 20H, into which the IDT reaches: vectors from `absent` on are unreadable. */
  function pagedIdt(absent: number): Bench {
    const b = protectedBench();
    b.w32(0x10000, 0x11003);
    for (let i = 0; i < 256; i++) b.w32(0x11000 + 4 * i, (i << 12) | (i === 0x20 ? 0 : 3));
    b.cpu.setCrRaw(3, 0x10000);
    b.cpu.setCrRaw(0, 0x80000011);
    const idt = 0x20000 - absent * 8;
    b.cpu.setEnv32(ENV.IDT_BASE, idt);
    b.descriptor(idt + 8 * 8, gate(KCODE, HANDLER(8), 0x8e));
    return b;
  }
  it('#PF during the delivery of #PF is a double fault; CR2 is the second address', () => {
    const b = pagedIdt(14);
    expect(deliver(b, 14, 0)).toBe(HANDLER(8));
    expect(b.cpu.cr(2)).toBe(0x20000);
  });
  it('#PF during the delivery of #GP is handled serially', () => {
    const b = pagedIdt(13);
    b.w32(0x11000 + 4 * 0x20, 0); // #GP's gate is absent, and #PF's with it: #PF then #PF
    expect(deliver(b, 13, 0)).toBe(HANDLER(8));
    const c = pagedIdt(13);
    c.cpu.setEnv32(ENV.IDT_BASE, 0x21000 - 14 * 8); // #GP's in the absent page, #PF's behind it
    c.descriptor(0x21000, gate(KCODE, HANDLER(14), 0x8e));
    expect(deliver(c, 13, 0)).toBe(HANDLER(14));
    expect(c.cpu.cr(2)).toBe(0x20ff8);
  });
  it('an external interrupt is benign', () => {
    const b = withHandlers(13, 8);
    b.descriptor(IDT + 0x30 * 8, [0, 0]);
    b.cpu.interrupt(0x30);
    expect([b.cpu.eip, b.r32(b.cpu.reg(ESP))]).toEqual([HANDLER(13), 0x30 * 8 + 3]);
  });
  it('a bad stack for the handler of #SS ends in shutdown', () => {
    const b = withHandlers(12, 8, 13);
    b.cpu.setSeg(SS, 0x10, 0, 3, 0x409300);
    b.cpu.setReg(ESP, 2);
    deliver(b, 12, 0);
    expect(b.host.shutdowns).toEqual(['triple fault']);
  });
});

describe('page fault', () => {
  it('sets CR2 and pushes the error code', () => {
    const b = withHandlers(14);
    toUser(b);
    expect(deliver(b, 14, 6)).toBe(HANDLER(14));
    expect([b.cpu.cr(2), b.r32(b.cpu.reg(ESP)), b.cpu.cpl]).toEqual([0x1234, 6, 0]);
  });
});

describe('debug traps', () => {
  it('single step sets DR6.BS, pushes the next EIP and clears TF', () => {
    const b = withHandlers(1);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_TF;
    b.cpu.updateHflags();
    b.cpu.eip = 0x5003;
    singleStep(b.cpu);
    expect([b.cpu.eip, b.r32(b.cpu.reg(ESP)), b.cpu.dr(6) & 0xe00f, b.cpu.eflags() & FLAG_TF]).toEqual([
      HANDLER(1),
      0x5003,
      0x4000,
      0,
    ]);
    expect(b.r32(b.cpu.reg(ESP) + 8) & FLAG_TF).toBe(FLAG_TF);
  });
  it('waits behind MOV SS', () => {
    const b = withHandlers(1);
    b.cpu.hflags |= HF_INHIBIT_IRQ;
    b.cpu.setEnv32(ENV.INHIBIT_IRQ, SHADOW_MOV_SS);
    singleStep(b.cpu);
    expect(b.cpu.eip).toBe(0x5000);
  });
  it('delivers noted watchpoint hits, and a fault drops them', () => {
    const b = withHandlers(1, 13);
    b.cpu.setDrRaw(0, 0x7000);
    b.cpu.setDrRaw(7, 0x000d0401);
    b.cpu.afterLoad();
    expect(b.cpu.watchpoints).toEqual([{ index: 0, address: 0x7000, length: 4, reads: false }]);
    expect([
      b.cpu.hitWatchpoint(0x7003, 1, false),
      b.cpu.hitWatchpoint(0x7004, 1, true),
      b.cpu.hitWatchpoint(0x6fff, 2, true),
    ]).toEqual([false, false, true]);
    b.cpu.deliverPendingTrap();
    expect([b.cpu.eip, b.cpu.dr(6) & 15]).toEqual([HANDLER(1), 1]);
    b.cpu.hitWatchpoint(0x7000, 4, true);
    deliver(b, 13, 0);
    b.cpu.deliverPendingTrap();
    expect(b.cpu.eip).toBe(HANDLER(13));
  });
});

describe('trace', () => {
  it('reports each delivery', () => {
    const b = withHandlers(13);
    const lines: string[] = [];
    Object.assign(b.host, { trace: (_: string, text: string) => lines.push(text) });
    deliver(b, 13, 0x18);
    expect(lines).toEqual([
      `v=0d e=0018 i=0 cpl=0 IP=0008:00005000 pc=00005000 SP=0010:0000${KSTACK.toString(16)} EAX=00000000`,
    ]);
  });
});

describe('not-present code segment', () => {
  it('faults with the selector in the error code', () => {
    const b = withHandlers(11);
    b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, 0x1a, 0xc));
    b.descriptor(IDT + 6 * 8, gate(FREE_SEL, 0, 0x8e));
    expect(deliver(b, 6)).toBe(HANDLER(11));
    expect([b.r32(b.cpu.reg(ESP)), b.cpu.segSelector(CS)]).toEqual([FREE_SEL | 1, KCODE]);
  });
});
