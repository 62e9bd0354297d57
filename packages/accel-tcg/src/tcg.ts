/**
 * The TCG accelerator of one vCPU: runs guest code until the slice's instruction budget is used up or something needs
 * the machine. Owns the linear memory, the TLB, the block cache and both tiers; knows no guest architecture.
 *
 * Flow: the core module (interpreter + dispatcher, WebAssembly) runs from env's pc and returns a LEAVE code; this class
 * finds or translates the next block, promotes hot ones, delivers faults and interrupts, and enters it again.
 */
import { buildCoreModule, CODE, ColdEncoder, COLD, CTL, ENV_BASE, HEADER, JUMP_CACHE, LEAVE, RAM_BASE } from '@emkit/codegen';
import { IrBuilder, OPS } from '@emkit/ir';
import type { IrBlock } from '@emkit/ir';
import type { AddressSpace } from '@emkit/memory';
import { engine } from './engine.ts';
import type { WasmMemory } from './engine.ts';
import { CodeMap, Tb } from './code-map.ts';
import { HotTier, MAX_REGIONS } from './hot-tier.ts';
import { DONE, FAULTED, GuestAccess } from './guest-access.ts';
import { ACCESS_FAULT, ACCESS_IO, EXEC, SoftMmu } from './softmmu.ts';
import type { Target, TargetHost, TranslateRequest, TranslateResult } from './target.ts';

/** Why `run` returned. */
export const EXIT = { SLICE: 0, HALTED: 1, SHUTDOWN: 2, DEBUG: 3, STOPPED: 4 } as const;
export type ExitReason = (typeof EXIT)[keyof typeof EXIT];

export interface TcgOptions {
  /** Bytes of guest RAM in the linear memory, from `ramBase`. */
  readonly ramBytes: number;
  /** Make the target, given the services it needs. */
  readonly createTarget: (host: TargetHost) => Target;
  /** Physical memory as the CPU sees it; called once, with the memory that RAM must live in. */
  readonly createSpace: (memory: WasmMemory, ramBase: number) => AddressSpace;
  readonly portIn: (port: number, size: 1 | 2 | 4) => number;
  readonly portOut: (port: number, size: 1 | 2 | 4, value: number) => void;
  readonly acknowledgeInterrupt: () => number;
  readonly tsc: () => number;
  readonly shutdown: (reason: string) => void;
  /** Bytes of the soft-float module; its exports are the target's WebAssembly helpers. */
  readonly helperModule: Uint8Array;
  /** 'cold': never compile regions. 'hot': compile as soon as possible. Default: by execution counts. */
  readonly tier?: 'auto' | 'cold' | 'hot';
  readonly trace?: TcgTrace;
}

/** Sinks for `-d`; each absent when off. */
export interface TcgTrace {
  readonly inAsm?: (pc: number, csBase: number, flags: number, bytes: Uint8Array) => void;
  readonly op?: (pc: number, block: IrBlock) => void;
  readonly outAsm?: (pc: number, module: Uint8Array) => void;
  /** Before each block; blocks are neither chained nor compiled then. */
  readonly exec?: (pc: number, flags: number) => void;
  readonly event?: (event: string, text: string) => void;
}

const MAX_INSNS = 64;
/** Executions in the cold tier before a block is compiled. */
const HOT_AFTER = 200;
/** Waiting regions that are compiled without waiting for the slice's end. */
const COMPILE_NOW = 8;
const ALONE_BYTES = 0x10000;
const NMI_VECTOR = 2;

