/**
 * The CPU bench in long mode: four-level page tables, a 64-bit GDT, IDT and TSS, user code of 64 or (compatibility mode) 32 bits at
 * CPL 3. System pages lie in the upper half of the address space, so that each exception crosses from low to high addresses,
 * as under an operating system. Handlers only halt; the saved frame tells what happened. SDM Vol. 3A §4.5, §5.14 (64-bit exceptions).
 */
import { EXIT } from '@emkit/accel-tcg';
import { CS, DS, ENV, ES, ESP, FS, GS, SS } from '@emkit/x86';
import { CpuBench, HAS_ERROR } from './cpu-bench.ts';
import type { StopInfo } from './cpu-bench.ts';

/** System pages: linear FFFFFFFF_80000000 on, physical 0 on. */
const SYSTEM_LOW = 0x80000000;
const SYSTEM_HIGH = 0xffffffff;
const SYS = {
  PML4: 0x1000,
  GDT: 0x2000,
  IDT: 0x2800,
  TSS: 0x3000,
  HANDLERS: 0x4000,
  STACK_TOP: 0x6000,
  TABLES: 0x10000,
} as const;
const USER_PAGES = 0x80000;
const TSS_LIMIT = 0x67;
/** Vectors that user code may reach by INT n. */
const USER_GATES = [3, 4];
const KERNEL_CS = 0x10;
const USER_CS_32 = 0x23;
const USER_DS = 0x2b;
const USER_CS_64 = 0x33;
const TR = 0x40;
/** Selector order as in the systems that vectors are recorded on. */
const GDT: readonly (readonly [number, number])[] = [
  [0, 0],
  [0x0000ffff, 0x00cf9b00],
  [0x0000ffff, 0x00af9b00],
  [0x0000ffff, 0x00cf9300],
  [0x0000ffff, 0x00cffb00],
  [0x0000ffff, 0x00cff300],
  [0x0000ffff, 0x00affb00],
];
const EFER = 0x1 | 0x100 | 0x400 | 0x800; // SCE LME LMA NXE
const CR0 = 0x80010033; // PG WP NE ET MP PE
const CR4 = 0x20 | 0x600; // PAE OSFXSR OSXMMEXCPT

export class LongBench extends CpuBench {
  /** Page-table pages by level and the address bits that they serve. */
  readonly #pages = new Map<string, number>();
  #freeTable: number = SYS.TABLES;
  #freePage = USER_PAGES;

  override protectedMode(): void {
    for (let n = 0; n < 32; n++) {
      const handler = SYSTEM_LOW + SYS.HANDLERS + 16 * n;
      const gate = SYS.IDT + 16 * n;
      this.poke32(gate, (KERNEL_CS << 16) | (handler & 0xffff));
      this.poke32(gate + 4, (handler & 0xffff0000) | (USER_GATES.includes(n) ? 0xee00 : 0x8e00));
      this.poke32(gate + 8, SYSTEM_HIGH);
      this.poke(SYS.HANDLERS + 16 * n, [0xf4]);
    }
    GDT.forEach(([lo, hi], n) => {
      this.poke32(SYS.GDT + 8 * n, lo);
      this.poke32(SYS.GDT + 8 * n + 4, hi);
    });
    // SDM Vol. 3A Figure 7-4: a 64-bit TSS descriptor has 16 bytes
    const tss = SYSTEM_LOW + SYS.TSS;
    this.poke32(SYS.GDT + TR, ((tss & 0xffff) << 16) | TSS_LIMIT);
    this.poke32(SYS.GDT + TR + 4, (tss & 0xff000000) | 0x8b00 | ((tss >>> 16) & 0xff));
    this.poke32(SYS.GDT + TR + 8, SYSTEM_HIGH);
    this.poke32(SYS.TSS + 4, SYSTEM_LOW + SYS.STACK_TOP);
    this.poke32(SYS.TSS + 8, SYSTEM_HIGH);
    this.poke(SYS.TSS + 0x66, [0x68, 0]); // no I/O map
    for (let page = 0; page < 0x10; page++) this.#mapTo(SYSTEM_LOW + page * 4096, SYSTEM_HIGH, page * 4096, 3);
  }

