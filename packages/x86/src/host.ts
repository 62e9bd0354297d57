/** The services that the processor gets of its surroundings; tests have doubles of them. No behaviour. */

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
  /** The TLB entry of a page for supervisor accesses is to be forgotten (its user page is out of reach by SMAP). */
  forgetSupervisorPage?(lin: number): void;
  /** CR8: bits 7:4 of the local APIC's task priority. Without: CR8 is a register of its own. */
  apicTpr?(): number;
  setApicTpr?(priority: number): void;
  /** MSRs 800H-8FFH in x2APIC mode. False: #GP. A 64-bit result goes to out[0] (low) and out[1]. */
  x2apicRead?(msr: number, out: Uint32Array): boolean;
  x2apicWrite?(msr: number, low: number, high: number): boolean;
  /** IA32_TSC_DEADLINE: the count of `tsc()` at which the APIC timer fires; 0 disarms. */
  setTscDeadline?(ticks: number): void;
  /** Set and not yet fired. */
  tscDeadlineArmed?(): boolean;
  /** 32 random bits, for RDRAND and RDSEED. Without: they report that none are available. */
  random32?(): number;
  /** A watchpoint was added or removed: pages need their slow path again (or no longer). */
  watchpointsChanged?(): void;
  /** Pending x87 error with CR0.NE = 0: state of the FERR# pin (PC: IRQ 13). */
  ferr?(level: boolean): void;
}
