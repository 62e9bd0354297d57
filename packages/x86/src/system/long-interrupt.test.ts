import { describe, expect, it } from 'vitest';
import {
  CONFORMING,
  FREE_SEL,
  GDT,
  HIGH,
  IST1,
  KCODE,
  KCODE32,
  KDATA,
  type LongBench,
  RSP0,
  TR_SEL,
  TSS,
  UCODE,
  UCODE32,
  UDATA,
  USTACK,
  longBench,
} from '../../test/long-bench.ts';
import { descriptor } from '../../test/fake-host.ts';
import {
  CS,
  DS,
  ENV,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FS,
  GS,
  HF_CS32,
  HF_CS64,
  HF_LMA,
  HF_SS32,
  SS,
} from '../state.ts';
import { computeHflags } from './hflags.ts';
import { iret } from './iret.ts';
import { softInterrupt } from './soft-interrupt.ts';

const INT = 0x8e;
const TRAP = 0x8f;
const HANDLER = HIGH + 0x8000;

function eflags(b: LongBench, set: number): void {
  b.cpu.ei32[ENV.EFLAGS >> 2] = set | 2;
  b.cpu.updateHflags();
}
const where = (b: LongBench): number[] => [b.cpu.rip, b.cpu.segSelector(CS), b.cpu.segSelector(SS), b.cpu.cpl];

