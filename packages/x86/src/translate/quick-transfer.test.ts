import { chooseOptimisations } from '@emkit/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CODE,
  DATA,
  STACK_TOP,
  flatMachine,
  hexBytes,
  longCode,
  longMachine,
  runCodeAt,
} from '../../test/flat-machine.ts';
import type { IrMachine } from '../../test/ir-machine.ts';
import {
  CS,
  DS,
  EAX,
  ECX,
  EDX,
  ENV,
  ES,
  ESP,
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_IF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  HF_CPL,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';

const GDT = 0x9000;
const IDT = 0xa000;
const TSS = 0xb000;
const KERNEL_STACK = 0xd000;
/** Where handlers and returns go: HLT, which at CPL 3 is #GP. */
const TARGET = DATA;
const ENTRIES = 10;
const END = 0xe000;

type Words = readonly [number, number];
/** What the operating system set up, as guests have it, with one thing or another changed. */
interface Setup {
  readonly cpl: number;
  /** Descriptors of GDT entries 1 and up. */
  readonly gdt: readonly Words[];
  readonly gdtLimit: number;
  readonly gate: readonly [number, number, number];
  readonly tss: readonly [number, number, number];
  readonly tssLimit: number;
  readonly flags: number;
  readonly arith: readonly [number, number, number];
  readonly am: boolean;
  readonly stackAt: number;
  /** Dwords on the stack (halves of the words of a 64-bit frame). */
  readonly frame: readonly number[];
  readonly data: number;
  readonly nmi: number;
  readonly sysenter: number;
  readonly eax: number;
  /** Work is pending. */
  readonly work: boolean;
}

const is64 = (m: IrMachine): boolean => m.cpu.longMode;

function prepare(m: IrMachine, s: Setup): void {
  const { cpu, view } = m;
  const put = (at: number, v: number): void => view.setUint32(m.host(at), v >>> 0, true);
  // HLT wherever garbage leads to
  m.u8.fill(0xf4, m.host(CODE), m.host(STACK_TOP));
  m.u8.fill(0, m.host(GDT), m.host(END));
  s.gdt.forEach(([low, high], n) => {
    put(GDT + 8 * (n + 1), low);
    put(GDT + 8 * (n + 1) + 4, high);
  });
  const width = is64(m) ? 16 : 8;
  s.gate.slice(0, width / 4).forEach((v, n) => put(IDT + 0x80 * width + 4 * n, v));
  s.tss.forEach((v, n) => put(TSS + 4 + 4 * n, v));
  if (is64(m)) longCode(m, true, s.cpl);
  else {
    cpu.cpl = s.cpl;
    cpu.setSeg(CS, 8 | s.cpl, 0, 0xffffffff, 0x00cf9b00 | (s.cpl << 13));
    for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 16 | s.cpl, 0, 0xffffffff, 0x00cf9300 | (s.cpl << 13));
  }
  for (const n of [DS, ES, FS, GS]) {
    if (s.data === 0) cpu.setSeg(n, 0, 0, is64(m) || n > 3 ? 0 : 0xffffffff, is64(m) || n > 3 ? 0 : 0x00cff300);
    else cpu.setSeg(n, 0x10 | s.data, 0, 0xffffffff, 0x00cf9300 | (s.data << 13));
  }
  cpu.setCrRaw(4, is64(m) ? 0x20 | (s.nmi << 16) : 0);
  cpu.setCrRaw(0, (is64(m) ? 0x80000011 : 0x11) | (s.am ? 1 << 18 : 0));
  cpu.setEnv64(ENV.GDT_BASE, GDT, 0);
  cpu.setEnv32(ENV.GDT_LIMIT, s.gdtLimit);
  cpu.setEnv64(ENV.IDT_BASE, IDT, 0);
  cpu.setEnv32(ENV.IDT_LIMIT, 0xfff);
  cpu.setEnv32(ENV.TR + SEG_FLAGS, 0x8b00);
  cpu.setEnv64(ENV.TR + SEG_BASE, TSS, 0);
  cpu.setEnv32(ENV.TR + SEG_LIMIT, s.tssLimit);
  cpu.setEnv32(ENV.NMI_BLOCKED, s.nmi);
  cpu.setEnv32(ENV.MSR_SYSENTER_CS, s.sysenter);
  cpu.setEnv64(ENV.MSR_SYSENTER_EIP, TARGET, 0);
  cpu.setEnv64(ENV.MSR_SYSENTER_ESP, KERNEL_STACK, 0);
  cpu.setEflags(s.flags, -1);
  cpu.setEnv32(ENV.CC_OP, s.arith[0]);
  cpu.setEnv64(ENV.CC_DST, s.arith[1], 0);
  cpu.setEnv64(ENV.CC_SRC, s.arith[2], 0);
  cpu.setEnv64(ENV.CC_SRC2, 0, 0);
  for (let n = 0; n < 16; n++) cpu.setReg64(n, n + 1, 0);
  cpu.setEnv32(ENV.INHIBIT_IRQ, 0);
  cpu.halted = false;
  cpu.setReg64(ESP, s.stackAt, 0);
  cpu.setReg64(EAX, s.eax, 0);
  cpu.setReg64(ECX, STACK_TOP - 16, 0);
  m.work = s.work;
  cpu.setReg64(EDX, TARGET, 0);
  s.frame.forEach((v, n) => put(s.stackAt + 4 * n, v));
  cpu.updateHflags();
}

