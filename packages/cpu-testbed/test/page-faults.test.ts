/**
 * Two machines in the same random state, one that delivers page faults in WebAssembly and one whose script delivers all: an access, with what it
 * comes to (the handler, a nested fault, a shutdown), must leave both with the same processor and memory.
 */
import { EXIT, Tcg } from '@emkit/accel-tcg';
import { AddressSpace, MemoryRegion, RamBlock } from '@emkit/memory';
import { buildSoftFloatModule } from '@emkit/softfloat';
import {
  CS,
  DS,
  EAX,
  EBX,
  ENV,
  ES,
  ESP,
  FS,
  GS,
  parseCpuOption,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SS,
  X86Target,
} from '@emkit/x86';
import type { X86Cpu, X86Host } from '@emkit/x86';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const PAGE = 4096;
const RAM = 36 * PAGE;
// pages
const [PML4, PT, PD, PDPT, CODE, HANDLERS, USER_STACK, GDT, IDT, TSS, STACK] = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12];
const DATA = 32;
const STACK_TOP = (STACK + 1) * PAGE;
/** Bytes of code that one access gets. */
const CODE_STRIDE = 64;
const HLT = 0xf4;
const EXCEPTIONS = 32;

const PG = 0x8000_0001;
const [WP, AM] = [1 << 16, 1 << 18];
const [PAE, PGE, OSFXSR, OSXSAVE, SMEP, SMAP, PKE] = [5, 7, 9, 18, 20, 21, 22].map((n) => 1 << n);
const KERNEL_CS = 8;
const KERNEL_DS = 0x10;

interface Mode {
  readonly name: string;
  readonly long: boolean;
  readonly entryBytes: 4 | 8;
  readonly cr3: number;
  readonly cr4: number;
  /** Where the tables above the last are, each with one entry that is used, and what that leads to. */
  readonly upper: readonly (readonly [table: number, next: number])[];
  readonly codes: readonly string[];
}
// loads, stores, read-modify-writes, pushes, several accesses of one base, with an instruction before them, script's own accesses, a jump
const ACCESSES = [
  '8b 03',
  '89 03',
  '01 03',
  '87 03',
  'ff 33',
  '50',
  'ff 03',
  '8b 43 08 89 03',
  '89 c1 89 03',
  'aa',
  'f3 aa',
  '60',
  'a4',
  'ff e3',
];
const WIDE = ACCESSES.filter((c) => c !== '60').flatMap((c) => (/^(8|0|f[^3])/.test(c) ? [c, `48 ${c}`] : [c]));
const MODES: readonly Mode[] = [
  {
    name: '32-bit code, two levels',
    long: false,
    entryBytes: 4,
    cr3: PML4,
    cr4: 0,
    upper: [[PML4, PT]],
    codes: ACCESSES,
  },
  { name: '32-bit code, PAE', long: false, entryBytes: 8, cr3: PDPT, cr4: PAE, upper: [[PD, PT]], codes: ACCESSES },
  {
    name: '64-bit code',
    long: true,
    entryBytes: 8,
    cr3: PML4,
    cr4: PAE | OSFXSR | OSXSAVE,
    upper: [
      [PML4, PDPT],
      [PDPT, PD],
      [PD, PT],
    ],
    // a store of 32 bytes too
    codes: [...WIDE, 'c5 fe 7f 03', 'c5 fe 6f 03', '0f 7f 03'],
  },
];

/** The usual thing mostly, else one of the others. */
const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 24, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(usual, ...others) });
const setup = fc.record({
  code: fc.nat(40),
  cpl: fc.constantFrom(0, 3),
  offset: fc.oneof(fc.nat(PAGE - 64), fc.integer({ min: PAGE - 40, max: PAGE - 1 })),
  data: fc.array(fc.constantFrom(0, 0, 2, 4, 6, 7, 0x27, 0x67, 1, 3, 0x63, 5, 0x25, 0x107), {
    minLength: 2,
    maxLength: 2,
  }),
  /** Entries of tables and pages of the handler: index, bits that are changed. */
  spoilt: fc.oneof(
    { weight: 5, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.tuple(
        fc.record({
          at: fc.constantFrom(GDT, IDT, TSS, STACK, HANDLERS, STACK - 1),
          bits: fc.constantFrom(1, 2, 4, 0x20),
        }),
      ),
    },
  ),
  upper: mostly(0, 1, 2, 4, 0x20, 0x80),
  key: fc.nat(3),
  pkru: fc.constantFrom(0, 0, 4, 8, 0xc),
  gate: fc.tuple(
    mostly(KERNEL_CS, KERNEL_CS | 3, 0x1b, 0, KERNEL_DS),
    mostly(0x8e00, 0x8f00, 0xee00, 0x8500, 0x0e00, 0x8e01, 0x8c00),
  ),
  stack: fc.constantFrom(STACK_TOP, STACK_TOP - 8, STACK_TOP - 20, STACK * PAGE + 24),
  ss0: mostly(KERNEL_DS, KERNEL_DS | 3, 0, KERNEL_CS),
  codeHigh: mostly(0, 1 << 15, 1 << 9, 1 << 10, 1 << 23, 1 << 12),
  stackAt: fc.oneof(fc.constant(0), fc.constant(1)),
  cr4: fc.subarray([PGE, SMEP, SMAP, PKE]),
  wp: fc.boolean(),
  nx: fc.constantFrom(false, false, false, true),
  nxe: fc.boolean(),
  am: mostly(false, true),
  flags: fc
    .oneof(fc.constantFrom(0x202, 0x246, 0x3202, 0x40202), fc.nat(0x3fffff))
    .map((v) => (v & ~0x20000 & 0x3f7fd7) | 2),
  special: mostly(0, 0x100, 0x10000),
  dr7: mostly(0, 2),
  arith: fc.tuple(fc.constantFrom(0, 3, 11, 19, 27), fc.nat(0xffffffff), fc.nat(0xffffffff)),
  es: mostly(0xffffffff, 0xfffff),
  budget: fc.constantFrom(100, 100, 100, 2, 1),
});
type Setup = typeof setup extends fc.Arbitrary<infer T> ? T : never;

