/**
 * The TCG accelerator of one vCPU: runs guest code until the slice's instruction budget is used up or something needs
 * the machine. Owns the linear memory, the TLB, the block cache and both tiers; knows no guest architecture.
 *
 * Flow: the core module (interpreter + dispatcher, WebAssembly) runs from env's pc and returns a LEAVE code; this class
 * finds or translates the next block, promotes hot ones, delivers faults and interrupts, and enters it again.
 */
import { CTL, ENV_BASE, HEADER, LEAVE, RAM_BASE } from '@emkit/codegen';
import { chooseOptimisations } from '@emkit/ir';
import type { AddressSpace } from '@emkit/memory';
import { BlockCache } from './block-cache.ts';
import { CodeMap } from './code-map.ts';
import type { Tb } from './code-map.ts';
import { instantiateCore } from './core-instance.ts';
import type { Core } from './core-instance.ts';
import { DebugPoints, pageAddresses } from './debug-points.ts';
import type { DebugWatch } from './debug-points.ts';
import { createFaultEntries, type FaultEntries } from './fault-entries.ts';
import { createMemory } from './guest-memory.ts';
import type { WasmMemory } from './engine.ts';
import { DONE, FAULTED, GuestAccess } from './guest-access.ts';
import { executionsUntilHot, HotTier } from './hot-tier.ts';
import { SoftMmu } from './softmmu.ts';
import { targetHost } from './target-host.ts';
import type { Target } from './target.ts';
import type { TcgOptions } from './tcg-options.ts';
import { TranslationKeeper } from './translation-keeper.ts';

/** Why `run` returned. */
export const EXIT = { SLICE: 0, HALTED: 1, SHUTDOWN: 2, DEBUG: 3, STOPPED: 4 } as const;
export type ExitReason = (typeof EXIT)[keyof typeof EXIT];

const NMI_VECTOR = 2;

export class Tcg {
  readonly memory: WasmMemory;
  readonly ramBase = RAM_BASE;
  readonly target: Target;
  readonly space: AddressSpace;
  readonly mmu: SoftMmu;
  readonly access: GuestAccess;
  readonly codeMap: CodeMap;
  readonly blocks: BlockCache;
  readonly hot: HotTier;
  /** Null where script delivers all faults. */
  readonly faultEntries: FaultEntries | null;
  readonly debug = new DebugPoints();
  /** Translations from run to run. */
  readonly kept: TranslationKeeper;
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  readonly #options: TcgOptions;
  readonly #core: Core;
  readonly #hotAfter: number;
  readonly #pc: number;
  readonly #cs: number;
  readonly #flags: number;
  #ready = false;
  #irq = false;
  #nmi = false;
  #stop = false;
  #shutdown = false;
  #running = false;
  #debugHit = false;
  /** Budget set aside while generated code is made to leave. */
  #kicked = false;
  #saved = 0;
  #sliceStart = 0;
  #retired = 0;
  /** The next instruction runs in a block of its own; one such block is running. */
  #runAlone = false;
  #alone = false;
  interrupts = 0;

