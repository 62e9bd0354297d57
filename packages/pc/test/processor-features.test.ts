/** What the processor has of the board: CR8, the local APIC's x2APIC mode, its TSC deadline, random numbers. By guests' code, and by the helpers that run it. */
import { bindHelpers, EAX, ECX, EDX, ENV, helperIndex, HF_CS64, HF_LMA } from '@emkit/x86';
import { describe, expect, it } from 'vitest';
import { createPc } from '../src/index.ts';
import type { Pc, PcExit, PcOptions } from '../src/index.ts';

const MIB = 2 ** 20;
const BASE = 0x10_0000;
const CODE = BASE + 32;
const GDT = BASE + 0x400;
const IDT = BASE + 0x800;
const SIZE = 0x1000;

const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const movEcx = (n: number): number[] => [0xb9, ...u32(n)];
const wrmsr = (msr: number, low: number, high = 0): number[] => [
  ...movEcx(msr),
  0xb8,
  ...u32(low),
  0xba,
  ...u32(high),
  0x0f,
  0x30,
];
const rdmsr = (msr: number): number[] => [...movEcx(msr), 0x0f, 0x32];
/** mov dx, 0x501; out dx, al: exit code 2 * AL + 1 */
const LEAVE = [0x66, 0xba, 0x01, 0x05, 0xee];
const leaveWith = (n: number): number[] => [0xb0, n, ...LEAVE];
/** Skips `code` unless ZF is clear. */
const ifNotZero = (code: readonly number[]): number[] => [0x74, code.length, ...code];
const ifNotCarry = (code: readonly number[]): number[] => [0x72, code.length, ...code];
/** sti; hlt; jmp back to the hlt */
const WAIT = [0xfb, 0xf4, 0xeb, 0xfd];

/** A multiboot kernel with a flat GDT, and interrupt handlers of its own behind the start. */
function kernel(start: readonly number[], handlers: ReadonlyMap<number, readonly number[]> = new Map()) {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  const words = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + SIZE, BASE + SIZE, CODE];
  words.forEach((w, n) => view.setInt32(n * 4, w | 0, true));
  [0, 0, 0xffff, 0xcf9a00, 0xffff, 0xcf9200].forEach((w, n) => view.setUint32(GDT - BASE + 4 * n, w, true));
  view.setUint16(GDT - BASE + 0x20, 23, true);
  view.setUint32(GDT - BASE + 0x22, GDT, true);
  view.setUint16(GDT - BASE + 0x30, 0x7ff, true);
  view.setUint32(GDT - BASE + 0x32, IDT, true);
  const prologue = [
    ...[0x0f, 0x01, 0x15, ...u32(GDT + 0x20)], // lgdt
    ...[0x0f, 0x01, 0x1d, ...u32(GDT + 0x30)], // lidt
    ...[0xea, ...u32(CODE + 21), 8, 0], // jmp 8:next
    ...[0x66, 0xb8, 0x10, 0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, ...u32(0x9_0000)], // DS, SS, ESP
  ];
  bytes.set([...prologue, ...start], 32);
  let at = 32 + prologue.length + start.length;
  for (const [vector, code] of handlers) {
    view.setUint32(IDT - BASE + vector * 8, (8 << 16) | ((BASE + at) & 0xffff), true);
    view.setUint32(IDT - BASE + vector * 8 + 4, ((BASE + at) & 0xffff0000) | 0x8e00, true);
    bytes.set(code, at);
    at += code.length;
  }
  expect(at).toBeLessThan(GDT - BASE);
  return { name: 'guest', bytes };
}

const options = (more: Partial<PcOptions>): PcOptions => ({
  memorySize: 16 * MIB,
  devices: [
    {
      driver: 'isa-debug-exit',
      properties: new Map([['iobase', '0x501']]),
      typed: '-device isa-debug-exit,iobase=0x501',
    },
  ],
  noReboot: true,
  cpu: 'max,+tsc-deadline',
  ...more,
});

