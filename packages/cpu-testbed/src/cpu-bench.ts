/**
 * An x86 CPU on plain RAM: put bytes and registers, run in one tier, look at the result. Protected-mode runs use real
 * paging, a real IDT and TSS: exceptions and INT3 land on ring-0 handlers that only halt, and the saved frame tells what
 * happened, as on hardware.
 */
import { EXIT, Tcg } from '@emkit/accel-tcg';
import type { ExitReason, TcgOptions } from '@emkit/accel-tcg';
import { AddressSpace, MemoryRegion, RamBlock } from '@emkit/memory';
import { buildSoftFloatModule } from '@emkit/softfloat';
import { CS, DS, ENV, ES, ESP, FS, GS, parseCpuOption, SS, X86Target } from '@emkit/x86';
import type { X86Cpu, X86Host } from '@emkit/x86';

export interface CpuBenchOptions {
  /** Bytes of RAM at physical 0. @default 4 MiB */
  readonly ramBytes?: number;
  readonly tier?: 'auto' | 'cold' | 'hot';
  /** See `TcgOptions`. */
  readonly optimisations?: TcgOptions['optimisations'];
  readonly translations?: TcgOptions['translations'];
  /** As for `-cpu`. @default 'max' */
  readonly cpu?: string;
  readonly portIn?: (port: number, size: number) => number;
  readonly portOut?: (port: number, size: number, value: number) => void;
}

/** What ended a protected-mode run: the vector and the state its handler found. */
export interface StopInfo {
  readonly vector: number;
  /** -1: the vector has none. */
  readonly error: number;
  readonly eip: number;
  readonly eflags: number;
  readonly esp: number;
  /** High halves; 0 outside long mode. */
  readonly eipHigh: number;
  readonly espHigh: number;
}

/** Linear address of the supervisor-only page block that holds tables, handlers and the ring-0 stack. */
export const SYSTEM_BASE = 0x0f000000;
const SYS = {
  PAGE_DIR: 0x1000,
  GDT: 0x2000,
  IDT: 0x2800,
  TSS: 0x3000,
  HANDLERS: 0x4000,
  STACK_TOP: 0x6000,
  TABLES: 0x10000,
} as const;
/** Vectors that push an error code. */
export const HAS_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);
/** Physical page of the first user page that `map` hands out. */
const USER_PAGES = 0x80000;

export class CpuBench {
  readonly tcg: Tcg;
  readonly target: X86Target;
  readonly cpu: X86Cpu;
  readonly ram: Uint8Array;
  readonly #tables = new Map<number, number>();
  #nextTable: number = SYS.TABLES;
  #nextPage = USER_PAGES;

  constructor(options: CpuBenchOptions = {}) {
    const ramBytes = options.ramBytes ?? 4 << 20;
    const model = parseCpuOption(options.cpu ?? 'max');
    let target: X86Target | undefined;
    this.tcg = new Tcg({
      ramBytes,
      tier: options.tier ?? 'auto',
      ...(options.optimisations !== undefined ? { optimisations: options.optimisations } : {}),
      ...(options.translations !== undefined ? { translations: options.translations } : {}),
      createTarget: (host) => (target = new X86Target(host as X86Host, model)),
      createSpace: (memory, ramBase) => {
        const root = MemoryRegion.container('memory', 2 ** 32);
        root.add(0, MemoryRegion.ram('ram', new RamBlock({ name: 'ram', size: ramBytes, memory, offset: ramBase })));
        return new AddressSpace({ name: 'memory', root });
      },
      portIn: options.portIn ?? (() => 0xffffffff),
      portOut: options.portOut ?? (() => undefined),
      acknowledgeInterrupt: () => 0xff,
      tsc: () => this.tcg.retired,
      shutdown: () => undefined,
      helperModule: buildSoftFloatModule(),
    });
    this.target = target!;
    this.cpu = this.target.cpu;
    this.ram = new Uint8Array(this.tcg.memory.buffer, this.tcg.ramBase, ramBytes);
  }

  /** Physical write behind the CPU's back. */
  poke(address: number, bytes: ArrayLike<number>): void {
    this.ram.set(bytes, address);
    this.tcg.ramWritten(this.tcg.ramBase + address, bytes.length);
  }
  poke32(address: number, v: number): void {
    this.poke(address, [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, v >>> 24]);
  }

  // --- real mode --------------------------------------------------------------------------------------------------
  /** Real mode with the given segment selectors (base = selector * 16, limit 64 KiB). */
  realMode(selectors: Readonly<Record<'cs' | 'ds' | 'es' | 'ss' | 'fs' | 'gs', number>>): void {
    const { cpu } = this;
    cpu.reset();
    const set = (n: number, s: number): void => cpu.setSeg(n, s, (s << 4) >>> 0, 0xffff, n === CS ? 0x9b00 : 0x9300);
    set(CS, selectors.cs);
    set(DS, selectors.ds);
    set(ES, selectors.es);
    set(SS, selectors.ss);
    set(FS, selectors.fs);
    set(GS, selectors.gs);
    cpu.updateHflags();
  }

