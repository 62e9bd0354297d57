import { describe, expect, it } from 'vitest';
import {
  CONFORMING,
  FREE_SEL,
  GATE_SEL,
  GDT,
  HIGH,
  KCODE,
  KCODE32,
  KDATA,
  RSP0,
  TR_SEL,
  UCODE,
  UCODE32,
  UDATA,
  USTACK,
  gate64,
  longBench,
} from '../../test/long-bench.ts';
import type { LongBench } from '../../test/long-bench.ts';
import { descriptor } from '../../test/fake-host.ts';
import { CS, DS, ENV, SS } from '../state.ts';
import { farCall, farJmp } from './far-transfer.ts';
import { computeHflags } from './hflags.ts';
import { farRetLong } from './long-return.ts';

const where = (b: LongBench): number[] => [b.cpu.rip, b.cpu.segSelector(CS), b.cpu.segSelector(SS), b.cpu.cpl];
const HANDLER = HIGH + 0x8000;

function callGate(b: LongBench, selector: number, offset: number, access: number): void {
  gate64((n, v) => b.w32(GDT + GATE_SEL + n, v), selector, offset, access);
}
/** Far call with a 64-bit offset, as the translator passes it. */
function call(b: LongBench, selector: number, offset: number, next = b.cpu.eip + 10): void {
  b.cpu.setEnv32(ENV.SCRATCH, Math.floor(offset / 2 ** 32));
  farCall(b.cpu, selector, offset | 0, 8, next);
}

