/**
 * Two machines over the same random page tables, one with the page walker in WebAssembly and one whose walks are all script's: every
 * access, flush and table write must leave both with the same answer, TLB and memory (accessed and dirty bits).
 */
import { Tcg } from '@emkit/accel-tcg';
import { AddressSpace, MemoryRegion, RamBlock } from '@emkit/memory';
import { buildSoftFloatModule } from '@emkit/softfloat';
import { ENV, FLAG_AC, parseCpuOption, X86Target } from '@emkit/x86';
import type { X86Cpu, X86Host } from '@emkit/x86';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const RAM = 0x20000;
const ROM = 0x2000;
/** RAM also appears above 4 GiB. */
const HIGH = 2 ** 32;
/** Page whose first bytes have been translated. */
const CODE_PAGE = 5;

const PG = 0x8000_0001;
const WP = 1 << 16;
const [PSE, PAE, PGE, LA57, SMEP, SMAP, PKE] = [4, 5, 7, 12, 20, 21, 22].map((n) => 1 << n);

class Machine {
  readonly tcg: Tcg;
  readonly cpu: X86Cpu;
  readonly ram: Uint8Array;
  readonly words: Uint32Array;

  constructor(pageWalker: boolean, model: string) {
    let target: X86Target | undefined;
    this.tcg = new Tcg({
      ramBytes: RAM + ROM,
      optimisations: { 'page-walker': pageWalker },
      tier: 'cold',
      createTarget: (host) => (target = new X86Target(host as X86Host, parseCpuOption(model))),
      createSpace: (memory, offset) => {
        const root = MemoryRegion.container('memory', 2 ** 40);
        const ram = MemoryRegion.ram('ram', new RamBlock({ name: 'ram', size: RAM, memory, offset }));
        root.add(0, ram);
        root.add(HIGH, MemoryRegion.alias('high', ram));
        const rom = new RamBlock({ name: 'rom', size: ROM, memory, offset: offset + RAM });
        root.add(RAM, MemoryRegion.rom('rom', rom));
        return new AddressSpace({ name: 'memory', root });
      },
      portIn: () => 0,
      portOut: () => undefined,
      acknowledgeInterrupt: () => 0,
      tsc: () => 0,
      shutdown: () => undefined,
      helperModule: buildSoftFloatModule(),
    });
    this.cpu = target!.cpu;
    this.ram = new Uint8Array(this.tcg.memory.buffer, this.tcg.ramBase, RAM + ROM);
    this.words = new Uint32Array(this.tcg.memory.buffer, this.tcg.ramBase, (RAM + ROM) >> 2);
  }

  begin(s: Setup, mode: Mode): void {
    const { cpu, tcg } = this;
    tcg.blocks.flush();
    cpu.reset();
    this.ram.fill(0);
    cpu.setSeg(1, 0, 0, 0xffff, 0x9b00);
    tcg.pc = CODE_PAGE * 4096 + 0xff0;
    expect(tcg.blocks.resolve()).not.toBeNull();
    s.entries.forEach((e, k) => {
      this.write(0x1000 * (1 + (k >> 4)) + (k & 15) * mode.stride, e, mode);
    });
    cpu.setCrRaw(0, mode.paging ? PG | (s.wp ? WP : 0) : 1);
    cpu.setCrRaw(3, 0x1000);
    cpu.setCrRaw(4, (s.cr4.reduce((a, b) => a | b, 0) & mode.cr4) | mode.cr4Always);
    cpu.setEnv32(ENV.MSR_EFER, mode.efer | (s.nxe ? 0x800 : 0));
    cpu.setEnv32(ENV.PKRU, s.pkru);
    cpu.setEflags(s.ac ? FLAG_AC : 0, FLAG_AC);
    for (let k = 0; k < 4; k++) {
      cpu.pdptes[2 * k] = 0x1001 + 0x1000 * k - (s.pdpte === k ? 1 : 0);
      cpu.pdptes[2 * k + 1] = s.pdpte === k + 4 ? 1 : 0;
    }
    cpu.cpl = s.cpl;
    cpu.updateHflags();
    tcg.flushTlb(true);
  }

  /** The number that stands for an address. */
  number(address: number): number {
    return this.cpu.longMode ? this.cpu.linear.of(address | 0, Math.floor(address / 2 ** 32)) : address;
  }

  /** An entry at a physical address. */
  write(at: number, e: Entry, mode: Mode): void {
    // the same in the upper half
    if (mode.signed && at < 0x1800) this.write(at + 0x800, e, mode);
    const odd = [0x200000, 0x2000, 0x20000000, 0x1e000][e.odd] ?? 0;
    const frame = e.frame > 33 ? 0x400 + e.frame : e.frame;
    this.words[at >> 2] = ((frame << 12) | e.flags | odd) >>> 0;
    if (mode.entryBytes === 8)
      this.words[(at >> 2) + 1] =
        (([0x80000000, 0x100, 1, 1 << 20][e.high] ?? 0) | (mode.signed ? e.key << 27 : 0)) >>> 0;
  }