/** The byte that the guest left with. */
async function run(
  start: readonly number[],
  handlers?: ReadonlyMap<number, readonly number[]>,
  more: Partial<PcOptions> = {},
): Promise<number | PcExit> {
  const pc = await createPc(options({ kernel: kernel(start, handlers), ...more }));
  const exit = await pc.run();
  return exit.kind === 'debug-exit' ? exit.code >> 1 : exit;
}

const X2APIC_ON = [
  ...[...rdmsr(0x1b), 0x0d, ...u32(0xc00), 0x0f, 0x30], // IA32_APIC_BASE |= EN, EXTD
  ...wrmsr(0x80f, 0x1ff),
  ...wrmsr(0x835, 0x10700),
];

describe('x2APIC mode and TSC deadline', () => {
  it('a deadline interrupts a halted guest, which then interrupts itself', async () => {
    const start = [
      ...X2APIC_ON,
      ...wrmsr(0x832, 0x40040),
      ...[0x0f, 0x31, 0x05, ...u32(300_000), 0x83, 0xd2, 0x00], // rdtsc; add eax, n; adc edx, 0
      ...[...movEcx(0x6e0), 0x0f, 0x30],
      ...WAIT,
    ];
    const handlers = new Map([
      [
        0x40,
        [
          ...[...rdmsr(0x6e0), 0x09, 0xd0, ...ifNotZero(leaveWith(1))], // it has fired: reads 0
          ...wrmsr(0x80b, 0),
          ...wrmsr(0x83f, 0x41),
          ...WAIT,
        ],
      ],
      [0x41, leaveWith(21)],
    ]);
    expect(await run(start, handlers)).toBe(21);
    expect(await run(start, handlers, { icount: { shift: 0, sleep: false } })).toBe(21);
  });

  it('a deadline that is past interrupts at once; registers are gone from memory', async () => {
    const start = [
      ...X2APIC_ON,
      ...[0xa1, ...u32(0xfee00030), 0x40, ...ifNotZero(leaveWith(1))], // mov eax, [version]; inc eax
      ...wrmsr(0x832, 0x40040),
      ...wrmsr(0x6e0, 1),
      0xfb,
      0x90,
      0x90,
      ...leaveWith(2),
    ];
    expect(await run(start, new Map([[0x40, leaveWith(22)]]))).toBe(22);
  });

  it.each([
    ['to an undefined register', 'max', wrmsr(0x831, 0)],
    ['to a reserved bit', 'max', wrmsr(0x808, 0x100)],
    ['back to xAPIC mode', 'max', wrmsr(0x1b, 0xfee00900)],
    ['of a deadline that the model has not', 'max', wrmsr(0x6e0, 0)],
  ])('WRMSR %s is #GP', async (_, cpu, code) => {
    expect(await run([...X2APIC_ON, ...code, ...leaveWith(1)], new Map([[13, leaveWith(23)]]), { cpu })).toBe(23);
  });

  it('a model without x2APIC does not enter it', async () => {
    const handlers = new Map([[13, leaveWith(24)]]);
    expect(await run([...X2APIC_ON, ...leaveWith(1)], handlers, { cpu: 'qemu64' })).toBe(24);
  });
});