describe('far transfers in long mode', () => {
  it('CALL and RET between 64-bit segments', () => {
    const b = longBench();
    call(b, KCODE, HANDLER);
    expect([...where(b), b.rsp, ...b.stack(2)]).toEqual([HANDLER, KCODE, KDATA, 0, RSP0 - 16, HIGH + 0x500a, KCODE]);
    farRetLong(b.cpu, 8, 0x20);
    expect([...where(b), b.rsp]).toEqual([HIGH + 0x500a, KCODE, KDATA, 0, RSP0 + 0x20]);
    expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
  });
  it('smaller operands push and pop less', () => {
    const b = longBench();
    b.goto(0x5000);
    farCall(b.cpu, KCODE32, 0x6000, 4, 0x5007);
    expect([...where(b), b.rsp, b.cpu.code64]).toEqual([0x6000, KCODE32, KDATA, 0, RSP0 - 8, false]);
    expect([b.r32(RSP0 - HIGH - 8), b.r32(RSP0 - HIGH - 4)]).toEqual([0x5007, KCODE]);
    b.level(KCODE, KDATA, 0);
    farRetLong(b.cpu, 4, 0);
    expect([...where(b), b.rsp]).toEqual([0x5007, KCODE, KDATA, 0, RSP0]);
    b.goto(0x5000);
    farCall(b.cpu, CONFORMING, 0x16000, 2, 0x5005);
    expect([b.cpu.rip, b.rsp, b.r16(RSP0 - HIGH - 4)]).toEqual([0x6000, RSP0 - 4, 0x5005]);
  });
  it('RET to an outer level pops RSP and SS, and nulls inner data segments', () => {
    const b = longBench();
    b.rsp = HIGH + 0x8800;
    [0x6000, UCODE, 0x1122, USTACK, UDATA].forEach((v, i) => b.w64(0x8800 + 8 * i, v));
    farRetLong(b.cpu, 8, 8);
    expect([...where(b), b.rsp, b.cpu.segSelector(DS)]).toEqual([0x6000, UCODE, UDATA, 3, USTACK + 8, 0]);
    expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
  });
  it('call gate to the same level', () => {
    const b = longBench();
    callGate(b, KCODE, HANDLER, 0x8c);
    call(b, GATE_SEL, 0);
    expect([...where(b), b.rsp, ...b.stack(2)]).toEqual([HANDLER, KCODE, KDATA, 0, RSP0 - 16, HIGH + 0x500a, KCODE]);
  });
  it('call gate from programs switches stacks; SS becomes null', () => {
    for (const code of [UCODE, UCODE32]) {
      const b = longBench();
      callGate(b, KCODE, HANDLER, 0xec);
      b.toUser(code);
      farCall(b.cpu, GATE_SEL | 3, 0, 4, 0x5007);
      expect([...where(b), b.rsp, ...b.stack(4)]).toEqual([
        HANDLER,
        KCODE,
        0,
        0,
        RSP0 - 32,
        0x5007,
        code,
        USTACK,
        UDATA,
      ]);
      farRetLong(b.cpu, 8, 0);
      expect([...where(b), b.rsp]).toEqual([0x5007, code, UDATA, 3, USTACK]);
      expect(b.cpu.hflags).toBe(computeHflags(b.cpu));
    }
  });
  const rows: [string, (b: LongBench) => void, number, number][] = [
    ['null selector', (b) => call(b, 3, 0), 13, 0],
    ['beyond the GDT', (b) => call(b, 0x100, 0), 13, 0x100],
    ['data segment', (b) => call(b, KDATA, 0), 13, KDATA],
    ['other privilege', (b) => call(b, UCODE, 0), 13, UCODE & ~3],
    ['TSS', (b) => call(b, TR_SEL, 0), 13, TR_SEL],
    ['offset not canonical', (b) => call(b, KCODE, 2 ** 47), 13, 0],
    ['offset of 32-bit code beyond 4 GiB', (b) => call(b, KCODE32, 2 ** 32), 13, 0],
    ['16-bit call gate', (b) => (callGate(b, KCODE, HANDLER, 0x84), call(b, GATE_SEL, 0)), 13, GATE_SEL],
    ['task gate', (b) => (callGate(b, TR_SEL, 0, 0x85), call(b, GATE_SEL, 0)), 13, GATE_SEL],
    ['gate not present', (b) => (callGate(b, KCODE, HANDLER, 0x0c), call(b, GATE_SEL, 0)), 11, GATE_SEL],
    [
      'gate with a type above',
      (b) => (callGate(b, KCODE, 0, 0x8c), b.w32(GDT + GATE_SEL + 12, 0x100), call(b, GATE_SEL, 0)),
      13,
      GATE_SEL,
    ],
    [
      'gate cut by the limit',
      (b) => (callGate(b, KCODE, 0, 0x8c), b.cpu.setEnv32(ENV.GDT_LIMIT, GATE_SEL + 14), call(b, GATE_SEL, 0)),
      13,
      GATE_SEL,
    ],
    ['gate to 32-bit code', (b) => (callGate(b, KCODE32, 0, 0x8c), call(b, GATE_SEL, 0)), 13, KCODE32],
    [
      'gate to an offset that is not canonical',
      (b) => (callGate(b, KCODE, 2 ** 47, 0x8c), call(b, GATE_SEL, 0)),
      13,
      0,
    ],
    ['gate with null code', (b) => (callGate(b, 0, HANDLER, 0x8c), call(b, GATE_SEL, 0)), 13, 0],
    [
      'JMP through a gate to another level',
      (b) => (callGate(b, KCODE, HANDLER, 0xec), b.toUser(), void farJmp(b.cpu, GATE_SEL, 0, 4, 0x5007)),
      13,
      KCODE,
    ],
    ['stack that is not canonical', (b) => (b.cpu.setReg64(4, 0x1000, 0x8000), call(b, KCODE, HANDLER)), 12, 0],
    [
      'L and D',
      (b) => (b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, 0x9a, 0xe)), call(b, FREE_SEL, HANDLER)),
      13,
      FREE_SEL,
    ],
  ];
  it.each(rows)('%s', (_, run, vector, error) => {
    const b = longBench();
    expect(b.try(() => run(b))).toEqual({ vector, error });
  });
});