/** Where the run came to: env and memory as one row of numbers. */
function run(m: IrMachine, s: Setup, code: string): number[] {
  prepare(m, s);
  m.bails = 0;
  const stop = runCodeAt(m, CODE, hexBytes(code), 20);
  const { cpu } = m;
  const flags = cpu.eflags();
  const env = cpu.e32.slice(0, ENV.SIZE >> 2);
  // what has no meaning at an instruction's end; of the lazy flags only what they come to
  for (const at of WITHOUT_MEANING) env[at >> 2] = 0;
  env.fill(0, ENV.SCRATCH >> 2, (ENV.SCRATCH + 256) >> 2);
  const memory = new Uint32Array(m.memory.slice(m.host(0x7000), m.host(END)));
  return [stop.vector, stop.error, cpu.rip, flags, ...env, ...memory];
}
const WITHOUT_MEANING = [
  ENV.CC_OP,
  ENV.CC_DST,
  ENV.CC_DST + 4,
  ENV.CC_SRC,
  ENV.CC_SRC + 4,
  ENV.CC_SRC2,
  ENV.EXCEPTION_VECTOR,
  ENV.EXCEPTION_ERROR,
];
/** Index and values of the first difference. */
function difference(a: readonly number[], b: readonly number[]): unknown {
  const n = a.findIndex((v, k) => v !== b[k]);
  return n < 0 ? undefined : { index: n, env: ((n - 4) * 4).toString(16), hot: a[n], cold: b[n] };
}

const CODE32 = 0x00cf9b00;
const CODE64 = 0x00af9b00;
const DATA32 = 0x00cf9300;
const USER = 3 << 13;
const GATE_HIGH = 0xee00;
/** The usual thing mostly, else one of the others. */
const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(usual, ...others) });
/** A descriptor as is, or with a bit of it flipped. */
const descriptor = (high: number): fc.Arbitrary<Words> =>
  fc.oneof(
    { weight: 24, arbitrary: fc.constant([0xffff, high] as const) },
    { weight: 1, arbitrary: fc.nat(31).map((n) => [0xffff, high ^ (1 << n)] as const) },
    { weight: 1, arbitrary: fc.nat(31).map((n) => [0xffff ^ (1 << n), high] as const) },
  );
const KERNEL_CS = 8;
const KERNEL_DS = 0x10;
const USER_CS = 0x1b;
const USER_DS = 0x23;
const flagsWord = fc
  .oneof(fc.constantFrom(0x202, 0x246, 0x3202, 0x40202), fc.nat(0x3fffff))
  .map((v) => (v & ~(FLAG_TF | FLAG_VM | 0x10000) & 0x3f7fd7) | 2);