  constructor(options: TcgOptions) {
    this.#options = options;
    const optimisations = chooseOptimisations(options.optimisations);
    this.memory = createMemory(options.ramBytes);
    const { buffer } = this.memory;
    this.i32 = new Int32Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.codeMap = new CodeMap(buffer);
    this.space = options.createSpace(this.memory, RAM_BASE);
    this.mmu = new SoftMmu(buffer, this.space, this.codeMap);
    this.access = new GuestAccess(buffer, this.mmu, this.space, {
      codeWrite: (host, length, mayDefer) => this.#codeWrite(host, length, mayDefer),
      watched: (lin, size, write) => this.#watched(lin, size, write),
    });
    const target = (this.target = options.createTarget(targetHost(this, options)));
    this.mmu.attach(target);
    this.access.attach(target);
    this.#pc = (ENV_BASE + target.offsets.pc) >> 2;
    this.#cs = (ENV_BASE + target.offsets.csBase) >> 2;
    this.#flags = (ENV_BASE + target.offsets.flags) >> 2;
    this.#hotAfter = executionsUntilHot(options, optimisations);
    this.kept = new TranslationKeeper(options, optimisations);
    const { codeMap, mmu } = this;
    const common = { target, mmu, codeMap, optimisations, hotAfter: this.#hotAfter };
    this.blocks = new BlockCache({
      ...common,
      kept: this.kept,
      memory: buffer,
      space: this.space,
      trace: options.trace,
      roomAt: (linear) => this.debug.distance(linear),
      debugged: () => this.debug.active,
      singly: () => this.debug.watches.length > 0,
      stopsAt: (linear) => this.debug.stopsAt(linear),
    });
    this.#core = instantiateCore(this, options, optimisations, {
      slowLoad: (lo, hi, kind) => this.#slow(this.access.slowLoad(lo, hi, kind, this.blocks.user())),
      slowStore: (lo, hi, kind) => this.#slow(this.access.slowStore(lo, hi, kind, this.blocks.user())),
      raise: (vector, error) => {
        target.record(vector, error);
        return this.#fault();
      },
      callj: (id, a, b, c, d) => this.#callj(id, a, b, c, d),
    });
    this.hot = new HotTier({
      ...common,
      ...{ memory: this.memory, places: this.blocks.places },
      table: this.#core.regions,
      helpers: this.#core.helpers,
      compileChannel: options.compileChannel,
      callDevice: (id, a, b, c, d) => this.#calld(id, a, b, c, d),
      outAsm: options.trace?.outAsm,
      profile: options.profile,
    });
    this.faultEntries = createFaultEntries(this, options, optimisations, this.#core);
    this.blocks.hot = this.hot;
    this.#ready = true;
    if (optimisations['page-walker']) this.mmu.walker = this.#core.fill ?? null;
    this.space.addListener({ commit: () => this.flushTlb(true) });
  }