  override map(linear: number): number {
    return this.mapAt(linear, 0);
  }
  /** As `map`, at an address whose halves are given. */
  mapAt(low: number, high: number): number {
    const physical = this.#freePage;
    this.#freePage += 4096;
    this.#mapTo(low, high, physical, 7);
    return physical;
  }

  /** `high`: the address's high half. */
  override alias(linear: number, physical: number, high = 0): void {
    this.#mapTo(linear, high, physical, 7);
  }

  #mapTo(low: number, high: number, physical: number, bits: number): void {
    const index = [(high >>> 7) & 511, ((high & 0x7f) << 2) | (low >>> 30), (low >>> 21) & 511, (low >>> 12) & 511];
    let table: number = SYS.PML4;
    for (let level = 0; level < 3; level++) {
      const name = index.slice(0, level + 1).join();
      let next = this.#pages.get(name);
      if (next === undefined) {
        next = this.#freeTable;
        this.#freeTable += 4096;
        this.#pages.set(name, next);
        this.poke32(table + index[level] * 8, next | 0x27);
      }
      table = next;
    }
    this.poke32(table + index[3] * 8, physical | bits | 0x60);
  }

  /** CPL 3, code of `bits` bits, flat; otherwise registers as reset leaves them. */
  override enterUser(bits: 32 | 64 = 64): void {
    const { cpu } = this;
    cpu.reset();
    cpu.setEnv32(ENV.MSR_EFER, EFER);
    cpu.setCrRaw(0, CR0);
    cpu.setCrRaw(3, SYS.PML4);
    cpu.setCrRaw(4, CR4);
    this.enableAvx();
    if (bits === 64) cpu.setSeg(CS, USER_CS_64, 0, 0xffffffff, 0x00affb00);
    else cpu.setSeg(CS, USER_CS_32, 0, 0xffffffff, 0x00cffb00);
    for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, USER_DS, 0, 0xffffffff, 0x00cff300);
    cpu.setSegCache(ENV.TR, TR, SYSTEM_LOW + SYS.TSS, TSS_LIMIT, 0x8b00);
    cpu.setEnv32(ENV.TR + 12, SYSTEM_HIGH); // high half of the base
    const table = (base: number, limit: number, at: number, size: number): void => {
      cpu.setEnv32(base, SYSTEM_LOW + at);
      cpu.setEnv32(base + 4, SYSTEM_HIGH);
      cpu.setEnv32(limit, size - 1);
    };
    table(ENV.GDT_BASE, ENV.GDT_LIMIT, SYS.GDT, TR + 16);
    table(ENV.IDT_BASE, ENV.IDT_LIMIT, SYS.IDT, 32 * 16);
    cpu.cpl = 3;
    cpu.updateHflags();
    this.tcg.flushTlb(true);
  }

  override runToStop(budget = 10000): StopInfo | null {
    if (this.tcg.run(budget) !== EXIT.HALTED) return null;
    const { cpu } = this;
    const vector = (cpu.eip - 1 - (SYSTEM_LOW + SYS.HANDLERS)) >> 4;
    if (cpu.env32(ENV.CS_BASE) !== SYSTEM_HIGH || vector < 0 || vector > 31)
      throw new Error(`halted at ${cpu.env32(ENV.CS_BASE).toString(16)}:${cpu.eip.toString(16)}, not in a handler`);
    const hasError = HAS_ERROR.has(vector);
    const frame = cpu.reg(ESP) - SYSTEM_LOW + (hasError ? 8 : 0);
    const word = (n: number): number => this.peek32(frame + 4 * n);
    return {
      vector,
      error: hasError ? this.peek32(frame - 8) : -1,
      eip: word(0),
      eipHigh: word(1),
      eflags: word(4),
      esp: word(6),
      espHigh: word(7),
    };
  }
}
