/**
 * What an instruction handler sees.
 * One `Translator` per code cache, reset for every block. A handler is `(t, i) => void`, `i` the decoded instruction
 * (same as t.insn), `t.b` the IrBuilder. Values are SSA snapshots. Integer values of sizes 0-2 (log2 of bytes) are i32 and
 * ZERO-EXTENDED everywhere in this API (`read*`), and may carry garbage above their width when written (`write*` cut);
 * size 3 (64-bit code) is i64. t.int(size, n) is a constant of a size, t.low, t.high, t.extend, t.extendSigned, t.sized
 * go between the types (narrow.ts). Addresses are values of whatever type the mode wants: t.addressAdd, never b.add.
 * A script helper takes i32: a 64-bit value is two of them.
 *
 * Order inside a handler: first everything that may leave (loads, stores, t.raiseIf, t.call), then sets. Stores of the
 * instruction come before register and flag sets.
 *
 *   t.size(n)            log2 bytes of operand n (0..4)          t.isMem   ModRM names memory
 *   t.read(n)            operand n: general register, memory, immediate in the operation's type (8 bytes: i64, 16: v128)
 *   t.readRmw(n)         the same for a destination that is written afterwards: memory is checked for write first
 *   t.write(n, v)        general register or memory
 *   t.reg(r, size) t.setReg(r, size, v)      general registers (size 0: 4-7 = AH CH DH BH without REX)
 *   t.memory(bytes, access)   linear address of the ModRM memory operand, segment checks done for `bytes` bytes;
 *                             access ACCESS_READ | ACCESS_WRITE | ACCESS_RMW. Then t.b.load('ld64', address) etc.
 *   t.memoryAt(offset)   for operands in pieces: address + offset, wrapped (checks were done by t.memory)
 *   t.ea()               effective address without segment (LEA)
 *   t.call(name, ...args)     script helper (SYSTEM_, STRING_, FPU_HELPERS); globals are re-read afterwards
 *   t.callw(name, ...args)    wasm helper (src/wasm-helpers.ts)
 *   t.envLoad(offset) t.envStore(offset, v)    i32 (or v's type) env slots outside the globals
 *   t.xmm(n) t.setXmm(n, v)   xmm registers 0-7, in 64-bit code 0-15 (globals)
 *   t.raise(vector, error)    unconditional exception at this instruction; ends the block
 *   t.raiseIf(cond, vector, error)
 *   t.undefined()        #UD, ends the block
 *   t.flags              block flags (HF_*) known to hold here; t.setFlags(f) changes them (x87 TOP)
 *   t.next               EIP after this instruction (in 64-bit code its low half; t.nextHigh the other)
 *   t.hot                hot translation (fast forms guarded by t.b.bailIf allowed)
 *   t.features           CPU features (t.has(FEATURE.x), decode/features.ts)
 *   lazy flags (lazy-flags.ts): t.setEflags(v) stores all six arithmetic flags as EFLAGS bits (COMISS, FCOMI, PTEST:
 *   free when dead), t.condition(cc) = condition cc (0-15 as in Jcc) as 0/1, t.carry(), t.zero(), ...
 *   x87 and SSE mode checks (CR0.TS/EM, OSFXSR) are done by the FPU handlers, from t.flags.
 *   ending: t.stop() = end the block after this instruction; t.exit() = helper has set EIP (and mode).
 */