function setups(long: boolean): fc.Arbitrary<Setup> {
  const code = long ? CODE64 : CODE32;
  const selectors = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom([USER_CS, USER_DS] as const, [KERNEL_CS, KERNEL_DS] as const) },
    { weight: 2, arbitrary: fc.constantFrom([KERNEL_CS, 0] as const, [USER_CS, 3] as const, [0, 0] as const) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(0x5f), fc.nat(0x5f)) },
  );
  const frame = fc
    .record({
      selectors,
      flags: fc.oneof(
        flagsWord,
        flagsWord.map((v) => v | 0x10000),
        fc.nat(0x3fffff).map((v) => v & ~FLAG_TF),
      ),
      target: mostly<Words>([TARGET, 0], [TARGET, 0x8000], [TARGET, -1]),
      stack: mostly<Words>([STACK_TOP - 32, 0], [0x12345679, 0x7fff], [0, -1]),
    })
    .map(({ selectors: [cs, ss], flags, target, stack }) =>
      long ? [...target, cs, 0, flags, 0, ...stack, ss, 0] : [target[0], cs, flags, stack[0], ss],
    );
  const selector = mostly(KERNEL_CS, KERNEL_CS | 3, USER_CS, 0, 3, KERNEL_CS | 4, KERNEL_DS, 0x28);
  return fc.record({
    cpl: fc.constantFrom(0, 3),
    gdt: fc.tuple(
      descriptor(code),
      descriptor(DATA32),
      descriptor(code | USER),
      descriptor(DATA32 | USER),
      descriptor(0x00cf9f00),
    ),
    gdtLimit: mostly(ENTRIES * 8 - 1, 0x0f, 0x17, 0x1f, 0x27, 7),
    gate: fc
      .tuple(
        selector,
        mostly(GATE_HIGH, 0xef00, 0x8e00, 0x8f00, 0xe500, 0x6e00, 0xee01, 0xec00, 0xee20),
        mostly(0, 0, 1, 0x8000),
      )
      .map(([sel, high, upper]) => [(sel << 16) | TARGET, high, upper] as const),
    tss: long
      ? fc
          .constantFrom<Words>(
            [KERNEL_STACK, 0],
            [KERNEL_STACK, 0],
            [KERNEL_STACK - 3, 0],
            [0xd008, 0],
            [0, 0x8000],
            [0x20000, 0],
          )
          .map((w) => [...w, 0] as const)
      : fc
          .tuple(
            mostly(KERNEL_STACK, KERNEL_STACK - 3, 0xd008, 4, 0x20000),
            mostly(KERNEL_DS, KERNEL_DS | 3, 0, KERNEL_CS, USER_DS),
          )
          .map(([esp, ss]) => [esp, ss, 0] as const),
    tssLimit: mostly(0x67, 9, 8, 10, 11, 0),
    flags: flagsWord,
    arith: fc.tuple(fc.constantFrom(0, 3, 11, 19, 27, 31), fc.nat(0xffffffff), fc.nat(0xffffffff)),
    am: fc.boolean(),
    stackAt: mostly(STACK_TOP - 64, STACK_TOP - 62, 0x7ff4, 0x7ffc),
    frame,
    data: fc.constantFrom(0, 0, 3, 0),
    nmi: fc.constantFrom(0, 1),
    sysenter: mostly(KERNEL_CS, 0, 3, 0xfffc),
    eax: fc.oneof(fc.constantFrom(KERNEL_DS, USER_DS, 0, 3, KERNEL_CS, KERNEL_DS | 3), fc.nat(0x3f)),
    work: fc.constantFrom(false, false, true),
  });
}

const POPF = ['9d', '66 9d 90', '01 c3 9d'];
const BASES = ['00 01', '01 01', '02 01', '03 01', '80 00'].flatMap((n) =>
  ['30', '32'].map((op) => `b9 ${n.slice(0, 2)} ${n.slice(3)} 00 c0 31 d2 0f ${op} 90`),
);
const machines = (make: () => IrMachine): [hot: IrMachine, cold: IrMachine] => {
  const [hot, cold] = [make(), make()];
  hot.hot = true;
  for (const m of [hot, cold]) {
    m.deliver = true;
    for (let at = GDT; at < END; at += 4096) m.supervisorPages.add(at >> 12);
    m.shutdown = () => m.halt();
  }
  return [hot, cold];
};

