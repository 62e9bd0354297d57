/** Five-level paging: CR4.LA57, addresses of 57 bits wherever script handles them. SDM Vol. 3A §4.5, §2.5 "CR4.LA57". */
import { describe, expect, it } from 'vitest';
import {
  HIGH,
  KCODE,
  LA57_MODEL,
  KERNEL_57,
  LONG_MODEL,
  PML4,
  PML5,
  TSS,
  UCODE,
  UDATA,
  USER_57,
  la57Bench,
  longBench,
  type LongBench,
} from '../../test/long-bench.ts';
import { Bench } from '../../test/fake-host.ts';
import { cpuidLeaf } from '../models/cpuid-leaves.ts';
import { loadX86State, saveX86State } from '../vmstate.ts';
import { EAX, ECX, EDX, ENV, ESP, EXC, FS } from '../state.ts';
import { invlpg, movToCr } from './control-registers.ts';
import { collectWatchpoints, movToDr } from './debug-registers.ts';
import { lgdt } from './descriptor-tables.ts';
import { iret } from './iret.ts';
import { wrmsr } from './msr.ts';
import { softInterrupt } from './soft-interrupt.ts';
import { openStack, pop64, push64, commitStack } from './stack.ts';
import { sysret, writeFsGsBase } from './syscall.ts';

const LA57 = 1 << 12;
const GP = { vector: EXC.GP, error: 0 };
const setMsr = (b: LongBench, msr: number, high: number): void => {
  b.cpu.setReg(ECX, msr);
  b.cpu.setReg(EAX, 0);
  b.cpu.setReg(EDX, high);
  wrmsr(b.cpu);
};
const halves = (b: LongBench, lin: number): number[] => [lin >>> 0, b.cpu.linear.high(lin) >>> 0];

describe('CR4.LA57', () => {
  it('is reserved without the feature, fixed in long mode, and free before it', () => {
    const none = new Bench({ ...LONG_MODEL });
    expect(none.try(() => movToCr(none.cpu, 4, LA57))).toEqual(GP);
    const before = new Bench({ ...LA57_MODEL });
    expect(before.try(() => movToCr(before.cpu, 4, LA57 | 0x20))).toBeNull();
    expect(before.cpu.cr(4)).toBe(LA57 | 0x20);
    expect(before.cpu.linear.wide).toBe(false);
    const four = longBench(LA57_MODEL);
    expect(four.try(() => movToCr(four.cpu, 4, four.cpu.cr(4) | LA57))).toEqual(GP);
    const five = la57Bench();
    expect(five.try(() => movToCr(five.cpu, 4, five.cpu.cr(4) & ~LA57))).toEqual(GP);
    expect(five.try(() => movToCr(five.cpu, 4, five.cpu.cr(4)))).toBeNull();
  });
  it('shows in CPUID, with 57 linear bits', () => {
    const out = new Uint32Array(4);
    const state = { apicId: 0, code64: true, apicEnabled: true, cr4: 0, xcr0: 1 };
    const leaf = (model: typeof LONG_MODEL, n: number): number[] => {
      cpuidLeaf(model, n, 0, state, out);
      return [...out];
    };
    expect([leaf(LONG_MODEL, 7)[2]! & (1 << 16), (leaf(LONG_MODEL, 0x80000008)[0]! >> 8) & 0xff]).toEqual([0, 48]);
    expect([leaf(LA57_MODEL, 7)[2]! & (1 << 16), (leaf(LA57_MODEL, 0x80000008)[0]! >> 8) & 0xff]).toEqual([
      1 << 16,
      57,
    ]);
  });
});

describe('walks of five levels', () => {
  it('find a page through its fifth index, and mark every level', () => {
    const b = la57Bench();
    const { cpu } = b;
    for (const high of [0, USER_57, KERNEL_57]) {
      expect(cpu.walk(cpu.linear.of(0x12345, high), 0, false)).toBe(true);
      expect(cpu.walkPhys).toBe(0x12345);
    }
    expect(b.r32(PML5 + 0x40 * 8) & 0x20).toBe(0x20);
    expect(cpu.debugTranslate(cpu.linear.of(0x54321, KERNEL_57))).toBe(0x54321);
    expect(cpu.debugTranslate(cpu.linear.of(0, 0x0100_0000))).toBe(-1);
  });
  it('fault for entries that are absent, reserved or not allowed', () => {
    const b = la57Bench();
    const { cpu } = b;
    const error = (low: number, high: number, access: number, user: boolean): number =>
      cpu.walk(cpu.linear.of(low, high), access, user) ? 0 : cpu.faultError;
    expect(cpu.walk(cpu.linear.of(0x1000, 0x0041_0000), 0, false)).toBe(false);
    expect(cpu.faultError).toBe(0);
    const at = PML5 + 0x40 * 8;
    b.w32(at, PML4 | 0x87); // PS is reserved
    expect(error(0x1000, USER_57, 1, false)).toBe(0b1011);
    b.w32(at, PML4 | 3);
    expect([error(0x1000, USER_57, 0, true), error(0x1000, USER_57, 0, false)]).toEqual([5, 0]);
    b.w32(at, PML4 | 5);
    expect([error(0x1000, USER_57, 1, true), error(0x1000, USER_57, 0, true)]).toEqual([7, 0]);
    b.w32(at, PML4 | 7);
    b.w32(at + 4, 0x8000_0000);
    expect([error(0x1000, USER_57, 2, true), error(0x1000, USER_57, 0, true)]).toEqual([0x15, 0]);
  });
});

