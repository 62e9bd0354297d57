/**
 * One x86 processor: accessors over the env in linear memory, and the operations that translated code cannot do
 * itself. The work is in system/*.ts; this class holds the host, the views and the results of the last page walk.
 *
 * Faults: `raise` records vector and error code in env and throws the one preallocated `CPU_FAULT`. Whoever called
 * into the CPU catches it, puts the EIP of the faulting instruction into env and calls `deliver` (which never throws).
 * Traps (single step, data breakpoints, INT n) are delivered by their helper, with EIP already at the next instruction.
 *
 * Invariants: HFLAGS always agrees with CR0, CR4, EFLAGS, DR7 and the segment caches (`updateHflags`); CPL lives in
 * HFLAGS; HF_INHIBIT_IRQ in HFLAGS is the interrupt shadow itself. The translator ends HF_INHIBIT_IRQ and HF_RF (with
 * EFLAGS.RF) in the block that runs under them, before any helper that finishes the instruction.
 * In 64-bit code the word of the CS base is the high half of RIP (docs/adr/0015): whoever loads CS sets it (`setRip`).
 * Linear addresses are numbers: u32 without long mode, those of `linear` with it.
 * Not here: memory and its TLB (`X86Host`), decoding.
 */
import { evaluateFlags } from './flags.ts';
import type { X86Host } from './host.ts';
import { F_LA57 } from './models/features.ts';
import type { CpuFeatures } from './models/features.ts';
import type { CpuModel } from './models/model.ts';
import {
  CS,
  EDX,
  ENV,
  EXC,
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_IF,
  FS,
  HF_CPL,
  HF_CS64,
  HF_INHIBIT_IRQ,
  HF_LA57,
  HF_LMA,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from './state.ts';
import { DESC_L } from './system/descriptor-bits.ts';
import { collectWatchpoints } from './system/debug-registers.ts';
import type { Watchpoint } from './system/debug-registers.ts';
import { deliverException, deliverExternal, deliverTrap } from './system/exception.ts';
import { CPU_FAULT } from './system/fault.ts';
import { LinearNumbers } from './system/linear-numbers.ts';
import { computeHflags, withFpuBits } from './system/hflags.ts';
import { NOT_CANONICAL, physicalBits } from './system/page-rights.ts';
import { debugTranslate, walk } from './system/paging.ts';
import { resetState } from './system/reset.ts';
import { SmapPages } from './system/smap-pages.ts';

export { CPU_FAULT } from './system/fault.ts';
export type { X86Host } from './host.ts';

export class X86Cpu {
  readonly host: X86Host;
  readonly model: CpuModel;
  readonly features: CpuFeatures;
  /** Byte offset of env in memory. */
  readonly env: number;
  /** Views of the whole linear memory. */
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** Views of env alone: index = ENV.X >> 2 (e32, ei32) or ENV.X (e8). */
  readonly e8: Uint8Array;
  readonly e32: Uint32Array;
  readonly ei32: Int32Array;

  // --- results of walk ------------------------------------------------------------------------------------------
  /** Physical address of the byte (A20 applied). */
  walkPhys = 0;
  /** 1 read, 2 write, 4 execute: allowed at that privilege without another walk. */
  walkProt = 0;
  /** log2 of the page size that mapped it: 12, 21, 22, 30. */
  walkPageBits = 12;
  /** The mapping survives a CR3 load. */
  walkGlobal = false;
  /** Page-fault error code after a walk that returned false. CR2 is set by `pageFault`. */
  faultError = 0;
  /** The four PDPTEs of PAE paging (ENV.PDPTE): low and high halves, loaded at CR3/CR0/CR4 writes. SDM Vol. 3A §4.4.1. */
  readonly pdptes: Uint32Array;
  /** MAXPHYADDR; and what entries of 8 bytes have in their high dword: bits of the address. SDM Vol. 3A §4.1.4. */
  readonly physicalBits: number;
  readonly pteHighMask: number;
  /** Linear addresses of 64 bits as numbers. */
  readonly linear: LinearNumbers;
  /** User pages that supervisor accesses have reached under EFLAGS.AC. */
  readonly smapPages: SmapPages;
  /** PDPTEs being checked before they replace `pdptes`. */
  readonly pdptesRead = new Uint32Array(8);

  // --- scratch of helpers (no allocation on their paths) ----------------------------------------------------------
  /** Low and high dword of the last descriptor fetched. */
  descLo = 0;
  descHi = 0;
  /** Linear address of the last descriptor fetched, for writing accessed and busy bits. */
  descLin = 0;
  /** Upper half of the base or offset of the last 16-byte descriptor fetched. */
  descUpper = 0;
  /**
   * Stack being pushed to or popped from: linear base, offset mask (0: a 64-bit stack, whose offset is the linear number),
   * current offset, limit, privilege of access.
   */
  stackBase = 0;
  stackMask = 0xffffffff;
  stackPtr = 0;
  stackLimit = 0xffffffff;
  stackFlags = 0;
  stackUser = 0;
  /** Selector part of the error code of #SS on that stack. */
  stackSelector = 0;
  /** ESP of the inner stack as read from the TSS. */
  innerEsp = 0;
  /** Task switch: general registers, and selectors ES CS SS DS FS GS LDT, as read from the new TSS. */
  readonly newRegisters = new Uint32Array(8);
  readonly newSelectors = new Uint32Array(7);
  newPdptesValid = true;
  /** Returns in long mode: RIP, CS, RFLAGS, RSP, SS as popped, then the descriptors of code and stack; two words each. */
  readonly returnFrame = new Uint32Array(14);
  /** High half of the last 64-bit value popped. */
  popHigh = 0;
  readonly x2apicResult = new Uint32Array(2);
  readonly cpuidResult = new Uint32Array(4);
  /** What of this processor shows in CPUID; the machine sets the APIC id of further processors. */
  readonly cpuidState = { apicId: 0, apicEnabled: true };
  /** Within `deliver`: a fault after a task switch's commit is the delivery loop's. */
  delivering = false;
  /** Set while an event is delivered from outside the program: the EXT bit of error codes. */
  ext = 0;

  /** Data breakpoints of DR7, for the accelerator's watched pages. Rebuilt when DR0-DR7 change. */
  readonly watchpoints: Watchpoint[] = [];

  constructor(host: X86Host, model: CpuModel) {
    this.host = host;
    this.model = model;
    this.features = model.features;
    this.env = host.envBase;
    const m = host.memory;
    this.u8 = new Uint8Array(m);
    this.u16 = new Uint16Array(m);
    this.u32 = new Uint32Array(m);
    this.i32 = new Int32Array(m);
    this.f64 = new Float64Array(m);
    this.e8 = new Uint8Array(m, this.env, ENV.SIZE);
    this.e32 = new Uint32Array(m, this.env, ENV.SIZE >> 2);
    this.ei32 = new Int32Array(m, this.env, ENV.SIZE >> 2);
    this.physicalBits = physicalBits(this.features);
    this.pteHighMask = (1 << (Math.max(this.physicalBits, 36) - 32)) - 1; // only entries of 8 bytes have it
    this.linear = new LinearNumbers((this.features.ecx7 & F_LA57) !== 0);
    this.smapPages = new SmapPages(this);
    this.pdptes = new Uint32Array(m, this.env + ENV.PDPTE, 8);
    this.reset();
  }

  /** Power-on state. SDM Vol. 3A Table 9-1. */
  reset(): void {
    this.smapPages.clear();
    resetState(this);
    this.watchpoints.length = 0;
    this.setReg(EDX, this.model.signature);
    this.hflags = withFpuBits(this, 0);
    this.updateHflags();
    this.host.flushTlb(true);
  }

  // --- registers --------------------------------------------------------------------------------------------------
  /** General register n, unsigned. */
  reg(n: number): number {
    return this.e32[n << 1];
  }
  /** As a 32-bit write does: the upper half becomes 0. */
  setReg(n: number, v: number): void {
    this.e32[n << 1] = v;
    this.e32[(n << 1) + 1] = 0;
  }
  /** Upper half of a general register, unsigned. */
  regHigh(n: number): number {
    return this.e32[(n << 1) + 1];
  }
  setReg64(n: number, low: number, high: number): void {
    this.e32[n << 1] = low;
    this.e32[(n << 1) + 1] = high;
  }
  /** All of a general register as the number of an address. */
  regNumber(n: number): number {
    return this.linear.of(this.ei32[n << 1], this.ei32[(n << 1) + 1]);
  }
  /** Low 16 bits of a general register. */
  setReg16(n: number, v: number): void {
    this.e32[n << 1] = (this.e32[n << 1] & 0xffff0000) | (v & 0xffff);
  }
  get eip(): number {
    return this.e32[ENV.EIP >> 2];
  }
  set eip(v: number) {
    this.e32[ENV.EIP >> 2] = v;
  }
  /** RIP in 64-bit code (a number of `linear`), else EIP. */
  get rip(): number {
    return (this.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0 ? this.envNumber(ENV.EIP, ENV.CS_BASE) : this.eip;
  }
  set rip(v: number) {
    this.setRip(v, this.linear.high(v));
  }
  /** RIP from its halves; the high one counts in 64-bit code only. HFLAGS must be those of the code it is in. */
  setRip(low: number, high: number): void {
    this.e32[ENV.EIP >> 2] = low;
    if ((this.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0) this.e32[ENV.CS_BASE >> 2] = high;
  }
  /** High half of a RIP just behind the instruction that executes, whose low half is given. */
  nextHigh(next: number): number {
    if ((this.ei32[ENV.HFLAGS >> 2] & HF_CS64) === 0) return 0;
    const high = this.ei32[ENV.CS_BASE >> 2];
    return next >>> 0 < this.host.currentEip() >>> 0 ? high + 1 : high;
  }
  /** RIP to the next instruction. */
  goNext(next: number): void {
    if ((this.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0) this.e32[ENV.CS_BASE >> 2] = this.nextHigh(next);
    this.e32[ENV.EIP >> 2] = next;
  }
  /** EFER.LMA: long mode, of either kind of code. */
  get longMode(): boolean {
    return (this.ei32[ENV.HFLAGS >> 2] & HF_LMA) !== 0;
  }
  get code64(): boolean {
    return (this.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0;
  }
  get hflags(): number {
    return this.ei32[ENV.HFLAGS >> 2];
  }
  set hflags(v: number) {
    this.ei32[ENV.HFLAGS >> 2] = v;
  }
  get cpl(): number {
    return this.e32[ENV.HFLAGS >> 2] & HF_CPL;
  }
  /** Caller runs updateHflags afterwards. */
  set cpl(v: number) {
    this.ei32[ENV.HFLAGS >> 2] = (this.ei32[ENV.HFLAGS >> 2] & ~HF_CPL) | v;
  }
  /** 1 when code runs at CPL 3: the MMU index and the `user` argument of host accesses. */
  get user(): number {
    return (this.e32[ENV.HFLAGS >> 2] & HF_CPL) === 3 ? 1 : 0;
  }
  cr(n: number): number {
    return this.e32[(ENV.CR >> 2) + (n << 1)];
  }
  crHigh(n: number): number {
    return this.e32[(ENV.CR >> 2) + (n << 1) + 1];
  }
  setCrRaw(n: number, v: number, high = 0): void {
    this.e32[(ENV.CR >> 2) + (n << 1)] = v;
    this.e32[(ENV.CR >> 2) + (n << 1) + 1] = high;
  }
  dr(n: number): number {
    return this.e32[(ENV.DR >> 2) + (n << 1)];
  }
  /** All of a debug register as the number of an address. */
  drNumber(n: number): number {
    return this.envNumber(ENV.DR + n * 8);
  }
  setDrRaw(n: number, v: number, high = 0): void {
    this.e32[(ENV.DR >> 2) + (n << 1)] = v;
    this.e32[(ENV.DR >> 2) + (n << 1) + 1] = high;
  }
  /** A dword of env by byte offset, unsigned. */
  env32(offset: number): number {
    return this.e32[offset >> 2];
  }
  setEnv32(offset: number, v: number): void {
    this.e32[offset >> 2] = v;
  }
  /** Eight bytes of env as the number of an address. */
  envNumber(offset: number, highOffset = offset + 4): number {
    return this.linear.of(this.ei32[offset >> 2], this.ei32[highOffset >> 2]);
  }
  setEnv64(offset: number, low: number, high: number): void {
    this.e32[offset >> 2] = low;
    this.e32[(offset >> 2) + 1] = high;
  }

  // --- segment registers (index ES..GS) -----------------------------------------------------------------------------
  segSelector(n: number): number {
    return this.e32[(ENV.SEG + SEG_SELECTOR + n * SEG_STRIDE) >> 2];
  }
  segFlags(n: number): number {
    return this.e32[(ENV.SEG + SEG_FLAGS + n * SEG_STRIDE) >> 2];
  }
  /** Base as a number: u32, or of FS and GS in long mode that of a 64-bit address. */
  segBase(n: number): number {
    return this.envNumber(ENV.SEG + SEG_BASE + n * SEG_STRIDE);
  }
  /** 64-bit code: the number of seg:offset. Only FS and GS have a base there. */
  linearIn(seg: number, low: number, high: number): number {
    if (seg < FS) return this.linear.of(low, high);
    const base = (ENV.SEG + SEG_BASE + seg * SEG_STRIDE) >> 2;
    const sum = this.e32[base] + (low >>> 0);
    return this.linear.of(sum | 0, this.ei32[base + 1] + (high | 0) + (sum >= 0x1_0000_0000 ? 1 : 0));
  }
  /** All 64 bits of the base of FS or GS, and nothing else of it. */
  setSegBase(n: number, low: number, high: number): void {
    this.setEnv64(ENV.SEG + SEG_BASE + n * SEG_STRIDE, low, high);
  }
  segLimit(n: number): number {
    return this.e32[(ENV.SEG + SEG_LIMIT + n * SEG_STRIDE) >> 2];
  }
  /** Writes a segment register's hidden part as given; no checks. `offset`: ENV.SEG + n * SEG_STRIDE, ENV.LDTR or ENV.TR. */
  setSegCache(offset: number, selector: number, base: number, limit: number, flags: number): void {
    const e = this.e32;
    const i = offset >> 2;
    e[i + (SEG_SELECTOR >> 2)] = selector;
    e[i + (SEG_FLAGS >> 2)] = flags;
    e[i + (SEG_BASE >> 2)] = base;
    e[i + (SEG_BASE >> 2) + 1] = 0;
    e[i + (SEG_LIMIT >> 2)] = limit;
    if (offset === ENV.SEG + CS * SEG_STRIDE) {
      // 64-bit code begins in the window at 0; `setRip` puts it elsewhere
      const is64 = (flags & DESC_L) !== 0 && (e[ENV.HFLAGS >> 2] & HF_LMA) !== 0;
      e[ENV.CS_BASE >> 2] = is64 ? 0 : base;
    }
  }
  setSeg(n: number, selector: number, base: number, limit: number, flags: number): void {
    this.setSegCache(ENV.SEG + n * SEG_STRIDE, selector, base, limit, flags);
  }

  // --- flags ----------------------------------------------------------------------------------------------------------
  /** All of EFLAGS, lazy ones computed. Bit 1 is always set. */
  eflags(): number {
    return (this.ei32[ENV.EFLAGS >> 2] & ~FLAGS_ARITH) | this.arithFlags() | 2;
  }
  /** CF PF AF ZF SF OF out of the lazy state. */
  arithFlags(): number {
    const e = this.ei32;
    const dst = ENV.CC_DST >> 2;
    const src = ENV.CC_SRC >> 2;
    return evaluateFlags(e[ENV.CC_OP >> 2], e[dst], e[src], e[ENV.CC_SRC2 >> 2], e[dst + 1], e[src + 1]);
  }
  /** Replace the bits in mask. Arithmetic ones become CC_EFLAGS. A caller that changes TF, RF, VM, AC or IOPL runs updateHflags. */
  setEflags(value: number, mask: number): void {
    const e = this.ei32;
    if ((mask & FLAGS_ARITH) !== 0) {
      const kept = (mask & FLAGS_ARITH) === FLAGS_ARITH ? 0 : this.arithFlags() & ~mask;
      e[ENV.CC_SRC >> 2] = kept | (value & mask & FLAGS_ARITH);
      e[ENV.CC_OP >> 2] = 0;
    }
    const other = mask & ~FLAGS_ARITH;
    if (this.smapPages.count !== 0 && (other & ~value & FLAG_AC) !== 0) this.smapPages.forget();
    e[ENV.EFLAGS >> 2] = (e[ENV.EFLAGS >> 2] & ~other & ~FLAGS_ARITH) | (value & other) | 2;
  }
  /** Recompute the derived bits of HFLAGS; CPL, x87 and MXCSR bits and the shadow are kept. */
  updateHflags(): void {
    const hflags = computeHflags(this);
    this.ei32[ENV.HFLAGS >> 2] = hflags;
    this.linear.setWide((hflags & HF_LA57) !== 0);
  }

  // --- memory at current privilege and as supervisor ---------------------------------------------------------------
  /** A linear address of the running code: 32 bits of it, unless that is 64-bit code. */
  #lin(lin: number): number {
    return (this.ei32[ENV.HFLAGS >> 2] & HF_CS64) !== 0 ? lin : lin >>> 0;
  }
  /** A linear address of tables: their bases are 64-bit in all of long mode. */
  #sys(lin: number): number {
    return (this.ei32[ENV.HFLAGS >> 2] & HF_LMA) !== 0 ? lin : lin >>> 0;
  }
  read8(lin: number): number {
    return this.host.read8(this.#lin(lin), this.user);
  }
  read16(lin: number): number {
    return this.host.read16(this.#lin(lin), this.user);
  }
  read32(lin: number): number {
    return this.host.read32(this.#lin(lin), this.user);
  }
  write8(lin: number, v: number): void {
    this.host.write8(this.#lin(lin), v, this.user);
  }
  write16(lin: number, v: number): void {
    this.host.write16(this.#lin(lin), v, this.user);
  }
  write32(lin: number, v: number): void {
    this.host.write32(this.#lin(lin), v, this.user);
  }
  readSys8(lin: number): number {
    return this.host.read8(this.#sys(lin), 0);
  }
  readSys16(lin: number): number {
    return this.host.read16(this.#sys(lin), 0) & 0xffff;
  }
  readSys32(lin: number): number {
    return this.host.read32(this.#sys(lin), 0) >>> 0;
  }
  writeSys8(lin: number, v: number): void {
    this.host.write8(this.#sys(lin), v, 0);
  }
  writeSys16(lin: number, v: number): void {
    this.host.write16(this.#sys(lin), v, 0);
  }
  writeSys32(lin: number, v: number): void {
    this.host.write32(this.#sys(lin), v, 0);
  }

  // --- exceptions and interrupts --------------------------------------------------------------------------------------
  /** EIP of the instruction being executed. */
  currentEip(): number {
    return this.host.currentEip();
  }
  /** Record an exception (errorCode -1: it has none) and leave. No state may have been changed before. */
  raise(vector: number, errorCode = -1): never {
    this.e32[ENV.EXCEPTION_VECTOR >> 2] = vector;
    this.ei32[ENV.EXCEPTION_ERROR >> 2] = errorCode;
    throw CPU_FAULT;
  }
  /** Raise the fault of a walk that ended with this error code. */
  pageFault(lin: number, errorCode: number): never {
    this.faultError = errorCode;
    this.recordPageFault(lin);
    throw CPU_FAULT;
  }
  /** Record the fault of the last walk: #PF, which sets CR2, or #GP(0) of what is no address at all. */
  recordPageFault(lin: number): void {
    const canonical = this.faultError !== NOT_CANONICAL;
    if (canonical) this.setCr2(lin);
    this.e32[ENV.EXCEPTION_VECTOR >> 2] = canonical ? EXC.PF : EXC.GP;
    this.ei32[ENV.EXCEPTION_ERROR >> 2] = canonical ? this.faultError : 0;
  }
  setCr2(lin: number): void {
    this.setCrRaw(2, lin, this.longMode ? this.linear.high(lin) : 0);
  }
  /** Deliver the recorded exception at env.EIP (EIP of the faulting instruction). Never throws. */
  deliver(): void {
    deliverException(this);
  }
  /** Deliver #DB for the pending bits in PENDING_DR6 (data breakpoints, task trap, single step); EIP = next. No-op without. */
  deliverPendingTrap(): void {
    deliverTrap(this);
  }
  /** Deliver an external interrupt (or NMI = 2, which blocks further ones until IRET) at env.EIP; ends HLT. */
  interrupt(vector: number): void {
    deliverExternal(this, vector);
  }
  /** IF set and no interrupt shadow. */
  canInterrupt(): boolean {
    return (this.ei32[ENV.EFLAGS >> 2] & FLAG_IF) !== 0 && (this.ei32[ENV.HFLAGS >> 2] & HF_INHIBIT_IRQ) === 0;
  }
  /** No NMI is being handled, and no MOV SS shadow. SDM Vol. 3A §6.7.1. */
  canNmi(): boolean {
    return this.e32[ENV.NMI_BLOCKED >> 2] === 0 && (this.ei32[ENV.HFLAGS >> 2] & HF_INHIBIT_IRQ) === 0;
  }
  get halted(): boolean {
    return this.e32[ENV.HALTED >> 2] !== 0;
  }
  set halted(v: boolean) {
    this.e32[ENV.HALTED >> 2] = v ? 1 : 0;
  }

  // --- paging ---------------------------------------------------------------------------------------------------------
  /** Translate lin for access 0 read, 1 write, 2 execute. Result in walk*; false: error code in faultError. Hot path. */
  walk(lin: number, access: number, user: boolean): boolean {
    return walk(this, this.#sys(lin), access, user ? 1 : 0);
  }
  /** Physical address of lin without side effects (debugger), or -1. */
  debugTranslate(lin: number): number {
    return debugTranslate(this, this.#sys(lin));
  }
  /** WRPKRU, XRSTOR. */
  setPkru(v: number): void {
    if (this.e32[ENV.PKRU >> 2] === v >>> 0) return;
    this.e32[ENV.PKRU >> 2] = v;
    this.host.flushTlb(true);
  }
  /** The A20 gate. */
  setA20(enabled: boolean): void {
    const mask = enabled ? 0xffffffff : 0xffefffff;
    if (this.e32[ENV.A20_MASK >> 2] === mask) return;
    this.e32[ENV.A20_MASK >> 2] = mask;
    this.host.flushTlb(true);
  }
  /** After a state load: rebuild what is derived from env. */
  afterLoad(): void {
    collectWatchpoints(this);
    this.smapPages.clear();
    this.hflags = withFpuBits(this, this.hflags);
    this.updateHflags();
    this.host.flushTlb(true);
  }

  // --- data breakpoints -------------------------------------------------------------------------------------------
  /** The accelerator saw an access of `size` bytes (write or read) on a watched page: note hits for the trap after this instruction. */
  hitWatchpoint(lin: number, size: number, write: boolean): boolean {
    let hit = 0;
    for (const w of this.watchpoints) {
      if (lin < w.address + w.length && w.address < lin + size && (write || w.reads)) hit |= 1 << w.index;
    }
    this.e32[ENV.PENDING_DR6 >> 2] |= hit;
    return hit !== 0;
  }
}
