/**
 * The x86 as an accelerator's target: binds CPU state, system helpers, page walker and translator to the services of
 * one accelerator. Structurally what `@emkit/accel-tcg` calls a Target; this package does not import it.
 */
import { CPU_FAULT, X86Cpu } from './cpu.ts';
import type { X86Host } from './cpu.ts';
import { X86Frontend } from './frontend.ts';
import { pageWalkControl, pageWalkTable } from './system/page-walk-table.ts';
import { bindHelpers } from './helpers.ts';
import type { Helper } from './helpers.ts';
import type { CpuModel } from './models/model.ts';
import { ENV, EXC, HF_CS64, HF_LMA } from './state.ts';
import { decodeFeatures } from './decode/features.ts';
import { FAULT_ENTRY, translateFaultEntry } from './translate/fault-entry.ts';
import type { IrBuilder, Optimisations } from '@emkit/ir';

/** In `recordNonCanonical`: an access through SS. */
const ACCESS_STACK = 64;

export class X86Target extends X86Frontend {
  readonly longMask = HF_LMA;
  readonly windowMask = HF_CS64;
  readonly fault = CPU_FAULT;
  readonly cpu: X86Cpu;
  readonly pageWalk: ReturnType<typeof pageWalkTable>;
  readonly faultEntry = {
    ...FAULT_ENTRY,
    translate: (b: IrBuilder, flags: number, optimisations: Optimisations): boolean =>
      translateFaultEntry(b, flags, decodeFeatures(this.cpu.features), optimisations),
  };
  readonly #helpers: readonly Helper[];

  constructor(host: X86Host, model: CpuModel) {
    super(model.features);
    this.cpu = new X86Cpu(host, model);
    this.pageWalk = pageWalkTable(this.cpu);
    this.#helpers = bindHelpers(this.cpu);
  }

  linear(pc: number, csBase: number, flags: number): number {
    if ((flags & HF_CS64) !== 0) return this.cpu.linear.of(pc, csBase);
    return (pc + csBase) >>> 0;
  }
  canonical(_lo: number, hi: number): boolean {
    return this.cpu.linear.canonicalHigh(hi);
  }
  number(lo: number, hi: number): number {
    return this.cpu.linear.of(lo, hi);
  }
  highHalf(lin: number): number {
    return this.cpu.linear.high(lin);
  }
  oneNumber(lin: number): number {
    return this.cpu.linear.one(lin);
  }
  pageNumber(lin: number): number {
    return this.cpu.linear.page(lin);
  }
  pageAddress(page: number): number {
    return this.cpu.linear.ofPage(page);
  }
  recordNonCanonical(_lo: number, _hi: number, kind: number): void {
    this.record((kind & ACCESS_STACK) !== 0 ? EXC.SS : EXC.GP, 0);
  }
  callHelper(id: number, a: number, b: number, c: number, d: number): number {
    return this.#helpers[id](a, b, c, d);
  }
  record(vector: number, errorCode: number): void {
    this.cpu.setEnv32(ENV.EXCEPTION_VECTOR, vector);
    this.cpu.setEnv32(ENV.EXCEPTION_ERROR, errorCode);
  }
  recordPageFault(lin: number): void {
    this.cpu.recordPageFault(lin);
  }
  deliver(): void {
    this.cpu.deliver();
  }
  canInterrupt(): boolean {
    return this.cpu.canInterrupt();
  }
  canNmi(): boolean {
    return this.cpu.canNmi();
  }
  interrupt(vector: number): void {
    this.cpu.interrupt(vector);
  }
  get halted(): boolean {
    return this.cpu.halted;
  }
  wake(): void {
    this.cpu.halted = false;
  }
  walk(lin: number, access: number, user: boolean): boolean {
    return this.cpu.walk(lin, access, user);
  }
  pageWalkControl(): number {
    return pageWalkControl(this.cpu);
  }
  get walkPhys(): number {
    return this.cpu.walkPhys;
  }
  get walkProt(): number {
    return this.cpu.walkProt;
  }
  get walkGlobal(): boolean {
    return this.cpu.walkGlobal;
  }
  debugTranslate(lin: number): number {
    return this.cpu.debugTranslate(lin);
  }
  get watchpoints(): X86Cpu['watchpoints'] {
    return this.cpu.watchpoints;
  }
  hitWatchpoint(lin: number, size: number, write: boolean): boolean {
    return this.cpu.hitWatchpoint(lin, size, write);
  }
  deliverPendingTrap(): void {
    this.cpu.deliverPendingTrap();
  }
}