class Machine {
  readonly tcg: Tcg;
  readonly cpu: X86Cpu;
  readonly words: Uint32Array;
  readonly ram: Uint8Array;
  readonly #mode: Mode;
  byScript = 0;

  constructor(pageFaults: boolean, mode: Mode) {
    let target: X86Target | undefined;
    this.#mode = mode;
    this.tcg = new Tcg({
      ramBytes: RAM,
      optimisations: { 'page-faults': pageFaults },
      tier: 'hot',
      createTarget: (host) => (target = new X86Target(host as X86Host, parseCpuOption('max'))),
      createSpace: (memory, offset) => {
        const root = MemoryRegion.container('memory', 2 ** 40);
        root.add(0, MemoryRegion.ram('ram', new RamBlock({ name: 'ram', size: RAM, memory, offset })));
        return new AddressSpace({ name: 'memory', root });
      },
      portIn: () => 0,
      portOut: () => undefined,
      acknowledgeInterrupt: () => 0,
      tsc: () => 0,
      shutdown: () => undefined,
      helperModule: buildSoftFloatModule(),
    });
    const { cpu } = target!;
    this.cpu = cpu;
    const deliver = cpu.deliver.bind(cpu);
    cpu.deliver = () => {
      this.byScript++;
      deliver();
    };
    this.words = new Uint32Array(this.tcg.memory.buffer, this.tcg.ramBase, RAM >> 2);
    this.ram = new Uint8Array(this.tcg.memory.buffer, this.tcg.ramBase, RAM);
    this.ram.fill(HLT, CODE * PAGE, (HANDLERS + 1) * PAGE);
    mode.codes.forEach((code, n) =>
      this.ram.set(Buffer.from(code.replaceAll(' ', ''), 'hex'), CODE * PAGE + n * CODE_STRIDE),
    );
  }