  // --- protected mode, CPL 3, paging --------------------------------------------------------------------------------
  /** Build tables once: flat segments, IDT whose handlers halt, TSS with a ring-0 stack, supervisor system pages. */
  protectedMode(): void {
    const gate = (n: number): void => {
      const handler = SYSTEM_BASE + SYS.HANDLERS + 16 * n;
      this.poke32(SYS.IDT + 8 * n, (8 << 16) | (handler & 0xffff));
      this.poke32(SYS.IDT + 8 * n + 4, (handler & 0xffff0000) | 0xee00);
      this.poke(SYS.HANDLERS + 16 * n, [0xf4]);
    };
    for (let n = 0; n < 32; n++) gate(n);
    const descriptors = [
      [0, 0],
      [0x0000ffff, 0x00cf9b00],
      [0x0000ffff, 0x00cf9300],
      [0x0000ffff, 0x00cffb00],
      [0x0000ffff, 0x00cff300],
    ];
    descriptors.forEach(([lo, hi], n) => {
      this.poke32(SYS.GDT + 8 * n, lo);
      this.poke32(SYS.GDT + 8 * n + 4, hi);
    });
    this.poke32(SYS.TSS + 4, SYSTEM_BASE + SYS.STACK_TOP);
    this.poke32(SYS.TSS + 8, 0x10);
    this.poke(SYS.TSS + 0x66, [0x68, 0]);
    for (let page = 0; page < 0x10; page++) this.#mapTo(SYSTEM_BASE + page * 4096, page * 4096, 3);
  }

  /** Map a user page (present, writable) at a linear address; returns its physical address. */
  map(linear: number): number {
    const physical = this.#nextPage;
    this.#nextPage += 4096;
    this.#mapTo(linear, physical, 7);
    return physical;
  }

  /** Map a user page at one more linear address. */
  alias(linear: number, physical: number): void {
    this.#mapTo(linear, physical, 7);
  }

  #mapTo(linear: number, physical: number, bits: number): void {
    const slot = SYS.PAGE_DIR + (linear >>> 22) * 4;
    let table = this.#tables.get(linear >>> 22);
    if (table === undefined) {
      table = this.#nextTable;
      this.#nextTable += 4096;
      this.#tables.set(linear >>> 22, table);
      this.poke32(slot, table | 0x27);
    }
    this.poke32(table + ((linear >>> 12) & 1023) * 4, physical | bits | 0x60);
  }

  /** CPL 3 flat state, paging on, FPU and SSE enabled; registers as reset leaves them. */
  enterUser(): void {
    const { cpu } = this;
    cpu.reset();
    cpu.setSeg(CS, 0x1b, 0, 0xffffffff, 0x00cffb00);
    for (const n of [DS, ES, SS, FS, GS]) cpu.setSeg(n, 0x23, 0, 0xffffffff, 0x00cff300);
    cpu.setSegCache(ENV.TR, 0x28, SYSTEM_BASE + SYS.TSS, 0x67, 0x00008b00);
    cpu.setEnv32(ENV.GDT_BASE, SYSTEM_BASE + SYS.GDT);
    cpu.setEnv32(ENV.GDT_LIMIT, 0x27);
    cpu.setEnv32(ENV.IDT_BASE, SYSTEM_BASE + SYS.IDT);
    cpu.setEnv32(ENV.IDT_LIMIT, 32 * 8 - 1);
    cpu.setCrRaw(0, 0x80010033 | 0x2); // PG WP NE ET MP PE
    cpu.setCrRaw(3, SYS.PAGE_DIR);
    cpu.setCrRaw(4, 0x600); // OSFXSR OSXMMEXCPT
    this.enableAvx();
    cpu.cpl = 3;
    cpu.updateHflags();
    this.tcg.flushTlb(true);
  }

  /** CR4.OSXSAVE and x87, SSE and AVX in XCR0, as a system would; a processor without AVX refuses its instructions all the same. */
  protected enableAvx(): void {
    this.cpu.setCrRaw(4, this.cpu.cr(4) | (1 << 18));
    this.cpu.setEnv32(ENV.XCR0, 7);
  }

  /** Run until a handler halts; null when the budget ran out first. */
  runToStop(budget = 10000): StopInfo | null {
    const reason = this.tcg.run(budget);
    if (reason !== EXIT.HALTED) return null;
    const { cpu } = this;
    const vector = (cpu.eip - 1 - (SYSTEM_BASE + SYS.HANDLERS)) >> 4;
    const hasError = HAS_ERROR.has(vector);
    const frame = cpu.reg(ESP) - SYSTEM_BASE + (hasError ? 4 : 0);
    const word = (n: number): number => this.peek32(frame + 4 * n);
    return {
      vector,
      error: hasError ? this.peek32(frame - 4) : -1,
      eip: word(0),
      eipHigh: 0,
      eflags: word(2),
      esp: word(3),
      espHigh: 0,
    };
  }

  peek32(address: number): number {
    const r = this.ram;
    return (r[address] | (r[address + 1] << 8) | (r[address + 2] << 16) | (r[address + 3] << 24)) >>> 0;
  }

  /** Translate the code at the current pc and compile it, so that the next run is hot. */
  compile(): void {
    this.tcg.compileAtPc();
  }

  run(budget: number): ExitReason {
    return this.tcg.run(budget);
  }
}