describe('57-bit addresses', () => {
  it('make stacks: what is pushed at the top of an area is found again, RSP is exact', () => {
    const b = la57Bench();
    const { cpu } = b;
    b.w32(PML5 + 0x3f * 8, PML4 | 7);
    // the last page of 256 TiB, and the first of the next
    b.w32(PML4 + 511 * 8, b.r32(PML4));
    for (const [low, high] of [
      [0x8008, USER_57],
      [0x9000, KERNEL_57],
    ] as const) {
      cpu.setReg64(ESP, low, high);
      openStack(cpu);
      push64(cpu, 0x11112222, 0x33334444);
      push64(cpu, 5, 6);
      commitStack(cpu);
      expect([cpu.reg(ESP), cpu.regHigh(ESP)]).toEqual([low - 16, high]);
      openStack(cpu);
      expect([pop64(cpu), cpu.popHigh, pop64(cpu), cpu.popHigh]).toEqual([5, 6, 0x11112222, 0x33334444]);
      commitStack(cpu);
      expect([cpu.reg(ESP), cpu.regHigh(ESP)]).toEqual([low, high]);
    }
  });
  it('fault in CR2, and in the frame of an exception on a 57-bit IST stack', () => {
    const b = la57Bench();
    const { cpu } = b;
    b.gate(0x30, KCODE, HIGH + 0x8000, 0x8e, 1);
    b.w32(TSS + 0x24, 0x7000);
    b.w32(TSS + 0x28, KERNEL_57);
    cpu.setReg64(ESP, 0x6128, USER_57);
    cpu.setRip(0x5010, USER_57);
    b.host.insnEip = 0x5010;
    softInterrupt(cpu, 0x30, 0x5012, 0);
    expect([cpu.reg(ESP), cpu.regHigh(ESP)]).toEqual([0x7000 - 40, KERNEL_57]);
    const word = (n: number): number[] => [b.r32(0x7000 - 40 + 8 * n), b.r32(0x7000 - 36 + 8 * n)];
    expect([word(0), word(3)]).toEqual([
      [0x5012, USER_57],
      [0x6128, USER_57],
    ]);
    iret(cpu, 8, 0);
    expect([cpu.eip, cpu.env32(ENV.CS_BASE), cpu.reg(ESP), cpu.regHigh(ESP)]).toEqual([
      0x5012,
      USER_57,
      0x6128,
      USER_57,
    ]);
    expect(b.try(() => cpu.read8(cpu.linear.of(0x123, 0x00aa_bbbb)))).toMatchObject({ vector: EXC.PF });
    expect([cpu.cr(2), cpu.crHigh(2)]).toEqual([0x123, 0x00aa_bbbb]);
  });
  it('are what RIP may be, by the paging; what bases may be, by the processor', () => {
    const five = la57Bench();
    const four = longBench(LA57_MODEL);
    const plain = longBench();
    const edge = 0x0080_0000;
    const base = (b: LongBench, high: number): unknown[] => [
      b.try(() => setMsr(b, 0xc0000082, high)),
      b.try(() => lgdt(b.cpu, 0xff, 0, high)),
      b.try(() => writeFsGsBase(b.cpu, FS, 0, high)),
    ];
    for (const b of [five, four, plain]) b.cpu.setCrRaw(4, b.cpu.cr(4) | (1 << 16));
    expect(base(five, edge)).toEqual([null, null, null]);
    expect(base(four, edge)).toEqual([null, null, null]);
    expect(base(plain, edge)).toEqual([GP, GP, GP]);
    expect(base(five, 0x0100_0000)).toEqual([GP, GP, GP]);
    const ret = (b: LongBench, high: number): unknown => {
      b.cpu.setReg64(ECX, 0x5000, high);
      return b.try(() => sysret(b.cpu, 8));
    };
    expect([ret(four, edge), ret(plain, edge)]).toEqual([GP, GP]);
    expect(ret(five, 0x0100_0000)).toEqual(GP);
    expect(ret(five, edge)).toBeNull();
    expect(halves(five, five.cpu.rip)).toEqual([0x5000, edge]);
  });
  it('with four levels a base beyond them faults where it is used', () => {
    const b = longBench(LA57_MODEL);
    lgdt(b.cpu, 0xff, 0x1000, USER_57);
    expect(b.try(() => b.cpu.readSys32(b.cpu.envNumber(ENV.GDT_BASE)))).toEqual(GP);
    invlpg(b.cpu, 0, USER_57);
    expect(b.host.flushes).toEqual([]);
  });
  it('are watched by debug registers, whatever else is addressed', () => {
    const b = la57Bench();
    const { cpu } = b;
    movToDr(cpu, 0, 0x8008, KERNEL_57);
    movToDr(cpu, 7, 0x000d_0401);
    collectWatchpoints(cpu);
    for (let k = 0; k < 4000; k++) cpu.linear.of(0, k << 12);
    const [watch] = cpu.watchpoints;
    expect(halves(b, watch!.address)).toEqual([0x8008, KERNEL_57]);
    expect(cpu.hitWatchpoint(cpu.linear.of(0x8009, KERNEL_57), 1, true)).toBe(true);
    expect(cpu.hitWatchpoint(cpu.linear.of(0x8009, USER_57), 1, true)).toBe(false);
  });
  it('are saved and loaded', () => {
    const b = la57Bench();
    b.level(UCODE, UDATA, 3);
    b.cpu.setRip(0x5000, USER_57);
    const state = saveX86State(b.cpu);
    const again = longBench(LA57_MODEL);
    loadX86State(again.cpu, state);
    expect(again.cpu.linear.wide).toBe(true);
    expect(halves(again, again.cpu.rip)).toEqual([0x5000, USER_57]);
    expect(() => loadX86State(longBench().cpu, state)).toThrow('five-level paging');
  });
});