  begin(s: Setup): void {
    const { cpu, tcg, words } = this;
    const mode = this.#mode;
    const put = (at: number, v: number): void => void (words[at >> 2] = v >>> 0);
    const entry = (at: number, index: number, v: number): void => put(at * PAGE + index * mode.entryBytes, v);
    tcg.clearShutdown();
    cpu.reset();
    words.fill(0, 0, (CODE * PAGE) >> 2);
    words.fill(0, (USER_STACK * PAGE) >> 2);
    // it may have run
    tcg.ramWritten(tcg.ramBase + DATA * PAGE, 2 * PAGE);
    // page tables: all is the supervisor's but data, and code and stack where they are a program's
    const own = s.cpl === 0 ? 0x63 : 0x67;
    for (let n = 0; n < RAM / PAGE; n++) entry(PT, n, n * PAGE + (n === CODE || n === USER_STACK ? own : 0x63));
    s.data.forEach((flags, k) => {
      entry(PT, DATA + k, (DATA + k) * PAGE + flags);
      const high = (mode.long ? s.key << 27 : 0) | (s.nx ? 1 << 31 : 0);
      if (mode.entryBytes === 8) put(PT * PAGE + (DATA + k) * 8 + 4, high);
    });
    for (const { at, bits } of s.spoilt) words[(PT * PAGE + at * mode.entryBytes) >> 2] ^= bits;
    mode.upper.forEach(([at, next], k) =>
      entry(at, 0, (next * PAGE + 0x67) ^ (k === mode.upper.length - 1 ? s.upper & 0x20 : 0)),
    );
    // descriptors: code, data, code and data of level 3, the LDT's place, the TSS
    const code = (mode.long ? 0x00af9b00 : 0x00cf9b00) ^ s.codeHigh;
    [code, 0x00cf9300, code | (3 << 13), 0x00cff300].forEach((high, n) => {
      put(GDT * PAGE + 8 * (n + 1), 0xffff);
      put(GDT * PAGE + 8 * (n + 1) + 4, high);
    });
    for (let n = 0; n < EXCEPTIONS; n++) {
      const width = mode.long ? 16 : 8;
      const [selector, high] = n === 14 ? s.gate : [KERNEL_CS, 0x8e00];
      put(IDT * PAGE + width * n, (selector << 16) | (HANDLERS * PAGE + 16 * n));
      put(IDT * PAGE + width * n + 4, high);
    }
    put(TSS * PAGE + 4, s.stack);
    if (!mode.long) put(TSS * PAGE + 8, s.ss0);

    cpu.setCrRaw(4, mode.cr4 | s.cr4.filter((bit) => mode.long || bit !== PKE).reduce((a, b) => a | b, 0));
    cpu.setCrRaw(3, mode.cr3 * PAGE);
    cpu.setCrRaw(0, PG | (s.wp ? WP : 0) | (s.am ? AM : 0) | 0x20);
    cpu.setEnv32(ENV.MSR_EFER, (mode.long ? 0x500 : 0) | (s.nxe ? 0x800 : 0));
    cpu.setEnv32(ENV.XCR0, 7);
    cpu.setEnv32(ENV.PKRU, s.pkru);
    cpu.pdptes.set([PD * PAGE + 1, 0, 0, 0, 0, 0, 0, 0]);
    cpu.setEnv64(ENV.GDT_BASE, GDT * PAGE, 0);
    cpu.setEnv32(ENV.GDT_LIMIT, 0x2f);
    cpu.setEnv64(ENV.IDT_BASE, IDT * PAGE, 0);
    cpu.setEnv32(ENV.IDT_LIMIT, 0xfff);
    cpu.setEnv32(ENV.TR + SEG_FLAGS, 0x8b00);
    cpu.setEnv64(ENV.TR + SEG_BASE, TSS * PAGE, 0);
    cpu.setEnv32(ENV.TR + SEG_LIMIT, 0x67);
    cpu.updateHflags(); // long mode, before segments are loaded under it
    const { cpl } = s;
    const level = cpl << 13;
    cpu.setSeg(CS, cpl === 0 ? KERNEL_CS : 0x1b, 0, 0xffffffff, (mode.long ? 0x00af9b00 : 0x00cf9b00) | level);
    for (const n of [DS, ES, SS, FS, GS])
      cpu.setSeg(n, cpl === 0 ? KERNEL_DS : 0x23, 0, n === ES ? s.es : 0xffffffff, 0x00cf9300 | level);
    cpu.cpl = cpl;
    cpu.setDrRaw(0, 0x1000);
    cpu.setDrRaw(7, 0x400 | s.dr7);
    cpu.setEflags(s.flags | s.special, -1);
    cpu.setEnv32(ENV.CC_OP, s.arith[0]);
    cpu.setEnv64(ENV.CC_DST, s.arith[1], 0);
    cpu.setEnv64(ENV.CC_SRC, s.arith[2], 0);
    const data = DATA * PAGE + s.offset;
    for (let n = 0; n < 8; n++) cpu.setReg64(n, data, 0);
    cpu.setReg64(EAX, 0x12345678, 0);
    cpu.setReg64(1, 3, 0);
    cpu.setReg64(ESP, s.stackAt === 0 ? data : cpl === 0 ? STACK_TOP : (USER_STACK + 1) * PAGE, 0);
    cpu.setReg64(EBX, data, 0);
    cpu.updateHflags();
    tcg.flushTlb(true);
    cpu.rip = CODE * PAGE + (s.code % mode.codes.length) * CODE_STRIDE;
  }

  /** Why it stopped, what it retired, and all of the processor. */
  run(s: Setup): number[] {
    this.begin(s);
    const { tcg, cpu } = this;
    const before = tcg.retired;
    let reason = tcg.run(s.budget);
    for (let n = 0; reason === EXIT.SLICE && n < 4; n++) reason = tcg.run(s.budget);
    const env = cpu.e32.slice(0, ENV.SIZE >> 2);
    env.fill(0, ENV.SCRATCH >> 2, (ENV.SCRATCH + 256) >> 2);
    return [reason, tcg.retired - before, cpu.eflags(), ...env];
  }
}

/** Index and values of the first difference; of env with its offset. */
function difference(a: readonly number[], b: readonly number[]): unknown {
  const n = a.findIndex((v, k) => v !== b[k]);
  return n < 0 ? undefined : { index: n, env: ((n - 3) * 4).toString(16), quick: a[n], exact: b[n] };
}

describe('page faults delivered without script leave what those of script leave', () => {
  for (const mode of MODES) {
    it(mode.name, () => {
      const quick = new Machine(true, mode);
      const exact = new Machine(false, mode);
      fc.assert(
        fc.property(setup, (s) => {
          expect(difference(quick.run(s), exact.run(s))).toBe(undefined);
          expect(Buffer.compare(quick.ram, exact.ram)).toBe(0);
        }),
        { numRuns: 1500, seed: 14 },
      );
      expect(exact.tcg.faultEntries).toBeNull();
      expect(quick.tcg.faultEntries?.count).toBeGreaterThan(1);
      expect(exact.byScript - quick.byScript).toBeGreaterThan(150);
    });
  }
});
