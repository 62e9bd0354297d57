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
 * Not here: long mode, memory and its TLB (`X86Host`), decoding.
 */
import { evaluateFlags } from './flags.ts';
import type { CpuFeatures } from './models/features.ts';
import type { CpuModel } from './models/model.ts';
import {
  CS,
  EDX,
  ENV,
  FLAGS_ARITH,
  FLAG_IF,
  HF_CPL,
  HF_INHIBIT_IRQ,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from './state.ts';
import { collectWatchpoints } from './system/debug-registers.ts';
import type { Watchpoint } from './system/debug-registers.ts';
import { deliverException, deliverExternal, deliverTrap } from './system/exception.ts';
import { CPU_FAULT } from './system/fault.ts';
import { computeHflags, withFpuBits } from './system/hflags.ts';
import { debugTranslate, walk } from './system/paging.ts';
import { resetState } from './system/reset.ts';

export { CPU_FAULT } from './system/fault.ts';

/** What the processor needs from the accelerator and the machine. */
export interface X86Host {
  readonly memory: ArrayBufferLike;
  readonly envBase: number;
  /** EIP of the instruction being executed; valid inside script helpers. */
  currentEip(): number;
  /** Linear access at a privilege (0 supervisor, 1 user). A fault calls `cpu.pageFault`, which throws. */
  read8(lin: number, user: number): number;
  read16(lin: number, user: number): number;
  read32(lin: number, user: number): number;
  write8(lin: number, v: number, user: number): void;
  write16(lin: number, v: number, user: number): void;
  write32(lin: number, v: number, user: number): void;
  /**
   * Host byte offset in `memory` of the RAM behind lin (access 0 read, 1 write), valid to the end of that 4K page;
   * -1 if it is not plain RAM (MMIO, watched, page holding translated code on write). Faults throw.
   */
  pointer(lin: number, access: number, user: number): number;
  /** Host offset of plain RAM behind lin when the TLB knows the page for that access, else -1. Never faults. */
  tlbHit?(lin: number, access: number, user: number): number;
  /** Physical access (page tables, debugger): no faults, open bus reads all ones. */
  physRead8(pa: number): number;
  physRead16(pa: number): number;
  physRead32(pa: number): number;
  physWrite8(pa: number, v: number): void;
  physWrite16(pa: number, v: number): void;
  physWrite32(pa: number, v: number): void;
  flushTlb(includeGlobal: boolean): void;
  flushTlbPage(lin: number): void;
  portIn(port: number, size: 1 | 2 | 4): number;
  portOut(port: number, size: 1 | 2 | 4, v: number): void;
  /** Virtual time-stamp counter: a safe integer number of ticks. */
  tsc(): number;
  /** The current instruction was HLT: stop at the end of this block until work is pending. */
  halt(): void;
  /** Triple fault. */
  shutdown(reason: string): void;
  /** Vector from APIC or PIC (INTA cycle). */
  acknowledgeInterrupt(): number;
  /** `-d int` and the like; absent when off. */
  trace?(event: string, text: string): void;
  /** The guest wrote IA32_APIC_BASE (low half): the machine may move or disable its local APIC. */
  apicBaseChanged?(value: number): void;
  /** A watchpoint was added or removed: pages need their slow path again (or no longer). */
  watchpointsChanged?(): void;
  /** Pending x87 error with CR0.NE = 0: state of the FERR# pin (PC: IRQ 13). */
  ferr?(level: boolean): void;
}

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
  /** log2 of the page size that mapped it: 12, 21, 22. */
  walkPageBits = 12;
  /** The mapping survives a CR3 load. */
  walkGlobal = false;
  /** Page-fault error code after a walk that returned false. CR2 is set by `pageFault`. */
  faultError = 0;
  /** The four PDPTEs of PAE paging (ENV.PDPTE): low and high halves, loaded at CR3/CR0/CR4 writes. SDM Vol. 3A §4.4.1. */
  readonly pdptes: Uint32Array;
  /** PDPTEs being checked before they replace `pdptes`. */
  readonly pdptesRead = new Uint32Array(8);

  // --- scratch of helpers (no allocation on their paths) ----------------------------------------------------------
  /** Low and high dword of the last descriptor fetched. */
  descLo = 0;
  descHi = 0;
  /** Linear address of the last descriptor fetched, for writing accessed and busy bits. */
  descLin = 0;
  /** Stack being pushed to or popped from: linear base, offset mask, current offset, limit, privilege of access. */
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
    this.pdptes = new Uint32Array(m, this.env + ENV.PDPTE, 8);
    this.reset();
  }

  /** Power-on state. SDM Vol. 3A Table 9-1. */
  reset(): void {
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
  setReg(n: number, v: number): void {
    this.e32[n << 1] = v;
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
  setCrRaw(n: number, v: number): void {
    this.e32[(ENV.CR >> 2) + (n << 1)] = v;
  }
  dr(n: number): number {
    return this.e32[(ENV.DR >> 2) + (n << 1)];
  }
  setDrRaw(n: number, v: number): void {
    this.e32[(ENV.DR >> 2) + (n << 1)] = v;
  }
  /** A dword of env by byte offset, unsigned. */
  env32(offset: number): number {
    return this.e32[offset >> 2];
  }
  setEnv32(offset: number, v: number): void {
    this.e32[offset >> 2] = v;
  }

  // --- segment registers (index ES..GS) -----------------------------------------------------------------------------
  segSelector(n: number): number {
    return this.e32[(ENV.SEG + SEG_SELECTOR + n * SEG_STRIDE) >> 2];
  }
  segFlags(n: number): number {
    return this.e32[(ENV.SEG + SEG_FLAGS + n * SEG_STRIDE) >> 2];
  }
  segBase(n: number): number {
    return this.e32[(ENV.SEG + SEG_BASE + n * SEG_STRIDE) >> 2];
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
    if (offset === ENV.SEG + CS * SEG_STRIDE) e[ENV.CS_BASE >> 2] = base;
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
    return evaluateFlags(e[ENV.CC_OP >> 2], e[ENV.CC_DST >> 2], e[ENV.CC_SRC >> 2], e[ENV.CC_SRC2 >> 2]);
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
    e[ENV.EFLAGS >> 2] = (e[ENV.EFLAGS >> 2] & ~other & ~FLAGS_ARITH) | (value & other) | 2;
  }
  /** Recompute the derived bits of HFLAGS; CPL, x87 and MXCSR bits and the shadow are kept. */
  updateHflags(): void {
    this.ei32[ENV.HFLAGS >> 2] = computeHflags(this);
  }

  // --- memory at current privilege and as supervisor ---------------------------------------------------------------
  read8(lin: number): number {
    return this.host.read8(lin >>> 0, this.user);
  }
  read16(lin: number): number {
    return this.host.read16(lin >>> 0, this.user);
  }
  read32(lin: number): number {
    return this.host.read32(lin >>> 0, this.user);
  }
  write8(lin: number, v: number): void {
    this.host.write8(lin >>> 0, v, this.user);
  }
  write16(lin: number, v: number): void {
    this.host.write16(lin >>> 0, v, this.user);
  }
  write32(lin: number, v: number): void {
    this.host.write32(lin >>> 0, v, this.user);
  }
  readSys8(lin: number): number {
    return this.host.read8(lin >>> 0, 0);
  }
  readSys16(lin: number): number {
    return this.host.read16(lin >>> 0, 0) & 0xffff;
  }
  readSys32(lin: number): number {
    return this.host.read32(lin >>> 0, 0) >>> 0;
  }
  writeSys8(lin: number, v: number): void {
    this.host.write8(lin >>> 0, v, 0);
  }
  writeSys16(lin: number, v: number): void {
    this.host.write16(lin >>> 0, v, 0);
  }
  writeSys32(lin: number, v: number): void {
    this.host.write32(lin >>> 0, v, 0);
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
  /** #PF: sets CR2. */
  pageFault(lin: number, errorCode: number): never {
    this.e32[(ENV.CR + 2 * 8) >> 2] = lin;
    this.raise(14, errorCode);
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
    return walk(this, lin >>> 0, access, user ? 1 : 0);
  }
  /** Physical address of lin without side effects (debugger), or -1. */
  debugTranslate(lin: number): number {
    return debugTranslate(this, lin >>> 0);
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
