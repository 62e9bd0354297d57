/**
 * What the accelerator needs from a guest architecture, and what it gives in return. The target knows decoding,
 * paging and exceptions; the accelerator knows blocks, TLB and tiers. Neither imports the other: a board hands one to
 * the other.
 */
import type { FaultEntry, PageWalk } from '@emkit/codegen';
import type { GlobalDef, IrBuilder, Optimisations, TranslateRequest, TranslateResult } from '@emkit/ir';

/** What translation needs of a target: nothing of a running processor. */
export interface TargetFrontend {
  /** The registers that blocks under these flags keep in locals: one table (the same object) per mode. */
  globalsFor(flags: number): readonly GlobalDef[];
  /**
   * Offsets in env of pc, block flags and the third word of a block's key: code segment base, or where pcs have 64 bits their high half (the
   * window). A global of type i32 at a multiple of 8 owns the 8 bytes there, unless the other 4 are a global too.
   */
  readonly offsets: { readonly pc: number; readonly flags: number; readonly csBase: number };
  /** Flag bits that name the privilege level, and their value for user mode. */
  readonly userMask: number;
  readonly userValue: number;
  /** Names of the WebAssembly helpers in `callw` index order. */
  readonly wasmHelpers: readonly string[];
  translate(b: IrBuilder, request: TranslateRequest, result: TranslateResult): void;
}

export interface Target extends TargetFrontend {
  readonly name: string;
  /** Flag bit under which linear addresses have 64 bits: TLB tags are compared whole, and numbers may be negative. */
  readonly longMask: number;
  /** Flag bit under which the third word of a block's key (`offsets.csBase`) is the high half of the pc; 0: never. */
  readonly windowMask: number;
  /** Linear number of a pc: 0 to 2^32 - 1, or with `longMask` that of a 64-bit address, see `number`. */
  linear(pc: number, csBase: number, flags: number): number;
  /**
   * The number of a 64-bit address, with the same low 32 bits. Where addresses have more bits than a double, it is good for as long as one
   * access, helper or region is worked on, and more than one number can stand for an address (sums across certain borders).
   */
  number(lo: number, hi: number): number;
  /** The address's high half, i32, of its number. */
  highHalf(lin: number): number;
  /** The number that stands for all others of its address: to be compared. */
  oneNumber(lin: number): number;
  /** Page number, address / 4096, which lasts and is exact; and back. */
  pageNumber(lin: number): number;
  pageAddress(page: number): number;
  /** Can the 64-bit address be mapped at all? Asked before a number is made of the two halves. */
  canonical(lo: number, hi: number): boolean;
  /** Record the fault of an access to an address that is not. `kind`: ACCESS_KIND bits. */
  recordNonCanonical(lo: number, hi: number, kind: number): void;
  /** Bytes of env. */
  readonly envSize: number;
  /** Script helper; may throw a fault. */
  callHelper(id: number, a: number, b: number, c: number, d: number): number;
  /** The one object that helpers throw when they have recorded an exception. */
  readonly fault: Error;
  /** Record an exception for `deliver`. */
  record(vector: number, errorCode: number): void;
  /** Record the page fault of the last `walk`. */
  recordPageFault(lin: number): void;
  /** Deliver the recorded exception at the pc in env. Never throws. */
  deliver(): void;
  canInterrupt(): boolean;
  interrupt(vector: number): void;
  /** No NMI is being handled. */
  canNmi(): boolean;
  /** Waiting for an interrupt. */
  readonly halted: boolean;
  wake(): void;

  /** Page walk for access 0 read, 1 write, 2 execute; results in the walk* fields. */
  walk(lin: number, access: number, user: boolean): boolean;
  readonly walkPhys: number;
  /** 1 read, 2 write, 4 execute. */
  readonly walkProt: number;
  readonly walkGlobal: boolean;
  /** The page tables as data, for a walker in WebAssembly that does what is plain; without: `walk` does all. */
  readonly pageWalk?: PageWalk;
  /** Control word of that walker, asked anew after each flush of everything; 0: only `walk` can do it now. */
  pageWalkControl?(): number;
  /** Page faults that this walker finds can be delivered without script. */
  readonly faultEntry?: FaultEntry & {
    /**
     * The way into the handler as hot IR that ends in an `exit`: pc, address and error code are in env, and block flags agree with these where
     * `flags` says so. Accesses are the supervisor's; what the IR leaves to script it leaves by `bail_if`. False: nothing for these flags.
     */
    translate(b: IrBuilder, flags: number, optimisations: Optimisations): boolean;
  };
  /** Physical address without side effects, or -1: debugger. */
  debugTranslate(lin: number): number;

  /** Linear ranges to be watched for the guest's own debug registers. */
  readonly watchpoints: readonly { readonly address: number; readonly length: number; readonly reads: boolean }[];
  /** Note a hit; true when the trap is to be taken after this instruction. */
  hitWatchpoint(lin: number, size: number, write: boolean): boolean;
  /** Deliver a trap noted by `hitWatchpoint`, pc in env being the next instruction. */
  deliverPendingTrap(): void;
}

/** Services of the accelerator for the target's helpers. See `X86Host`-like interfaces of targets. */
export interface TargetHost {
  readonly memory: ArrayBufferLike;
  readonly envBase: number;
  currentEip(): number;
  read8(lin: number, user: number): number;
  read16(lin: number, user: number): number;
  read32(lin: number, user: number): number;
  write8(lin: number, v: number, user: number): void;
  write16(lin: number, v: number, user: number): void;
  write32(lin: number, v: number, user: number): void;
  pointer(lin: number, access: number, user: number): number;
  /** Host offset of plain RAM when the TLB knows the page for that access, else -1. */
  tlbHit(lin: number, access: number, user: number): number;
  physRead8(pa: number): number;
  physRead16(pa: number): number;
  physRead32(pa: number): number;
  physWrite8(pa: number, v: number): void;
  physWrite16(pa: number, v: number): void;
  physWrite32(pa: number, v: number): void;
  flushTlb(includeGlobal: boolean): void;
  flushTlbPage(lin: number): void;
  /** The TLB entry of a page for supervisor accesses is dropped; its mapping is what it was. */
  forgetSupervisorPage(lin: number): void;
  portIn(port: number, size: 1 | 2 | 4): number;
  portOut(port: number, size: 1 | 2 | 4, v: number): void;
  tsc(): number;
  halt(): void;
  shutdown(reason: string): void;
  acknowledgeInterrupt(): number;
  trace?(event: string, text: string): void;
  watchpointsChanged?(): void;
}