describe('gates of long mode', () => {
  it('same level: SS:RSP is pushed too, on a stack aligned to 16 bytes', () => {
    for (const [type, left] of [
      [INT, 0],
      [TRAP, FLAG_IF],
    ] as const) {
      const b = longBench();
      b.gate(0x30, KCODE, HANDLER, type);
      b.rsp = RSP0 - 0x103;
      eflags(b, FLAG_IF | FLAG_TF);
      softInterrupt(b.cpu, 0x30, 0x80005002, 0);
      expect(where(b)).toEqual([HANDLER, KCODE, KDATA, 0]);
      expect(b.rsp).toBe(RSP0 - 0x110 - 40);
      expect(b.stack(5)).toEqual([HIGH + 0x5002, KCODE, 2 | FLAG_IF | FLAG_TF, RSP0 - 0x103, KDATA]);
      expect(b.cpu.eflags() & (FLAG_IF | FLAG_TF)).toBe(left);
      expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
    }
  });
  it('user to kernel and back: RSP0, null SS, every register of the frame', () => {
    const b = longBench();
    b.gate(0x80, KCODE, HANDLER, 0xee);
    b.toUser();
    b.cpu.setSegBase(FS, 0x1234, 0x7fff);
    eflags(b, FLAG_IF | FLAG_AC);
    softInterrupt(b.cpu, 0x80, 0x5002, 0);
    expect(where(b)).toEqual([HANDLER, KCODE, 0, 0]);
    expect(b.rsp).toBe(RSP0 - 40);
    expect(b.stack(5)).toEqual([0x5002, UCODE, 2 | FLAG_IF | FLAG_AC, USTACK, UDATA]);
    iret(b.cpu, 8, 0);
    expect(where(b)).toEqual([0x5002, UCODE, UDATA, 3]);
    expect([b.rsp, b.cpu.eflags(), b.cpu.segBase(FS)]).toEqual([USTACK, 2 | FLAG_IF | FLAG_AC, 0x7fff00001234]);
    expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
  });
  it('compatibility code to kernel and back', () => {
    const b = longBench();
    b.gate(0x80, KCODE, HANDLER, 0xee);
    b.toUser(UCODE32);
    b.cpu.setReg64(4, USTACK, 0xdead);
    expect(b.cpu.hflags & (HF_CS64 | HF_LMA | HF_CS32 | HF_SS32)).toBe(HF_LMA | HF_CS32 | HF_SS32);
    softInterrupt(b.cpu, 0x80, 0x5002, 0);
    expect(b.stack(5)).toEqual([0x5002, UCODE32, 2, USTACK, UDATA]);
    expect(b.cpu.hflags & (HF_CS64 | HF_LMA | HF_CS32 | HF_SS32)).toBe(HF_LMA | HF_CS64);
    iret(b.cpu, 8, 0);
    expect(where(b)).toEqual([0x5002, UCODE32, UDATA, 3]);
    expect([b.rsp, b.cpu.env32(ENV.CS_BASE), b.cpu.hflags]).toEqual([USTACK, 0, computeHflags(b.cpu)]);
  });
  it('IST stacks, at either level, and an error code of 64 bits', () => {
    const b = longBench();
    b.gate(13, KCODE, HANDLER, INT, 1);
    b.exec(() => b.cpu.raise(13, 0x1234));
    expect([b.rsp, ...b.stack(6)]).toEqual([IST1 - 48, 0x1234, HIGH + 0x5000, KCODE, 2 | FLAG_RF, RSP0, KDATA]);
    b.toUser();
    b.exec(() => b.cpu.raise(13, 0x1234));
    expect([b.rsp, b.cpu.segSelector(SS), b.stack(5)[4]]).toEqual([IST1 - 48, 0, USTACK]);
  });
  it('a frame that spans two pages is the same', () => {
    const b = longBench();
    b.gate(13, KCODE, HANDLER, INT);
    b.w32(0x12000 + 8, 0); // nothing at 2 MiB; the frame lies in 9000H - 20H ..
    b.rsp = HIGH + 0x9010;
    b.exec(() => b.cpu.raise(13, 5));
    expect(b.stack(6)).toEqual([5, HIGH + 0x5000, KCODE, 2 | FLAG_RF, HIGH + 0x9010, KDATA]);
  });
  it('pushes what RSP holds when it cannot be used, and faults', () => {
    const b = longBench();
    b.gate(13, KCODE, HANDLER, INT);
    b.cpu.setReg64(4, 0x1000, 0x8000);
    expect(b.try(() => softInterrupt(b.cpu, 13, 0x80005002, 0))).toEqual({ vector: 12, error: 0 });
    b.gate(0x30, KCODE, HANDLER, INT, 1);
    softInterrupt(b.cpu, 0x30, 0x80005002, 0);
    expect(b.r32(IST1 - HIGH - 16)).toBe(0x1000);
    expect(b.r32(IST1 - HIGH - 12)).toBe(0x8000);
  });
  it('page fault: CR2 is 64 bits', () => {
    const b = longBench();
    b.gate(14, KCODE, HANDLER, INT);
    b.exec(() => b.cpu.pageFault(-0x123456789abc, 2));
    expect([b.cpu.cr(2), b.cpu.crHigh(2) | 0]).toEqual([-0x123456789abc >>> 0, Math.floor(-0x123456789abc / 2 ** 32)]);
  });
  it('an INT at the end of a code window returns into the next one', () => {
    const b = longBench();
    b.gate(0x30, KCODE, HANDLER, INT);
    b.goto(-(2 ** 32) - 2);
    softInterrupt(b.cpu, 0x30, 0, 0);
    expect(b.stack(1)).toEqual([-(2 ** 32)]);
  });
  it('conforming handlers stay at the level', () => {
    const b = longBench();
    b.gate(0x30, CONFORMING, 0x8000, 0xee);
    b.toUser();
    softInterrupt(b.cpu, 0x30, 0x5002, 0);
    expect([...where(b), b.rsp]).toEqual([0x8000, CONFORMING | 3, UDATA, 3, USTACK - 40]);
  });
  it('a fault without handlers is a triple fault', () => {
    const b = longBench();
    b.exec(() => b.cpu.raise(13, 0));
    expect(b.host.shutdowns).toEqual(['triple fault']);
  });

  const rows: [string, (b: LongBench) => void, number, number][] = [
    ['beyond the IDT limit', (b) => b.cpu.setEnv32(ENV.IDT_LIMIT, 0x30 * 16 + 14), 13, 0x182],
    ['16-bit gate', (b) => b.gate(0x30, KCODE, HANDLER, 0x86), 13, 0x182],
    ['task gate', (b) => b.gate(0x30, TR_SEL, 0, 0x85), 13, 0x182],
    ['gate DPL', (b) => b.toUser(), 13, 0x182],
    ['gate not present', (b) => b.gate(0x30, KCODE, HANDLER, 0x0e), 11, 0x182],
    ['null code selector', (b) => b.gate(0x30, 0, HANDLER, INT), 13, 0],
    ['code beyond the GDT', (b) => b.gate(0x30, 0x100, HANDLER, INT), 13, 0x100],
    ['32-bit code segment', (b) => b.gate(0x30, KCODE32, HANDLER, INT), 13, KCODE32],
    ['data segment', (b) => b.gate(0x30, KDATA, HANDLER, INT), 13, KDATA],
    ['less privileged code', (b) => b.gate(0x30, UCODE, HANDLER, INT), 13, UCODE & ~3],
    [
      'L and D',
      (b) => {
        b.gate(0x30, FREE_SEL, HANDLER, INT);
        b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, 0x9a, 0xe));
      },
      13,
      FREE_SEL,
    ],
    [
      'code not present',
      (b) => {
        b.gate(0x30, FREE_SEL, HANDLER, INT);
        b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, 0x1a, 0xa));
      },
      11,
      FREE_SEL,
    ],
    ['offset not canonical', (b) => b.gate(0x30, KCODE, 2 ** 47, INT), 13, 0],
    [
      'TSS too short',
      (b) => {
        b.gate(0x30, KCODE, HANDLER, INT, 7);
        b.cpu.setEnv32(ENV.TR + 16, 0x5a);
      },
      10,
      TR_SEL,
    ],
    [
      'stack of the TSS not canonical',
      (b) => {
        b.gate(0x30, KCODE, HANDLER, INT, 1);
        b.w64(TSS + 0x24, 2 ** 47);
      },
      12,
      0,
    ],
  ];
  it.each(rows)('%s faults and changes nothing', (_, prepare, vector, error) => {
    const b = longBench();
    b.gate(0x30, KCODE, HANDLER, INT);
    prepare(b);
    const before = [...where(b), b.rsp, b.cpu.eflags(), b.cpu.hflags];
    expect(b.try(() => softInterrupt(b.cpu, 0x30, b.cpu.eip + 2, 0))).toEqual({ vector, error });
    expect([...where(b), b.rsp, b.cpu.eflags(), b.cpu.hflags]).toEqual(before);
  });
});