export class Tcg {
  readonly memory: WasmMemory;
  readonly ramBase = RAM_BASE;
  readonly target: Target;
  readonly space: AddressSpace;
  readonly mmu: SoftMmu;
  readonly access: GuestAccess;
  readonly codeMap: CodeMap;
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  /** Pcs (linear) at which to stop before executing, for a debugger. */
  readonly breakpoints = new Set<number>();
  /** Interrupt request line. */
  #irq = false;
  #nmi = false;
  #stop = false;
  #kicked = false;
  #saved = 0;
  #shutdown = false;
  #running = false;
  #sliceStart = 0;
  #retired = 0;
  #codeEnd: number = CODE.BASE + ALONE_BYTES;
  #alone = false;
  #runAlone = false;
  #bpSkip = -1;
  #debugHit = false;
  readonly #byHeader = new Map<number, Tb>();
  readonly hot: HotTier | undefined;
  readonly #hotAfter: number;
  readonly #encoder: ColdEncoder;
  readonly #builder: IrBuilder;
  readonly #request: TranslateRequest;
  readonly #result: TranslateResult = { bytes: 0, insns: 0, exitFlags: -1, exitCcOp: -1, callReturn: -1, fault: false };
  readonly #core: { run(): number; interpret(op: number): number };
  readonly #options: TcgOptions;
  readonly #pc: number;
  readonly #flags: number;
  readonly #cs: number;
  #crossPage = -1;
  /** Counters for profiles and tests. */
  readonly stats = { translated: 0, invalidated: 0, flushes: 0, regions: 0, faults: 0, interrupts: 0 };