import { EXIT_ALWAYS, EXIT_LOOKUP, EXIT_WORK, I64, JUMP_PLAIN, MOVABLE_REACH } from '@emkit/ir';
import type { OptimisationName, Optimisations, TranslateRequest, Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import {
  OP_B,
  OP_CONST,
  OP_E,
  OP_FIXED,
  OP_G,
  OP_I,
  OP_J,
  OP_M,
  OP_O,
  OP_R,
  OP_S,
  OP_SEG,
  OP_SI,
  OP_Z,
  SZ_V,
  SZ_Y,
  SZ_Z,
} from '../decode/row.ts';
import { helperIndex } from '../helpers.ts';
import {
  CS,
  ENV,
  EXC,
  FLAG_RF,
  G,
  HF_CPL,
  HF_DEBUG,
  HF_INHIBIT_IRQ,
  HF_LA57,
  HF_RF,
  HF_SEGCHECK,
  HF_TF,
} from '../state.ts';
import { highHalf } from '../system/address.ts';
import { wasmHelperIndex } from '../wasm-helpers.ts';
import { ACCESS_READ, ACCESS_RMW, ACCESS_WRITE, MachineState } from './machine-state.ts';

export type Handler = (t: Translator, i: Insn) => void;
export type HandlerTable = Readonly<Record<string, Handler>>;

export { ACCESS_READ, ACCESS_RMW, ACCESS_WRITE };

export class Translator extends MachineState {
  /** The block's code is rewritten again and again: 32-bit immediates are read from memory when it runs. */
  volatileCode = false;
  /** Block-relative offsets of the 4-byte immediates that the block does not depend on. */
  readonly volatileOffsets: number[] = [];
  /** EIP of the block's first instruction. */
  blockEip = 0;
  hot = false;
  /** What may be used. */
  optimisations!: Optimisations;
  /** By `FEATURE` index, 1 = present. */
  features!: Uint8Array;
  /** Return EIP when the block ended in a call, else -1. */
  callReturn = -1;
  /** One-instruction modes: trap flag, interrupt shadow, resume flag, instruction breakpoints. */
  #special = false;
  #stop = false;
  /** The first instruction, which here needs script, has a quick form in hot translations. */
  quickFirst = false;
  /** Where the quick form of the last instruction goes on, if the block exits there; -1: nowhere known. */
  quickNext = -1;
  #quickGoesOn = false;
  /** `flags` are those at the block's end (no helper has changed them). */
  flagsKnown = true;

  /** Begin a block. */
  begin(
    req: Pick<TranslateRequest, 'flags' | 'csBase' | 'entryCcOp' | 'hot' | 'movable' | 'optimisations'>,
    features: Uint8Array,
  ): void {
    const { flags } = req;
    this.hot = req.hot;
    this.movable = req.movable;
    this.optimisations = req.optimisations;
    this.features = features;
    this.callReturn = -1;
    this.#stop = false;
    this.flagsKnown = true;
    this.quickFirst = false;
    this.quickNext = -1;
    this.#special = (flags & (HF_TF | HF_INHIBIT_IRQ | HF_RF | HF_DEBUG)) !== 0;
    this.beginState(flags, req.csBase, req.entryCcOp);
  }

  /** Begin an instruction; `special` modes are prepared here. */
  beginInsn(insn: Insn, eip: number): void {
    this.eip = eip;
    this.next = (eip + insn.length) | 0;
    this.nextHigh = this.csBase + (this.is64 && this.next >>> 0 < eip >>> 0 ? 1 : 0);
    this.#quickGoesOn = false;
    this.beginAddress(insn);
    this.b.insnStart(eip);
    if ((this.flags & (HF_INHIBIT_IRQ | HF_DEBUG | HF_SEGCHECK)) === 0) return;
    if (this.#quietShadow) this.b.bailIf(this.b.i32(1), true);
    if ((this.flags & (HF_DEBUG | HF_RF)) === HF_DEBUG) this.call('check_insn_breakpoint', this.b.i32(eip));
    if (this.checksSegments) {
      // fetch beyond the CS limit; SDM Vol. 3A §5.3 "Limit Checking"
      const last = (eip + insn.length - 1) | 0;
      this.b.raiseIf(this.b.ltU(this.segLimit(CS), this.b.i32(last)), EXC.GP, 0);
    }
  }

  /** This instruction, which needs script otherwise, has a quick form of that name: is it to be taken? `goesOn`: that ends no block. */
  quickForm(name: OptimisationName, goesOn = false): boolean {
    if (!this.optimisations[name]) return false;
    if (this.hot) return true;
    if (this.b.block.insnCount === 1) this.quickFirst = true;
    this.#quickGoesOn = goesOn;
    return false;
  }
  /** Hot code under an interrupt shadow alone: it ends without anybody looking while nothing waits for its end. */
  get #quietShadow(): boolean {
    const shadow = (this.flags & (HF_INHIBIT_IRQ | HF_TF | HF_RF | HF_DEBUG)) === HF_INHIBIT_IRQ;
    return shadow && this.hot && this.optimisations.transitions;
  }
  get special(): boolean {
    return this.#special;
  }
  get stopped(): boolean {
    return this.#stop;
  }
  /** End the block after this instruction. */
  stop(): void {
    this.#stop = true;
  }
  has(feature: number): boolean {
    return this.features[feature] === 1;
  }
  get cpl(): number {
    return this.flags & HF_CPL;
  }

  // --- operands ---------------------------------------------------------------------------------------------------
  /** log2 bytes of operand n. */
  size(n: number): number {
    const s = this.insn.row.operands[n]!.size;
    if (s < 8) return s;
    if (s === SZ_V) return this.insn.size;
    if (s === SZ_Z) return this.insn.size > 2 ? 2 : this.insn.size;
    return s === SZ_Y && this.insn.size < 3 ? 2 : this.insn.size;
  }
  get isMem(): boolean {
    return this.insn.mod !== 3 && this.insn.modrm >= 0;
  }

  read(n: number): Value {
    return this.#read(n, ACCESS_READ);
  }
  readRmw(n: number): Value {
    return this.#read(n, ACCESS_RMW);
  }
  #read(n: number, access: number): Value {
    const i = this.insn;
    const size = this.size(n);
    switch (i.row.operands[n]!.method) {
      case OP_E:
      case OP_R:
        if (i.mod === 3) return this.reg(i.rm, size);
        return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_M:
        return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_G:
        return this.reg(i.reg, size);
      case OP_Z:
        return this.reg(i.rm, size);
      case OP_B:
        return this.reg(this.is64 ? i.vexV : i.vexV & 7, size);
      case OP_I:
        if (size === 0 || size === 1) return this.b.i32(i.imm);
        return this.#immediate(i, size);
      // an immediate narrower than the operation comes out in the operation's width
      case OP_SI:
        if (i.size === 3) return this.b.i64Parts(i.imm, i.imm >> 31);
        return this.b.i32(this.size(0) === 1 ? i.imm & 0xffff : i.imm);
      case OP_J:
        return this.b.i32(i.imm);
      case OP_FIXED:
        return this.reg(i.row.operands[n]!.fixed, size);
      case OP_CONST:
        return this.b.i32(i.row.operands[n]!.fixed);
      case OP_O:
        return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_SEG:
        return this.segSelector(i.row.operands[n]!.fixed);
      case OP_S:
        return this.segSelector(i.reg & 7);
      default:
        throw new Error(`${i.row.text}: operand ${n} has no generic read`);
    }
  }
  write(n: number, v: Value): void {
    const i = this.insn;
    const size = this.size(n);
    switch (i.row.operands[n]!.method) {
      case OP_E:
      case OP_R:
        if (i.mod === 3) this.setReg(i.rm, size, v);
        else this.store(size, this.memory(1 << size, ACCESS_WRITE), v);
        break;
      case OP_M:
      case OP_O:
        this.store(size, this.memory(1 << size, ACCESS_WRITE), v);
        break;
      case OP_G:
        this.setReg(i.reg, size, v);
        break;
      case OP_Z:
        this.setReg(i.rm, size, v);
        break;
      case OP_B:
        this.setReg(this.is64 ? i.vexV : i.vexV & 7, size, v);
        break;
      case OP_FIXED:
        this.setReg(i.row.operands[n]!.fixed, size, v);
        break;
      default:
        throw new Error(`${i.row.text}: operand ${n} has no generic write`);
    }
  }

  // --- helpers and faults -----------------------------------------------------------------------------------------
  /** Script helper. Segment caches and lazy flags in env are whatever it left. */
  call(name: string, ...args: Value[]): Value {
    const v = this.b.callj(helperIndex(name), ...args);
    this.forgetState();
    return v;
  }
  /** Script helper that leaves flags and segments alone (ports, CPUID, MSRs). */
  callKeep(name: string, ...args: Value[]): Value {
    const op = this.ccOp;
    const v = this.call(name, ...args);
    this.beginFlags(op);
    return v;
  }
  /** Script helper that computes from its arguments alone: no state changes, what is known of the flags stays. */
  callPure(name: string, ...args: Value[]): Value {
    return this.b.callj(helperIndex(name), ...args);
  }
  /** Hot code only: a helper that calls a device, and neither faults nor looks at the processor. */
  callDevice(name: string, ...args: Value[]): Value {
    return this.b.calld(helperIndex(name), ...args);
  }
  callw(name: string, ...args: Value[]): Value {
    return this.b.callw(wasmHelperIndex(name), ...args);
  }
  /** As `allFlags`, where the result is certain to be wanted: an operation that is not known is left to a wasm helper. */
  flagsImage(): Value {
    if (this.ccOp >= 0) return this.allFlags();
    const { b } = this;
    const [op, dst, src, carry] = [G.CC_OP, G.CC_DST, G.CC_SRC, G.CC_SRC2].map((g) => b.get(g)) as [
      Value,
      Value,
      Value,
      Value,
    ];
    const half = (v: Value): Value => (this.is64 ? this.high(v) : b.i32(0));
    return this.callw('x86_flags', op, this.low(dst), half(dst), this.low(src), half(src), this.low(carry));
  }
  raiseIf(cond: Value, vector: number, error = -1): void {
    this.b.raiseIf(cond, vector, error);
  }
  /** Exception at this instruction, always; ends the block. */
  raise(vector: number, error = -1): void {
    this.b.callj(helperIndex('raise'), this.b.i32(vector), this.b.i32(error));
    this.b.exit(0);
  }
  undefined(): void {
    this.raise(EXC.UD);
  }
  protectionFault(): void {
    this.raise(EXC.GP, 0);
  }

  // --- ends of blocks ---------------------------------------------------------------------------------------------
  /** Ends the interrupt shadow and RF. To be called before the helper that finishes an instruction. */
  endShadow(): void {
    if ((this.flags & (HF_INHIBIT_IRQ | HF_RF)) === 0) return;
    const { b } = this;
    if ((this.flags & HF_RF) !== 0) b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~FLAG_RF)));
    this.setFlags(this.flags & ~(HF_INHIBIT_IRQ | HF_RF));
  }
  /** The end of an instruction in a one-instruction mode. False: after a quiet shadow, as any other. */
  #endSpecial(pc: Value): boolean {
    const quiet = this.#quietShadow;
    this.endShadow();
    if (quiet) return false;
    this.envStore(ENV.EIP, this.low(pc));
    if (this.b.typeOf(pc) === I64) this.envStore(ENV.CS_BASE, this.high(pc));
    if ((this.flags & HF_TF) !== 0) this.b.callj(helperIndex('single_step'));
    this.b.exit(this.#specialExit());
    return true;
  }
  /**
   * Check a branch target: #GP(0) beyond the CS limit, in 64-bit code where it is not canonical. SDM Vol. 2A "JMP", "CALL".
   * A target of 32 bits (a 16-bit operand size) is always canonical.
   */
  checkTarget(target: Value, cond: Value = -1): void {
    const { b } = this;
    if (b.typeOf(target) === I64) {
      b.raiseIf(this.notCanonical(target), EXC.GP, 0);
      return;
    }
    if (!this.checksSegments) return;
    const beyond = b.ltU(this.segLimit(CS), target);
    b.raiseIf(cond < 0 ? beyond : b.and(cond, beyond), EXC.GP, 0);
  }
  /** Is the 64-bit address not canonical? Those that are, are the 2^48 from -2^47 on, or 2^57 from -2^56. */
  notCanonical(address: Value): Value {
    const { b } = this;
    const bits = this.addressBits;
    return b.ne(b.shr(b.add(address, b.i64(2 ** (bits - 1))), b.i64(bits)), b.i64(0));
  }
  /** Width of linear addresses in 64-bit code. */
  get addressBits(): number {
    return (this.flags & HF_LA57) !== 0 ? 57 : 48;
  }
  /** Check the target of a relative branch (`branchTarget`), taken where cond != 0. */
  checkBranch(target: number, cond: Value = -1): void {
    const { b } = this;
    if (!this.is64) {
      if (this.checksSegments) this.checkTarget(b.i32(target), cond);
    } else if ((((this.csBase + highHalf(target)) >> (this.addressBits - 33)) + 1) >>> 1 !== 0)
      b.raiseIf(cond < 0 ? b.i32(1) : cond, EXC.GP, 0);
  }
  /** Where a branch by `offset` goes: EIP, in 64-bit code counted from the start of the window. */
  branchTarget(offset: number): number {
    if (this.is64) return this.offsetAfter(offset);
    const target = (this.next + offset) | 0;
    return this.insn.size === 1 ? target & 0xffff : target;
  }
  /** EIP after this instruction, or its low half. */
  nextPc(): Value {
    return this.movable ? this.low(this.rip(this.offsetAfter(0))) : this.b.i32(this.next);
  }
  /** Return address of a call, in the type of the operand size. */
  returnAddress(): Value {
    return this.is64 ? this.rip(this.offsetAfter(0)) : this.b.i32(this.next);
  }
  /** 64-bit code: the target is in the window of 4 GiB that the block is in (docs/adr/0015), and will be wherever movable code runs. */
  #inWindow(target: number): boolean {
    if (!this.is64) return true;
    return highHalf(target) === 0 && (!this.movable || Math.abs(target - (this.next >>> 0)) <= MOVABLE_REACH);
  }
  #pc(target: number): Value {
    return this.is64 ? this.rip(target) : this.b.i32(target);
  }
  /** Continue at a `branchTarget`. */
  jmp(target: number): void {
    if (this.#special && this.#endSpecial(this.#pc(target))) {
      if (!this.hot && this.#inWindow(target)) this.quickNext = target | 0;
      return;
    }
    if (this.#inWindow(target)) this.b.jmp(target);
    else this.b.jmpInd(this.#pc(target), JUMP_PLAIN);
  }
  /** Continue at the instruction after the last one. */
  goOn(): void {
    this.jmp(this.is64 ? this.offsetAfter(0) : this.next);
  }
  /** Continue at a `branchTarget` if cond != 0, else after this instruction. */
  br(cond: Value, target: number): void {
    const { b } = this;
    const next = this.is64 ? this.offsetAfter(0) : this.next;
    if (this.#special && this.#endSpecial(b.select(cond, this.#pc(target), this.#pc(next)))) return;
    if (this.#inWindow(target) && this.#inWindow(next)) b.br(cond, target, next);
    else b.jmpInd(b.select(cond, this.#pc(target), this.#pc(next)), JUMP_PLAIN);
  }
  jmpInd(target: Value, kind: number): void {
    // a 16-bit operand size in 64-bit code leaves 16 bits of RIP
    const pc = this.is64 ? this.sized(3, target) : target;
    if (!this.#special || !this.#endSpecial(pc)) this.b.jmpInd(pc, kind);
  }
  /** The helper just called has set EIP and everything else. `trap`: a single-step trap may follow (not after INT n, MOV SS). */
  exit(lookForWork: number = EXIT_LOOKUP, trap = true): void {
    this.flagsKnown = false;
    if ((this.flags & HF_TF) !== 0 && trap) this.b.callj(helperIndex('single_step'));
    this.b.exit(this.#special ? Math.max(this.#specialExit(), lookForWork) : lookForWork);
  }
  /** Traps of debugging are to come now; after a shadow, interrupts if any wait. */
  #specialExit(): number {
    return (this.flags & (HF_TF | HF_DEBUG)) !== 0 ? EXIT_ALWAYS : EXIT_WORK;
  }
  /** Instructions that a helper finishes: run it last, then leave. */
  finishWith(name: string, args: readonly Value[], lookForWork: number = EXIT_LOOKUP, trap = true): void {
    this.endShadow();
    this.b.callj(helperIndex(name), ...args);
    this.exit(lookForWork, trap);
  }
  /**
   * Leave at the next instruction because the helper just called may have changed mode or block flags.
   * `keepShadow`: the helper has begun an interrupt shadow; `trap` false: MOV SS and POP SS also hold back the
   * single-step trap (SDM Vol. 3A §6.8.3).
   */
  exitNext(lookForWork: number = EXIT_LOOKUP, keepShadow = false, trap = true): void {
    const { b } = this;
    if ((this.flags & HF_RF) !== 0) b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~FLAG_RF)));
    const ended = this.flags & (keepShadow ? HF_RF : HF_INHIBIT_IRQ | HF_RF);
    if (ended !== 0) b.set(G.HFLAGS, b.and(b.get(G.HFLAGS), b.i32(~ended)));
    this.envStore(ENV.EIP, this.nextPc());
    if (this.nextHigh !== this.csBase) this.envStore(ENV.CS_BASE, b.i32(this.nextHigh));
    else if (this.#quickGoesOn) this.quickNext = this.next;
    this.exit(lookForWork, trap);
  }

  /** Immediate of the operand size; 4 bytes are sign-extended to 8. */
  #immediate(i: Insn, size: number): Value {
    const { b } = this;
    const fromCode = this.volatileCode && size === 2 && i.size >= 2;
    if (i.size < 3) return fromCode ? this.#immediateFromCode(i) : b.i32(i.imm);
    if (size === 3) return b.i64Parts(i.imm, i.immHigh);
    return fromCode ? b.extS(this.#immediateFromCode(i)) : b.i64Parts(i.imm, i.imm >> 31);
  }
  /** An immediate that ends the instruction, as a load from the instruction stream. */
  #immediateFromCode(i: Insn): Value {
    const { b } = this;
    const at = (this.eip + i.length - 4) | 0;
    this.volatileOffsets.push(at - this.blockEip);
    if (this.is64) return b.load('ld32', this.rip(at >>> 0));
    return b.load('ld32', this.wide ? b.i64Parts(at + this.csBase, 0) : b.i32(at + this.csBase));
  }
}