describe('RDRAND and RDSEED', () => {
  const random = (bytes: Uint8Array): void => void bytes.forEach((_, n) => (bytes[n] = n + 7));
  const READ = { rdrand: [0x0f, 0xc7, 0xf0], rdseed: [0x0f, 0xc7, 0xf8] };
  it.each(['rdrand', 'rdseed'] as const)('%s gives what the embedder gives', async (name) => {
    const code = [...READ[name], ...ifNotCarry(leaveWith(1)), ...READ[name], ...LEAVE];
    expect(await run(code, undefined, { random })).toBe(11);
  });
  it('repeats with a seed, and differs without', async () => {
    const code = [...READ.rdrand, ...LEAVE];
    const seeded = (): Promise<number | PcExit> => run(code, undefined, { random: 5 });
    expect(await seeded()).toBe(await seeded());
    const own = new Set(await Promise.all(Array.from({ length: 8 }, () => run(code))));
    expect(own.size).toBeGreaterThan(1);
  });
  it('nothing is asked for a model without them, which answers #UD', async () => {
    const never = (): never => {
      throw new Error('asked');
    };
    const handlers = new Map([[6, leaveWith(25)]]);
    expect(await run([...READ.rdrand, ...LEAVE], handlers, { cpu: 'qemu64', random: never })).toBe(25);
  });
});

it.each(['486', 'pentium3', 'max'])('the MP table says of %s what CPUID and its local APIC say', async (cpu) => {
  const pc = await createPc(options({ kernel: kernel([0xf4]), cpu, startPaused: true }));
  const { ram, cpu: processor } = pc.board;
  const view = new DataView(ram.buffer, ram.byteOffset, MIB);
  let at = 0xe0000;
  while (view.getUint32(at, true) !== 0x504d4350) at += 4; // 'PCMP'
  const entry = new DataView(ram.buffer, ram.byteOffset + at + 44, 20); // behind the header: the processor's
  expect([entry.getUint8(0), entry.getUint8(1), entry.getUint8(2)]).toEqual([
    0,
    processor.cpuidState.apicId,
    processor.host.physRead32(0xfee00030) & 0xff,
  ]);
  expect([entry.getUint32(4, true), entry.getUint32(8, true)]).toEqual([
    processor.model.signature,
    processor.features.edx1 >>> 0,
  ]);
  pc.quit();
  await pc.run();
});

describe('CR8', () => {
  async function halted(): Promise<Pc> {
    const pc = await createPc(options({ kernel: kernel([0xf4]), startPaused: true }));
    pc.board.cpu.hflags |= HF_CS64 | HF_LMA;
    return pc;
  }

  it('is the task priority of the local APIC, from both sides, and holds interrupts back', async () => {
    const pc = await halted();
    const { cpu } = pc.board;
    const helpers = bindHelpers(cpu);
    const { host } = cpu;
    const setCr8 = (v: number): number => helpers[helperIndex('mov_to_cr')](8, v, 0, 0);
    const cr8 = (): number => helpers[helperIndex('mov_from_cr')](8, 0, 0, 0);
    host.physWrite32(0xfee000f0, 0x1ff);
    host.physWrite32(0xfee00080, 0x6f);
    expect(cr8()).toBe(6);
    setCr8(4);
    expect([host.physRead32(0xfee00080), cr8()]).toEqual([0x40, 4]);
    host.physWrite32(0xfee00300, 0x4004f); // to itself
    expect([host.acknowledgeInterrupt(), host.physRead32(0xfee00220)]).toEqual([0xff, 1 << 15]);
    setCr8(3);
    expect(host.acknowledgeInterrupt()).toBe(0x4f);
    pc.quit();
    await pc.run();
  });

  it('is the x2APIC register too', async () => {
    const pc = await halted();
    const { cpu } = pc.board;
    const helpers = bindHelpers(cpu);
    const msr = (name: string, n: number, low: number): number => {
      cpu.setReg(ECX, n);
      cpu.setReg(EAX, low);
      cpu.setReg(EDX, 0);
      return helpers[helperIndex(name)](0, 0, 0, 0);
    };
    msr('wrmsr', 0x1b, 0xfee00d00);
    msr('wrmsr', 0x808, 0x75);
    expect(helpers[helperIndex('mov_from_cr')](8, 0, 0, 0)).toBe(7);
    expect(cpu.env32(ENV.MSR_APIC_BASE)).toBe(0xfee00d00);
    pc.quit();
    await pc.run();
  });
});