  // --- running --------------------------------------------------------------------------------------------------
  /** Instructions retired since creation (exact at exits and in callbacks, at block granularity). */
  get retired(): number {
    if (!this.#running) return this.#retired;
    return this.#retired + this.#sliceStart - (this.#kicked ? this.#saved : this.i32[CTL.BUDGET >> 2]);
  }

  /** In 64-bit code the low half, see `linearPc`. */
  get pc(): number {
    return this.i32[this.#pc] >>> 0;
  }
  set pc(v: number) {
    this.i32[this.#pc] = v | 0;
  }
  /** Linear number of the current pc. */
  get linearPc(): number {
    return this.target.linear(this.i32[this.#pc], this.i32[this.#cs], this.i32[this.#flags]);
  }

  /** Level of the processor's interrupt request line. */
  setInterruptLine(level: boolean): void {
    this.#irq = level;
    this.#noteWork();
    if (level) this.kick();
  }

  /** A non-maskable interrupt, taken at the next block boundary. */
  raiseNmi(): void {
    this.#nmi = true;
    this.#noteWork();
    this.kick();
  }
  /** What an `exit` looks at that may have made an interrupt possible. */
  #noteWork(): void {
    this.i32[CTL.WORK >> 2] = this.#irq || this.#nmi ? 1 : 0;
  }

  /** Triple fault: `run` returns SHUTDOWN until `clearShutdown`. */
  shutdown(reason: string): void {
    this.#shutdown = true;
    this.kick();
    this.#options.shutdown(reason);
  }
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
    this.hot.compilePending();
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

  /** What the next run can use of this one, see `TcgOptions.translations`; undefined: nothing that it was not given. */
  keptTranslations(): Uint8Array | undefined {
    return this.kept.collect(this.blocks.saved);
  }

  /** Execute one instruction (or deliver one pending interrupt). */
  step(): ExitReason {
    this.#runAlone = true;
    return this.run(0);
  }

  #loop(): ExitReason {
    const { i32, target } = this;
    const traced = this.#options.trace?.exec !== undefined;
    let cold = false;
    for (;;) {
      if (this.#kicked) this.#unkick();
      if (this.#shutdown) return EXIT.SHUTDOWN;
      if (this.#debugHit) {
        this.#debugHit = false;
        return EXIT.DEBUG;
      }
      if (this.#takeInterrupt()) cold = false;
      if (target.halted) return EXIT.HALTED;
      if (this.#stop) return EXIT.STOPPED;
      if (i32[CTL.BUDGET >> 2] < 0) return EXIT.SLICE;
      i32[CTL.STATUS >> 2] = 0;
      const code = this.#runAlone ? this.#oneInsn() : cold || traced ? this.#runCold() : this.#core.run();
      cold = false;
      switch (code) {
        case LEAVE.LOOKUP:
        case LEAVE.STALE:
        case LEAVE.HOT: // from a cold run: the dispatcher enters it
          if (this.#debugStop()) return EXIT.DEBUG;
          if (!traced) this.#enter();
          break;
        case LEAVE.GROW:
          this.hot.grow(i32[CTL.EXIT >> 2]);
          break;
        case LEAVE.RECONSIDER:
        case LEAVE.COLD:
          if (code === LEAVE.RECONSIDER) this.hot.reconsider(i32[CTL.EXIT >> 2]);
          cold = true;
          break;
        case LEAVE.PROMOTE:
          this.#promote();
          break;
        case LEAVE.BUDGET:
          if (this.#kicked) break;
          // a slice shorter than the next block must get somewhere too: an instruction alone
          if (i32[CTL.BUDGET >> 2] < this.#sliceStart || this.#sliceStart === 0) return EXIT.SLICE;
          this.#runAlone = true;
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

  #takeInterrupt(): boolean {
    const { target } = this;
    target.deliverPendingTrap();
    if (this.#nmi && target.canNmi()) {
      this.#nmi = false;
      this.#noteWork();
      target.interrupt(NMI_VECTOR);
      return true;
    }
    if (!this.#irq || !target.canInterrupt()) return false;
    this.interrupts++;
    target.interrupt(this.#options.acknowledgeInterrupt());
    return true;
  }

  /** Make the block at env's pc findable for the dispatcher; a block that cannot be kept runs at once. */
  #enter(): void {
    const tb = this.blocks.resolve();
    if (tb === null) this.#charge();
    else if (this.blocks.isTransient(tb)) this.#runAlone = true;
  }

  // --- tiers ------------------------------------------------------------------------------------------------------
  /** Run the block at env's pc in the interpreter, past its header. */
  #runCold(): number {
    if (this.#debugStop()) {
      this.#debugHit = true;
      return LEAVE.WORK;
    }
    const tb = this.blocks.resolve();
    if (tb === null) return this.#fetchFault();
    this.#options.trace?.exec?.(this.i32[this.#pc], tb.flags);
    return this.#interpretPast(tb);
  }

  #interpretPast(tb: Tb): number {
    this.i32[CTL.TB >> 2] = tb.header;
    this.i32[CTL.BUDGET >> 2] -= tb.insns;
    return this.#core.interpret(tb.header + HEADER.SIZE);
  }

  #oneInsn(): number {
    this.#runAlone = false;
    const tb = this.blocks.resolveAlone();
    if (tb === null) return this.#fetchFault();
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
    const tb = this.blocks.byHeader(header);
    if (tb === undefined) return;
    this.hot.promote(tb);
  }

  /** Compile the block at the current pc now, with what is warm around it. For tests that want the hot tier. */
  compileAtPc(): void {
    const tb = this.blocks.resolve();
    if (tb === null || this.#hotAfter === 0) return;
    this.hot.request(tb);
    this.hot.compilePending();
  }

  // --- callbacks of generated code ----------------------------------------------------------------------------------
  #callj(id: number, a: number, b: number, c: number, d: number): number {
    const { target, i32 } = this;
    // the dispatcher goes on by itself after a helper's fault: what that left must not end this call
    i32[CTL.STATUS >> 2] = 0;
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

  /** From a region, which goes on unless it is kicked: what the device did may have changed its code or mappings. */
  #calld(id: number, a: number, b: number, c: number, d: number): number {
    const before = this.hot.changes;
    const result = this.target.callHelper(id, a, b, c, d);
    if (this.hot.changes !== before) this.kick();
    return result;
  }

  /** A recorded exception at the op in CTL.IP: put the pc right, deliver. */
  #fault(): number {
    this.#rewind();
    this.#charge();
    this.target.deliver();
    return LEAVE.LOOKUP;
  }

  #slow(status: number): number {
    if (status === DONE) return 0;
    if (status === FAULTED) this.faultEntries?.delivering();
    if (status === FAULTED) return this.#fault();
    this.#rewind();
    return LEAVE.ALONE;
  }

  /** pc of the instruction that is executing in the cold tier. */
  currentPc(): number {
    const from = this.blocks.places.pcHere(this.i32[(this.i32[CTL.TB >> 2] + HEADER.PC) >> 2]);
    return (from + this.u16[(this.i32[CTL.IP >> 2] + 12) >> 1]) >>> 0;
  }

  /** Back to the start of the current instruction: pc, and the budget of what has not run. */
  #rewind(): void {
    const { i32 } = this;
    i32[this.#pc] = this.currentPc() | 0;
    const back = this.u16[(i32[CTL.TB >> 2] + HEADER.INSNS) >> 1] - this.u16[(i32[CTL.IP >> 2] + 14) >> 1];
    if (this.#kicked) this.#saved += back;
    else i32[CTL.BUDGET >> 2] += back;
  }

  #fetchFault(): number {
    this.#charge();
    return LEAVE.WORK;
  }

  /** An instruction that faulted costs as much as one that ran: a guest that does nothing but fault comes to its slice's end. */
  #charge(): void {
    if (this.#kicked) this.#saved--;
    else this.i32[CTL.BUDGET >> 2]--;
  }

  // --- invalidation -------------------------------------------------------------------------------------------------
  #codeWrite(host: number, length: number, mayDefer: boolean): boolean {
    if (!this.codeMap.touches(host, length)) return false;
    const hit = this.codeMap.overlapping(host, length);
    if (mayDefer && !this.#alone) {
      for (const tb of hit) if (tb.insns > 1 && this.blocks.isCurrent(tb)) return true;
    }
    for (const tb of hit) this.blocks.rewritten(tb);
    return false;
  }

  /** RAM was written behind the CPU's back (DMA, loaders): host offset and bytes. */
  ramWritten(host: number, length: number): void {
    for (let at = host; at < host + length;) {
      const end = Math.min(at - (at & 4095) + 4096, host + length);
      if (this.codeMap.isCodePage(at >>> 12)) this.#codeWrite(at, end - at, false);
      at = end;
    }
  }

  flushTlb(includeGlobal: boolean): void {
    this.mmu.flush(includeGlobal);
    if (!this.#ready) return; // the target resets itself while it is being made
    this.hot.mappingsChanged(includeGlobal);
    this.blocks.flushJumpCache();
  }

  flushTlbPage(lin: number): void {
    this.mmu.flushPage(lin);
    this.hot.pageChanged(lin);
    this.blocks.flushJumpCachePage(lin);
  }

  // --- debugger -----------------------------------------------------------------------------------------------------
  setBreakpoints(pcs: Iterable<number>): void {
    this.debug.setBreakpoints(pcs);
    this.blocks.flush();
  }

  /** Watchpoints (the guest's or a debugger's) have changed: their pages take the slow path. */
  updateWatched(): void {
    const watched = [...this.target.watchpoints, ...this.debug.watches];
    this.mmu.watch(new Set(watched.flatMap(pageAddresses).map((address) => this.mmu.page(address))));
  }

  #watched(lin: number, size: number, write: boolean): void {
    if (this.target.watchpoints.length > 0 && this.target.hitWatchpoint(lin, size, write)) this.kick();
    if (!this.debug.touch(lin, size, write)) return;
    this.#debugHit = true;
    this.kick();
  }

  /** Linear ranges at whose access `run` stops, after the instruction; `debug.hit` tells which. */
  setWatches(watches: readonly DebugWatch[]): void {
    this.debug.watches.splice(0, Infinity, ...watches);
    this.updateWatched();
    this.blocks.flush();
  }

  /** Go on past the breakpoint at the current pc: its instruction runs by itself. */
  skipBreakpoint(): void {
    this.#runAlone = true;
  }

  #debugStop(): boolean {
    return this.debug.active && this.debug.stopsAt(this.linearPc);
  }
}