  constructor(options: TcgOptions) {
    this.#options = options;
    const pages = Math.ceil((RAM_BASE + options.ramBytes) / 65536);
    this.memory = new engine.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer;
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.codeMap = new CodeMap(buffer.byteLength);
    this.space = options.createSpace(this.memory, RAM_BASE);
    this.mmu = new SoftMmu(buffer, this.space, this.codeMap.codePages);
    this.access = new GuestAccess(buffer, this.mmu, this.space, {
      codeWrite: (host, length, mayDefer) => this.#codeWrite(host, length, mayDefer),
      watched: (lin, size, write) => this.#watched(lin, size, write),
      beforeIo: () => undefined,
    });
    this.target = options.createTarget(this.#host());
    this.mmu.attach(this.target);
    this.access.attach(this.target);
    const { target } = this;
    this.#pc = (ENV_BASE + target.offsets.pc) >> 2;
    this.#flags = (ENV_BASE + target.offsets.flags) >> 2;
    this.#cs = (ENV_BASE + target.offsets.csBase) >> 2;
    this.#encoder = new ColdEncoder(buffer, target.globals);
    this.#builder = new IrBuilder(target.globals);
    this.#request = {
      eip: 0, csBase: 0, flags: 0, maxInsns: MAX_INSNS, endEip: -1, hot: false, entryCcOp: -1,
      code: { u8: this.u8, offset: 0, available: 0, nextPage: () => this.#nextPage() },
    };
    this.#hotAfter = options.tier === 'cold' || options.trace?.exec !== undefined ? 0 : options.tier === 'hot' ? 2 : HOT_AFTER;
    const parts = this.#instantiate();
    this.hot = parts.hot;
    this.#core = parts.core;
    this.space.addListener({ commit: () => this.flushAll() });
  }

  #instantiate(): { core: { run(): number; interpret(op: number): number }; hot: HotTier } {
    const { memory, target } = this;
    const helpers = new engine.Instance(new engine.Module(this.#options.helperModule), { env: { memory } }).exports;
    const names = target.wasmHelpers;
    const helperTable = new engine.Table({ element: 'anyfunc', initial: names.length });
    names.forEach((name, n) => {
      const fn = helpers[name];
      if (typeof fn !== 'function') throw new Error(`helper module has no function '${name}'`);
      helperTable.set(n, fn);
    });
    const regions = new engine.Table({ element: 'anyfunc', initial: MAX_REGIONS });
    const hot = new HotTier({
      memory, table: regions, target, mmu: this.mmu, codeMap: this.codeMap, helpers, hotAfter: this.#hotAfter,
      nextPage: (lin) => this.#probePage(lin),
      outAsm: this.#options.trace?.outAsm,
    });
    const bytes = buildCoreModule({ offsets: target.offsets, userMask: target.userMask, userValue: target.userValue });
    const instance = new engine.Instance(new engine.Module(bytes), {
      env: {
        memory, regions, helpers: helperTable,
        slow_load: (lo: number, _hi: number, kind: number) => this.#slow(this.access.load(lo, kind & 31, (kind & 32) !== 0, this.#user())),
        slow_store: (lo: number, _hi: number, kind: number) => this.#slow(this.access.store(lo, kind & 31, this.#user())),
        raise: (vector: number, error: number) => {
          target.record(vector, error);
          return this.#fault();
        },
        callj: (id: number, a: number, b: number, c: number, d: number) => this.#callj(id, a, b, c, d),
      },
    });
    return { core: instance.exports as unknown as { run(): number; interpret(op: number): number }, hot };
  }

  #host(): TargetHost {
    const { access, space } = this;
    const o = this.#options;
    return {
      memory: this.memory.buffer,
      envBase: ENV_BASE,
      currentEip: () => this.currentPc(),
      read8: (lin, user) => access.read8(lin, user),
      read16: (lin, user) => access.read16(lin, user),
      read32: (lin, user) => access.read32(lin, user),
      write8: (lin, v, user) => access.write8(lin, v, user),
      write16: (lin, v, user) => access.write16(lin, v, user),
      write32: (lin, v, user) => access.write32(lin, v, user),
      pointer: (lin, kind, user) => access.pointer(lin, kind, user),
      physRead8: (pa) => space.read8(pa),
      physRead16: (pa) => space.read16(pa),
      physRead32: (pa) => space.read32(pa),
      physWrite8: (pa, v) => space.write8(pa, v),
      physWrite16: (pa, v) => space.write16(pa, v),
      physWrite32: (pa, v) => space.write32(pa, v),
      flushTlb: (global) => this.flushTlb(global),
      flushTlbPage: (lin) => this.flushTlbPage(lin),
      portIn: o.portIn,
      portOut: o.portOut,
      tsc: o.tsc,
      halt: () => undefined,
      shutdown: (reason) => {
        this.#shutdown = true;
        this.kick();
        o.shutdown(reason);
      },
      acknowledgeInterrupt: o.acknowledgeInterrupt,
      watchpointsChanged: () => this.updateWatched(),
      ...(o.trace?.event !== undefined ? { trace: o.trace.event } : {}),
    };
  }

  // --- running --------------------------------------------------------------------------------------------------
  /** Instructions retired since creation (exact at exits and in callbacks, at block granularity). */
  get retired(): number {
    if (!this.#running) return this.#retired;
    return this.#retired + this.#sliceStart - (this.#kicked ? this.#saved : this.i32[CTL.BUDGET >> 2]);
  }

  /** Level of the processor's interrupt request line. */
  setInterruptLine(level: boolean): void {
    this.#irq = level;
    if (level) this.kick();
  }

  /** A non-maskable interrupt, taken at the next block boundary. */
  raiseNmi(): void {
    this.#nmi = true;
    this.kick();
  }

  /** After a reset that followed a triple fault. */
  clearShutdown(): void {
    this.#shutdown = false;
  }

  /** Ask `run` to return soon. */
  stop(): void {
    this.#stop = true;
    this.kick();
  }

  /** Leave generated code at the next block boundary. */
  kick(): void {
    if (!this.#running || this.#kicked) return;
    this.#kicked = true;
    this.#saved = this.i32[CTL.BUDGET >> 2];
    this.i32[CTL.BUDGET >> 2] = -1;
  }

  #unkick(): void {
    if (!this.#kicked) return;
    this.#kicked = false;
    this.i32[CTL.BUDGET >> 2] += this.#saved + 1;
  }

  /** Run at most about `budget` instructions. */
  run(budget: number): ExitReason {
    this.hot?.compilePending();
    this.#running = true;
    this.#stop = false;
    this.#sliceStart = budget;
    this.i32[CTL.BUDGET >> 2] = budget;
    try {
      return this.#loop();
    } finally {
      this.#unkick();
      this.#retired += budget - this.i32[CTL.BUDGET >> 2];
      this.#running = false;
    }
  }

  #loop(): ExitReason {
    const { i32, target } = this;
    let cold = false;
    for (;;) {
      if (this.#kicked) this.#unkick();
      if (this.#shutdown) return EXIT.SHUTDOWN;
      if (this.#debugHit) {
        this.#debugHit = false;
        return EXIT.DEBUG;
      }
      if (this.#nmi) {
        this.#nmi = false;
        target.interrupt(NMI_VECTOR);
      }
      if (this.#irq && (target.canInterrupt() || target.halted)) {
        if (target.canInterrupt()) {
          this.stats.interrupts++;
          target.interrupt(this.#options.acknowledgeInterrupt());
          cold = false;
        }
      }
      if (target.halted) return EXIT.HALTED;
      if (this.#stop) return EXIT.STOPPED;
      if (i32[CTL.BUDGET >> 2] < 0) return EXIT.SLICE;
      i32[CTL.STATUS >> 2] = 0;
      let code: number;
      if (this.#runAlone) code = this.#oneInsn();
      else if (cold || this.#options.trace?.exec !== undefined) code = this.#runCold();
      else code = this.#core.run();
      if (code === LEAVE.HOT) code = LEAVE.LOOKUP; // from a cold run: the dispatcher enters it
      cold = false;
      switch (code) {
        case LEAVE.LOOKUP:
        case LEAVE.STALE:
          if (this.#debugStop()) return EXIT.DEBUG;
          this.#resolve();
          break;
        case LEAVE.RECONSIDER:
          this.hot?.reconsider(i32[CTL.EXIT >> 2]);
          cold = true;
          break;
        case LEAVE.COLD:
          cold = true;
          break;
        case LEAVE.PROMOTE:
          this.#promote();
          break;
        case LEAVE.BUDGET:
          if (!this.#kicked) return EXIT.SLICE;
          break;
        case LEAVE.ALONE:
          this.#runAlone = true;
          break;
        case LEAVE.WORK:
          break;
        default:
          throw new Error(`core module left with code ${code}`);
      }
    }
  }

  // --- finding and translating ----------------------------------------------------------------------------------
  get pc(): number {
    return this.i32[this.#pc] >>> 0;
  }
  set pc(v: number) {
    this.i32[this.#pc] = v | 0;
  }
  #user(): number {
    return (this.i32[this.#flags] & this.target.userMask) === this.target.userValue ? 1 : 0;
  }

  /** The block at env's pc, put into the jump cache; null when fetching faulted (the fault is delivered). */
  #resolve(): Tb | null {
    const { i32 } = this;
    const tb = this.#find();
    if (tb === null) return null;
    if (tb.region !== null) this.hot?.revalidate(tb);
    const { exec } = this.#options.trace ?? {};
    if (exec !== undefined) {
      // one block at a time: nothing is entered that has not been reported
      exec(tb.pc, tb.flags);
      return tb;
    }
    const linear = (tb.pc + tb.csBase) | 0;
    const e = (JUMP_CACHE.BASE >> 2) + ((((linear >>> 12) & 63) << 6) | ((linear ^ (linear >>> 6)) & 63)) * 4;
    i32[e] = linear;
    i32[e + 1] = tb.flags;
    i32[e + 2] = tb.header;
    i32[e + 3] = tb.csBase;
    return tb;
  }

  #find(): Tb | null {
    const { i32 } = this;
    const pc = i32[this.#pc];
    const csBase = i32[this.#cs];
    const flags = i32[this.#flags];
    const host = this.#fetchHost((pc + csBase) | 0);
    if (host < 0) return null;
    return this.codeMap.find(host, pc, flags, csBase) ?? this.#translate(pc, csBase, flags, host, false);
  }

  /** Host offset of the code byte at a linear address; code outside RAM is copied to a bounce page. -1: fault delivered. */
  #fetchHost(lin: number): number {
    const host = this.mmu.access(lin, EXEC, this.#user());
    if (host >= 0) return host;
    if (host === ACCESS_FAULT) {
      this.target.recordPageFault(lin >>> 0);
      this.stats.faults++;
      this.target.deliver();
      return -1;
    }
    throw new Error(`instruction fetch from device memory at 0x${(lin >>> 0).toString(16)} is not possible`);
  }

  #nextPage(): number {
    const { csBase, eip } = this.#request;
    const next = (((eip + csBase) | 0) & ~4095) + 4096;
    const host = this.mmu.access(next | 0, EXEC, this.#user());
    if (host === ACCESS_FAULT) {
      this.target.recordPageFault(next >>> 0);
      return -1;
    }
    if (host === ACCESS_IO) return -1;
    this.#crossPage = host;
    return host;
  }

  /** Host offset of a linear page's code, or a negative number; nothing is delivered. */
  #probePage(lin: number): number {
    return this.mmu.access(lin, EXEC, this.#user());
  }

  #translate(pc: number, csBase: number, flags: number, host: number, alone: boolean): Tb | null {
    const r = this.#request;
    const out = this.#result;
    r.eip = pc;
    r.csBase = csBase;
    r.flags = flags;
    r.maxInsns = alone ? 1 : MAX_INSNS;
    r.endEip = this.#nextBreakpoint((pc + csBase) | 0, csBase);
    r.hot = false;
    r.entryCcOp = -1;
    r.code.offset = host;
    r.code.available = 4096 - (host & 4095);
    this.#crossPage = -1;
    const b = this.#builder;
    b.reset();
    this.target.translate(b, r, out);
    if (out.fault) {
      this.stats.faults++;
      this.target.deliver();
      return null;
    }
    const block = b.finish();
    this.stats.translated++;
    const tb = new Tb(pc, csBase, flags, host, out.bytes, out.bytes > r.code.available ? this.#crossPage : -1, out.insns);
    tb.exitFlags = out.exitFlags;
    tb.callReturn = out.callReturn;
    this.#describe(tb, block);
    let at: number = CODE.BASE;
    if (!alone) {
      at = this.#codeEnd;
      if (at + ColdEncoder.bound(block.count) > CODE.LIMIT) {
        this.flushCode();
        at = this.#codeEnd;
      }
    } else if (ColdEncoder.bound(block.count) > ALONE_BYTES) throw new Error('one instruction is too large for the translator');
    tb.header = at;
    const end = this.#encoder.encode(block, at, pc, flags, tb.coldFirst ? 0 : this.#hotAfter, (target) => this.#linkable(tb, target));
    tb.terminator = this.#encoder.terminator;
    const trace = this.#options.trace;
    if (trace !== undefined) {
      trace.inAsm?.(pc, csBase, flags, this.u8.subarray(host, host + Math.min(out.bytes, r.code.available)));
      trace.op?.(pc, block);
    }
    if (alone) return tb;
    this.#codeEnd = end;
    this.#byHeader.set(at, tb);
    if (this.codeMap.insert(tb)) {
      this.mmu.protectCode(tb.host >>> 12);
      if (tb.secondPage >= 0) this.mmu.protectCode(tb.secondPage >>> 12);
    }
    return tb;
  }

  /** A jump inside the block's own linear page needs no look at the mapping. */
  #linkable(tb: Tb, target: number): boolean {
    return tb.secondPage < 0 && (((tb.pc + tb.csBase) ^ (target + tb.csBase)) & ~4095) === 0 && this.breakpoints.size === 0;
  }

  #describe(tb: Tb, block: IrBlock): void {
    const last = block.count - 1;
    const def = OPS[block.op[last]];
    if (def.name === 'jmp') tb.taken = block.imm[last];
    else if (def.name === 'br') {
      tb.taken = block.imm[last];
      tb.notTaken = block.imm2[last];
    } else if (def.name.startsWith('jmp_ind')) {
      tb.indirect = true;
      tb.isReturn = block.imm[last] === 2;
    }
    let insns = 0;
    for (let i = 0; i < block.count; i++) {
      const effect = OPS[block.op[i]].effect;
      if (effect === 'marker' && OPS[block.op[i]].name === 'insn_start' && ++insns === 2) break;
      if (effect === 'callj' || (effect === 'term' && OPS[block.op[i]].name === 'exit')) {
        tb.coldFirst = true;
        break;
      }
    }
  }

  // --- tiers ------------------------------------------------------------------------------------------------------
  /** Run the block at env's pc in the interpreter, past its header. */
  #runCold(): number {
    if (this.#debugStop()) {
      this.#debugHit = true;
      return LEAVE.WORK;
    }
    const tb = this.#resolve();
    if (tb === null) return LEAVE.WORK;
    return this.#interpretPast(tb);
  }

  #interpretPast(tb: Tb): number {
    this.i32[CTL.TB >> 2] = tb.header;
    this.i32[CTL.BUDGET >> 2] -= this.u16[(tb.header + HEADER.INSNS) >> 1];
    return this.#core.interpret(tb.header + HEADER.SIZE);
  }

  /** The instruction at env's pc alone, in a block that is not kept. */
  #oneInsn(): number {
    this.#runAlone = false;
    const { i32 } = this;
    const pc = i32[this.#pc];
    const csBase = i32[this.#cs];
    const host = this.#fetchHost((pc + csBase) | 0);
    if (host < 0) return LEAVE.WORK;
    const tb = this.#translate(pc, csBase, i32[this.#flags], host, true);
    if (tb === null) return LEAVE.WORK;
    this.#alone = true;
    const code = this.#interpretPast(tb);
    this.#alone = false;
    return code;
  }

  /** The block whose header is in CTL.IP is hot. It is compiled at the end of the slice, with others. */
  #promote(): void {
    const header = this.i32[CTL.IP >> 2];
    // until then it runs on; should compiling fail, it asks again much later
    this.i32[(header + HEADER.COUNTER) >> 2] = this.#hotAfter * 64;
    const tb = this.#byHeader.get(header);
    if (tb === undefined) return;
    this.hot?.request(tb);
    if ((this.hot?.waiting ?? 0) >= COMPILE_NOW) this.hot?.compilePending();
  }

  // --- callbacks of generated code ----------------------------------------------------------------------------------
  #callj(id: number, a: number, b: number, c: number, d: number): number {
    const { target, i32 } = this;
    let result = 0;
    try {
      result = target.callHelper(id, a, b, c, d);
    } catch (e) {
      if (e !== target.fault) throw e;
      i32[CTL.STATUS >> 2] = this.#fault();
      return 0;
    }
    if (this.#irq && !this.#kicked && target.canInterrupt()) this.kick();
    return result;
  }

  /** A recorded exception at the op in CTL.IP: put the pc right, deliver. */
  #fault(): number {
    const pc = this.currentPc();
    this.#refund();
    this.i32[this.#pc] = pc | 0;
    this.stats.faults++;
    this.target.deliver();
    return LEAVE.LOOKUP;
  }

  #slow(status: number): number {
    if (status === DONE) return 0;
    if (status === FAULTED) return this.#fault();
    const pc = this.currentPc();
    this.#refund();
    this.i32[this.#pc] = pc | 0;
    return LEAVE.ALONE;
  }

  /** pc of the instruction that is executing in the cold tier. */
  currentPc(): number {
    const { i32 } = this;
    const header = i32[CTL.TB >> 2];
    return (i32[(header + HEADER.PC) >> 2] + this.u16[(i32[CTL.IP >> 2] + 12) >> 1]) >>> 0;
  }

  /** Give back the budget of the instructions of the current block that have not run. */
  #refund(): void {
    const { i32 } = this;
    const header = i32[CTL.TB >> 2];
    const back = this.u16[(header + HEADER.INSNS) >> 1] - this.u16[(i32[CTL.IP >> 2] + 14) >> 1];
    if (this.#kicked) this.#saved += back;
    else i32[CTL.BUDGET >> 2] += back;
  }

  // --- invalidation -------------------------------------------------------------------------------------------------
  #codeWrite(host: number, length: number, mayDefer: boolean): boolean {
    if (!this.codeMap.touches(host, length)) return false;
    const hit = this.codeMap.overlapping(host, length);
    if (hit.length === 0) return false;
    if (mayDefer && !this.#alone) {
      const current = this.i32[CTL.TB >> 2];
      for (const tb of hit) if (tb.header === current && tb.insns > 1) return true;
    }
    for (const tb of hit) this.invalidate(tb);
    return false;
  }

  /** RAM was written behind the CPU's back (DMA, loaders): host offset and bytes. */
  ramWritten(host: number, length: number): void {
    for (let at = host; at < host + length; ) {
      const end = Math.min((at & ~4095) + 4096, host + length);
      if (this.codeMap.codePages[at >>> 12] !== 0) this.#codeWrite(at, end - at, false);
      at = end;
    }
  }

  invalidate(tb: Tb): void {
    this.stats.invalidated++;
    this.hot?.invalidate(tb);
    this.u16[tb.header >> 1] = COLD.DEAD;
    this.codeMap.remove(tb);
    this.#byHeader.delete(tb.header);
  }

  flushTlb(includeGlobal: boolean): void {
    this.mmu.flush(includeGlobal);
    this.hot?.mappingsChanged(); // absent while the target is being made
    this.i32.fill(0, JUMP_CACHE.BASE >> 2, (JUMP_CACHE.BASE >> 2) + JUMP_CACHE.ENTRIES * 4);
  }

  flushTlbPage(lin: number): void {
    this.mmu.flushPage(lin);
    this.hot?.pageChanged(lin);
    const group = (JUMP_CACHE.BASE >> 2) + ((lin >>> 12) & 63) * 64 * 4;
    this.i32.fill(0, group, group + 64 * 4);
  }

  /** The memory map changed. */
  flushAll(): void {
    this.flushTlb(true);
  }

  /** Drop every translation (code space full, breakpoints changed). Not inside a running block's helpers. */
  flushCode(): void {
    this.stats.flushes++;
    this.hot?.clear();
    for (const header of this.#byHeader.keys()) this.u16[header >> 1] = COLD.DEAD;
    this.#byHeader.clear();
    this.codeMap.clear();
    this.#codeEnd = CODE.BASE + ALONE_BYTES;
    this.flushTlb(true);
  }

  /** Compile the block at the current pc now, with what is warm around it. For tests that want the hot tier. */
  compileAtPc(): void {
    const tb = this.#resolve();
    if (tb === null) return;
    this.hot?.request(tb);
    this.hot?.compilePending();
  }

  // --- debugger -----------------------------------------------------------------------------------------------------
  setBreakpoints(pcs: Iterable<number>): void {
    this.breakpoints.clear();
    for (const pc of pcs) this.breakpoints.add(pc >>> 0);
    this.flushCode();
  }

  /** Linear ranges watched for a debugger. */
  readonly debugWatch: { address: number; length: number; read: boolean; write: boolean }[] = [];
  /** The debugger's watch that was hit last. */
  watchHit: { address: number; write: boolean } | null = null;

  updateWatched(): void {
    const pages = new Set<number>();
    for (const w of [...this.target.watchpoints, ...this.debugWatch]) {
      for (let p = w.address - (w.address % 4096); p < w.address + w.length; p += 4096) pages.add(p);
    }
    this.mmu.watch(pages);
  }

  #watched(lin: number, size: number, write: boolean): void {
    if (this.target.watchpoints.length > 0 && this.target.hitWatchpoint(lin, size, write)) this.kick();
    for (const w of this.debugWatch) {
      if (lin < w.address + w.length && w.address < lin + size && (write ? w.write : w.read)) {
        this.watchHit = { address: lin, write };
        this.#debugHit = true;
        this.kick();
      }
    }
  }

  #nextBreakpoint(linear: number, csBase: number): number {
    if (this.breakpoints.size === 0) return -1;
    let best = -1;
    for (const pc of this.breakpoints) {
      if (pc > linear >>> 0 && (best < 0 || pc < best)) best = pc;
    }
    return best < 0 ? -1 : (best - csBase) | 0;
  }

  #debugStop(): boolean {
    if (this.breakpoints.size === 0) return false;
    const linear = (this.i32[this.#pc] + this.i32[this.#cs]) >>> 0;
    if (!this.breakpoints.has(linear) || this.#bpSkip === linear) {
      this.#bpSkip = -1;
      return false;
    }
    return true;
  }

  /** Execute exactly one instruction (or deliver one pending interrupt). */
  step(): ExitReason {
    this.#runAlone = true;
    return this.run(0);
  }

  /** Go on past the breakpoint at the current pc. */
  skipBreakpoint(): void {
    this.#bpSkip = (this.i32[this.#pc] + this.i32[this.#cs]) >>> 0;
  }
}