  /** What an access meets, and what the TLB says of its page afterwards. */
  access(address: number, kind: number, user: number): unknown[] {
    const { mmu } = this.tcg;
    const lin = this.number(address);
    const result = mmu.access(lin, kind, user);
    const known = [0, 1, 2].flatMap((k) => [mmu.hit(lin, k, 0), mmu.hit(lin, k, 1)]);
    const { cpu } = this;
    return [result, result === -1 ? mmu.phys : result === -2 ? cpu.faultError : result === -3 ? mmu.ramHost : 0, known];
  }
}

interface Mode {
  readonly name: string;
  readonly paging: boolean;
  readonly entryBytes: 4 | 8;
  /** Bytes from one entry that is used to the next. */
  readonly stride: number;
  readonly cr4: number;
  readonly cr4Always: number;
  readonly efer: number;
  /** Address bits by level, above the page's. */
  readonly shifts: readonly number[];
  readonly signed: boolean;
}
const two = { paging: true, entryBytes: 4, stride: 4, cr4Always: 0, efer: 0, signed: false } as const;
const eight = { paging: true, entryBytes: 8, stride: 8, cr4Always: PAE } as const;
const MODES: readonly Mode[] = [
  { ...two, name: 'no paging', paging: false, cr4: SMEP | SMAP | PGE, shifts: [12, 13] },
  { ...two, name: 'two levels', cr4: PSE | PGE | SMEP | SMAP, shifts: [22, 12] },
  { ...eight, name: 'PAE', cr4: PGE | SMEP | SMAP, efer: 0, shifts: [30, 21, 12], signed: false },
  { ...eight, name: 'four levels', cr4: PGE | SMEP | SMAP | PKE, efer: 0x500, shifts: [39, 30, 21, 12], signed: true },
  {
    ...eight,
    name: 'five levels',
    cr4: PGE | SMEP | SMAP | PKE,
    cr4Always: PAE | LA57,
    efer: 0x500,
    shifts: [48, 39, 30, 21, 12],
    signed: true,
  },
];

interface Entry {
  readonly frame: number;
  readonly flags: number;
  readonly odd: number;
  readonly high: number;
  readonly key: number;
}
const entry = fc.record({
  // tables and RAM, ROM, and beyond
  frame: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 1, max: 8 }) }, { weight: 1, arbitrary: fc.nat(40) }),
  flags: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(7, 0x27, 0x67) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 3, 5, 0x63, 0x87, 0xe7, 0x1e7, 0x167, 0x107) },
  ),
  odd: fc.nat(200),
  high: fc.nat(200),
  key: fc.nat(3),
});
const setup = fc.record({
  entries: fc.array(entry, { minLength: 128, maxLength: 128 }),
  wp: fc.boolean(),
  cr4: fc.subarray([PSE, PGE, SMEP, SMAP, PKE]),
  nxe: fc.boolean(),
  ac: fc.boolean(),
  cpl: fc.constantFrom(0, 3),
  pkru: fc.integer(),
  pdpte: fc.nat(30),
});
type Setup = typeof setup extends fc.Arbitrary<infer T> ? T : never;
const place = fc.array(fc.nat(15), { minLength: 5, maxLength: 5 });
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('access' as const),
      at: place,
      kind: fc.nat(2),
      user: fc.nat(1),
      high: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const), all: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('page' as const), at: place, high: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('table' as const), index: fc.nat(127), entry }) },
);

/** `where` picks an index on each level; the last one's addresses overlap in the direct-mapped TLB. */
function address(mode: Mode, where: readonly number[], high: boolean): number {
  let lin = where[0] * 16;
  mode.shifts.forEach((shift, k) => {
    lin += (shift >= 30 ? where[k] & 3 : where[k]) * 2 ** shift;
  });
  return mode.signed && high ? lin - 2 ** (mode.shifts[0] + 8) : lin;
}

describe('the page walker in WebAssembly does as the one in script', () => {
  for (const model of ['max', 'pentium2']) {
    const quick = new Machine(true, model);
    const slow = new Machine(false, model);
    for (const mode of MODES) {
      if (mode.signed && model !== 'max') continue;
      it(`${mode.name}, -cpu ${model}`, () => {
        const before = quick.tcg.mmu.walkerFills;
        fc.assert(
          fc.property(setup, fc.array(step, { minLength: 10, maxLength: 40 }), (s, steps) => {
            for (const m of [quick, slow]) m.begin(s, mode);
            for (const x of steps) {
              if (x.do === 'access') {
                const lin = address(mode, x.at, x.high);
                expect(quick.access(lin, x.kind, x.user)).toEqual(slow.access(lin, x.kind, x.user));
              } else if (x.do === 'flush') for (const m of [quick, slow]) m.tcg.flushTlb(x.all);
              else if (x.do === 'page')
                for (const m of [quick, slow]) m.tcg.flushTlbPage(m.number(address(mode, x.at, x.high)));
              else
                for (const m of [quick, slow])
                  m.write(0x1000 * (1 + (x.index >> 4)) + (x.index & 15) * mode.stride, x.entry, mode);
            }
            expect(Buffer.compare(quick.ram, slow.ram)).toBe(0);
          }),
          { numRuns: 300 },
        );
        expect(slow.tcg.mmu.walkerFills).toBe(0);
        expect(quick.tcg.mmu.walkerFills - before).toBeGreaterThan(300);
      });
    }
  }
});