describe.each([
  ['transfers of 64-bit code', true, ['cd 80', '48 ff c0 cd 80', '48 cf', '90 48 cf', '01 c3 48 cf']],
  ['transfers of 32-bit code', false, ['cd 80', '40 cd 80', 'cf', '90 cf', '01 c3 cf', '0f 34', '0f 35']],
  // POPF and POPFW, WRMSR and RDMSR of three numbers and of another, RDGSBASE, WRFSBASE, WRGSBASE of 32 bits, STI and its shadow
  [
    'flags and bases of 64-bit code',
    true,
    [...POPF, ...BASES, 'f3 48 0f ae c8', 'f3 48 0f ae d0', 'f3 0f ae d8', 'fb 90 90'],
  ],
  // MOV and POP to DS, ES, FS, GS
  [
    'segments and flags of 32-bit code',
    false,
    [...POPF, '8e d8', '8e c0 40', '8e e0', '8e e8 40', '1f', '07 40', '0f a1', '40 0f a9', 'fb 40 40'],
  ],
] as const)('quick %s', (_name, long, codes) => {
  const [hot, cold] = machines(long ? () => longMachine() : () => flatMachine());
  it('leave what the exact forms leave', () => {
    let quick = 0;
    fc.assert(
      fc.property(setups(long), fc.constantFrom(...codes), (s, code) => {
        const h = run(hot, s, code);
        if (hot.bails === 0) quick++;
        expect(difference(h, run(cold, s, code))).toBe(undefined);
      }),
      { seed: 5, numRuns: 1500 },
    );
    expect(quick).toBeGreaterThan(300);
  });
});

describe('INT n and IRET', () => {
  it.each(['cd 80', '48 cf'])('%s is left to the exact form where quick forms are off', (code) => {
    const [m] = machines(() => longMachine());
    m.keepText = true;
    m.optimisations = chooseOptimisations({ transitions: false, 'segment-loads': false, ports: false });
    m.bails = 0;
    runCodeAt(m, CODE, hexBytes(code), 1);
    expect([m.bails, m.lastBlock.includes('callj')]).toEqual([0, true]);
  });
  it.each([true, false])('go in and out without the exact form, long mode: %s', (long) => {
    const [m] = machines(long ? () => longMachine() : () => flatMachine());
    const code = long ? CODE64 : CODE32;
    const s: Setup = {
      cpl: 3,
      gdt: [code, DATA32, code | USER, DATA32 | USER].map((high) => [0xffff, high] as const),
      gdtLimit: 0x27,
      gate: [(KERNEL_CS << 16) | TARGET, GATE_HIGH, 0],
      tss: [KERNEL_STACK, long ? 0 : KERNEL_DS, 0],
      tssLimit: 0x67,
      flags: 0x246 | FLAG_AC,
      arith: [0, 0, 0x46],
      am: true,
      stackAt: STACK_TOP - 64,
      frame: [],
      data: 3,
      nmi: 1,
      sysenter: 0,
      eax: 0,
      work: false,
    };
    run(m, s, 'cd 80');
    expect([m.bails, m.cpu.hflags & HF_CPL, m.cpu.segSelector(CS), m.cpu.eflags() & FLAG_IF]).toEqual([0, 0, 8, 0]);
    expect(m.cpu.segSelector(SS)).toBe(long ? 0 : KERNEL_DS);
    const frame = long
      ? [TARGET, 0, USER_CS, 0, 0x40202, 0, 0x5000, 0, USER_DS, 0]
      : [TARGET, USER_CS, 0x40202, 0x5000, USER_DS];
    prepare(m, { ...s, cpl: 0, frame });
    m.bails = 0;
    runCodeAt(m, CODE, hexBytes(long ? '48 cf' : 'cf'), 1);
    expect([m.bails, m.cpu.hflags & HF_CPL, m.cpu.reg(ESP), m.cpu.rip]).toEqual([0, 3, 0x5000, TARGET]);
    expect([m.cpu.segSelector(SS), m.cpu.env32(ENV.NMI_BLOCKED), m.cpu.eflags() & FLAGS_ARITH]).toEqual([
      USER_DS,
      0,
      0,
    ]);
    const at = ENV.SEG + CS * SEG_STRIDE;
    expect([m.cpu.env32(at + SEG_SELECTOR), m.cpu.env32(at + SEG_LIMIT)]).toEqual([USER_CS, 0xffffffff]);
  });
});