describe('IRET in long mode', () => {
  const frame = (b: LongBench, rip: number, cs: number, flags: number, rsp: number, ss: number): void => {
    b.rsp = HIGH + 0x8800;
    [rip, cs, flags, rsp, ss].forEach((v, i) => b.w64(0x8800 + 8 * i, v));
  };
  it('pops SS:RSP at the same level too, where SS may be null', () => {
    const b = longBench();
    frame(b, HIGH + 0x6000, KCODE, 2 | FLAG_IF, HIGH + 0x7777, 0);
    iret(b.cpu, 8, 0);
    expect([...where(b), b.rsp, b.cpu.eflags()]).toEqual([HIGH + 0x6000, KCODE, 0, 0, HIGH + 0x7777, 2 | FLAG_IF]);
  });
  it('with 32-bit operands pops dwords', () => {
    const b = longBench();
    b.rsp = HIGH + 0x8800;
    [0x6000, KCODE32, 2, 0x7000, KDATA].forEach((v, i) => b.w32(0x8800 + 4 * i, v));
    iret(b.cpu, 4, 0);
    expect([...where(b), b.rsp]).toEqual([0x6000, KCODE32, KDATA, 0, 0x7000]);
    expect(b.cpu.code64).toBe(false);
  });
  it('from compatibility code pops SS:ESP only to an outer level', () => {
    const b = longBench();
    b.level(KCODE32, KDATA, 0);
    b.rsp = 0x8800;
    [0x6000, KCODE, 2, 0x9999, 0x9999].forEach((v, i) => b.w32(0x8800 + 4 * i, v));
    iret(b.cpu, 4, 0);
    expect([...where(b), b.rsp, b.cpu.code64]).toEqual([0x6000, KCODE, KDATA, 0, 0x880c, true]);
  });
  it('nulls data segments of the inner level, not the base of a null one', () => {
    const b = longBench();
    b.cpu.setSeg(GS, 0, 0, 0, 0);
    b.cpu.setSegBase(GS, 0x5678, 0x7ffe);
    frame(b, 0x6000, UCODE, 2, USTACK, UDATA);
    iret(b.cpu, 8, 0);
    expect([b.cpu.segSelector(DS), b.cpu.segFlags(DS), b.cpu.segBase(GS)]).toEqual([0, 0, 0x7ffe00005678]);
  });
  it('unblocks NMIs', () => {
    const b = longBench();
    b.gate(2, KCODE, HANDLER, INT);
    b.cpu.interrupt(2);
    expect(b.cpu.canNmi()).toBe(false);
    iret(b.cpu, 8, 0);
    expect([b.cpu.canNmi(), b.cpu.rip]).toEqual([true, HIGH + 0x5000]);
  });
  const rows: [string, (b: LongBench) => void, number, number][] = [
    ['NT', (b) => eflags(b, FLAG_NT), 13, 0],
    ['RIP not canonical', (b) => frame(b, 2 ** 47, KCODE, 2, RSP0, 0), 13, 0],
    ['EIP beyond 4 GiB', (b) => frame(b, 2 ** 32, UCODE32, 2, USTACK, UDATA), 13, 0],
    ['null SS for CPL 3', (b) => frame(b, 0x6000, UCODE, 2, USTACK, 3), 13, 0],
    ['null SS for 32-bit code', (b) => frame(b, 0x6000, KCODE32, 2, RSP0, 0), 13, 0],
    ['null SS of another RPL', (b) => frame(b, HIGH, KCODE, 2, RSP0, 1), 13, 0],
    ['null CS', (b) => frame(b, HIGH, 0, 2, RSP0, 0), 13, 0],
    ['SS of another level', (b) => frame(b, 0x6000, UCODE, 2, USTACK, KDATA | 3), 13, KDATA],
    ['RSP not canonical', (b) => b.cpu.setReg64(4, 0, 0x8000), 12, 0],
  ];
  it.each(rows)('%s', (_, prepare, vector, error) => {
    const b = longBench();
    frame(b, HIGH + 0x6000, KCODE, 2, RSP0, KDATA);
    prepare(b);
    const before = [...where(b), b.cpu.reg(4), b.cpu.eflags()];
    expect(b.try(() => iret(b.cpu, 8, 0))).toEqual({ vector, error });
    expect([...where(b), b.cpu.reg(4), b.cpu.eflags()]).toEqual(before);
  });
});
