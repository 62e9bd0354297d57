/**
 * ===== FRAMEWORK, part 3: what a handler sees =====
 * One `Translator` per code cache, reset for every block. A handler is `(t, i) => void`, `i` the decoded instruction
 * (same as t.insn), `t.b` the IrBuilder. Values are SSA snapshots. Integer values narrower than 32 bits are i32 and
 * ZERO-EXTENDED everywhere in this API (`read*`), and may carry garbage above their width when written (`write*` cut).
 *
 * Order inside a handler: first everything that may leave (loads, stores, t.raiseIf, t.call), then sets. Stores of the
 * instruction come before register and flag sets.
 *
 *   t.size(n)            log2 bytes of operand n (0..4)          t.isMem   ModRM names memory
 *   t.read(n)            operand n: general register, memory, immediate (8-byte memory: i64, 16-byte: v128)
 *   t.readRmw(n)         the same for a destination that is written afterwards: memory is checked for write first
 *   t.write(n, v)        general register or memory
 *   t.reg(r, size) t.setReg(r, size, v)      general registers (size 0: 4-7 = AH CH DH BH)
 *   t.memory(bytes, access)   linear address of the ModRM memory operand, segment checks done for `bytes` bytes;
 *                             access ACCESS_READ | ACCESS_WRITE | ACCESS_RMW. Then t.b.load('ld64', address) etc.
 *   t.memoryAt(offset)   for operands in pieces: address + offset, wrapped (checks were done by t.memory)
 *   t.ea()               effective address without segment (LEA)
 *   t.call(name, ...args)     script helper (SYSTEM_, STRING_, FPU_HELPERS); globals are re-read afterwards
 *   t.callw(name, ...args)    wasm helper (src/wasm-helpers.ts)
 *   t.envLoad(offset) t.envStore(offset, v)    i32 (or v's type) env slots outside the globals
 *   t.xmm(n) t.setXmm(n, v)   xmm registers 0-7 (globals)
 *   t.raise(vector, error)    unconditional exception at this instruction; ends the block
 *   t.raiseIf(cond, vector, error)
 *   t.undefined()        #UD, ends the block
 *   t.flags              block flags (HF_*) known to hold here; t.setFlags(f) changes them (x87 TOP)
 *   t.next               EIP after this instruction
 *   t.hot                hot translation (fast forms guarded by t.b.bailIf allowed)
 *   t.features           CPU features (t.has(FEATURE.x), decode/features.ts)
 *   lazy flags (lazy-flags.ts): t.setEflags(v) stores all six arithmetic flags as EFLAGS bits (COMISS, FCOMI, PTEST:
 *   free when dead), t.condition(cc) = condition cc (0-15 as in Jcc) as 0/1, t.carry(), t.zero(), ...
 *   x87 and SSE mode checks (CR0.TS/EM, OSFXSR) are the FPU author's, from t.flags.
 *   ending: t.stop() = end the block after this instruction; t.exit() = helper has set EIP (and mode).
 */
import { V128, opId } from '@emkit/ir';
import type { IrBuilder, LoadKind, StoreKind, Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import {
  OP_B, OP_C, OP_CONST, OP_D, OP_E, OP_FIXED, OP_G, OP_I, OP_J, OP_M, OP_O, OP_R, OP_S, OP_SEG, OP_SI, OP_Z, SZ_V, SZ_Y, SZ_Z,
} from '../decode/row.ts';
import { helperIndex } from '../helpers.ts';
import {
  CS, ENV, ESP, EXC, FLAG_RF, FS, G, HF_ADDSEG, HF_ALIGN, HF_CPL, HF_DEBUG, HF_FGCHECK, HF_INHIBIT_IRQ, HF_PE, HF_RF, HF_SEGCHECK, HF_SS32,
  HF_TF, HF_VM, SEG_BASE, SEG_FLAGS, SEG_LIMIT, SEG_STRIDE, SS,
} from '../state.ts';
import { wasmHelperIndex } from '../wasm-helpers.ts';
import { LazyFlags } from './lazy-flags.ts';

export type Handler = (t: Translator, i: Insn) => void;
export type HandlerTable = Readonly<Record<string, Handler>>;

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
/** Read now, write to the same address later in the instruction. */
export const ACCESS_RMW = 2;

const LOADS: readonly LoadKind[] = ['ld8u', 'ld16u', 'ld32', 'ld64', 'ld128'];
const STORES: readonly StoreKind[] = ['st8', 'st16', 'st32', 'st64', 'st128'];
const MEM_RMW_FLAG = 1;
const ENVLD_I32 = opId('envld_i32');
const ENVST_I32 = opId('envst_i32');
const ENVST_I64 = opId('envst_i64');
const ENVST_V128 = opId('envst_v128');
const ENVST_16 = opId('envst_16');
const ENVLD_16U = opId('envld_16u');
/** What of a general register's low part is known as a value of its own (forwarding of partial writes). */
const NO_PART = -1;

export class Translator extends LazyFlags {
  insn!: Insn;
  /** Block flags known to hold at this point. */
  flags = 0;
  hot = false;
  /** By `FEATURE` index, 1 = present. */
  features!: Uint8Array;
  csBase = 0;
  /** EIP of this instruction and of the one after it. */
  eip = 0;
  next = 0;
  /** Return EIP when the block ended in a call, else -1. */
  callReturn = -1;
  /** One-instruction modes: trap flag, interrupt shadow, resume flag, instruction breakpoints. */
  #special = false;
  #stop = false;
  /** `flags` are those at the block's end (no helper has changed them). */
  flagsKnown = true;
  #eaValue = -1;
  #linear = -1;
  readonly #partOf = new Int32Array(8);
  readonly #part = new Int32Array(8);
  readonly #partBits = new Int32Array(8);
  readonly #segBase = new Int32Array(6);

  constructor(b: IrBuilder) {
    super(b);
  }

  /** Begin a block. */
  begin(flags: number, csBase: number, hot: boolean, features: Uint8Array, ccOp: number): void {
    this.flags = flags;
    this.csBase = csBase;
    this.hot = hot;
    this.features = features;
    this.callReturn = -1;
    this.#stop = false;
    this.flagsKnown = true;
    this.#special = (flags & (HF_TF | HF_INHIBIT_IRQ | HF_RF | HF_DEBUG)) !== 0;
    this.#partOf.fill(NO_PART);
    this.#segBase.fill(-1);
    this.beginFlags(ccOp);
  }

  /** Begin an instruction; `special` modes are prepared here. */
  beginInsn(insn: Insn, eip: number): void {
    this.insn = insn;
    this.eip = eip;
    this.next = (eip + insn.length) | 0;
    this.#eaValue = -1;
    this.#linear = -1;
    this.b.insnStart(eip);
    if ((this.flags & (HF_DEBUG | HF_RF)) === HF_DEBUG) this.call('check_insn_breakpoint', this.b.i32(eip));
    if ((this.flags & HF_SEGCHECK) !== 0) {
      // fetch beyond the CS limit; SDM Vol. 3A §5.3 "Limit Checking"
      const last = (eip + insn.length - 1) | 0;
      this.b.raiseIf(this.b.ltU(this.segLimit(CS), this.b.i32(last)), EXC.GP, 0);
    }
  }

  get special(): boolean { return this.#special; }
  get stopped(): boolean { return this.#stop; }
  /** End the block after this instruction. */
  stop(): void { this.#stop = true; }
  has(feature: number): boolean { return this.features[feature] === 1; }
  get cpl(): number { return this.flags & HF_CPL; }
  /** Protected mode proper: not real, not virtual-8086. */
  get protectedMode(): boolean { return (this.flags & (HF_PE | HF_VM)) === HF_PE; }

  // --- operands ---------------------------------------------------------------------------------------------------
  /** log2 bytes of operand n. */
  size(n: number): number {
    const s = this.insn.row.operands[n]!.size;
    if (s < 8) return s;
    if (s === SZ_V) return this.insn.size;
    if (s === SZ_Z) return this.insn.size > 2 ? 2 : this.insn.size;
    return s === SZ_Y ? 2 : this.insn.size;
  }
  get isMem(): boolean { return this.insn.mod !== 3 && this.insn.modrm >= 0; }

  read(n: number): Value { return this.#read(n, ACCESS_READ); }
  readRmw(n: number): Value { return this.#read(n, ACCESS_RMW); }
  #read(n: number, access: number): Value {
    const i = this.insn;
    const size = this.size(n);
    switch (i.row.operands[n]!.method) {
      case OP_E: case OP_R:
        if (i.mod === 3) return this.reg(i.rm, size);
        return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_M: return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_G: return this.reg(i.reg, size);
      case OP_Z: return this.reg(i.opcode & 7, size);
      case OP_B: return this.reg(i.vexV & 7, size);
      case OP_I: return this.b.i32(i.imm);
      // an immediate narrower than the operation comes out in the operation's width
      case OP_SI: return this.b.i32(this.size(0) === 1 ? i.imm & 0xffff : i.imm);
      case OP_J: return this.b.i32(i.imm);
      case OP_FIXED: return this.reg(i.row.operands[n]!.fixed, size);
      case OP_CONST: return this.b.i32(i.row.operands[n]!.fixed);
      case OP_O: return this.load(size, this.memory(1 << size, access), access === ACCESS_RMW);
      case OP_SEG: return this.segSelector(i.row.operands[n]!.fixed);
      case OP_S: return this.segSelector(i.reg);
      default: throw new Error(`${i.row.text}: operand ${n} has no generic read`);
    }
  }
  write(n: number, v: Value): void {
    const i = this.insn;
    const size = this.size(n);
    switch (i.row.operands[n]!.method) {
      case OP_E: case OP_R:
        if (i.mod === 3) this.setReg(i.rm, size, v);
        else this.store(size, this.memory(1 << size, ACCESS_WRITE), v);
        break;
      case OP_M: case OP_O: this.store(size, this.memory(1 << size, ACCESS_WRITE), v); break;
      case OP_G: this.setReg(i.reg, size, v); break;
      case OP_Z: this.setReg(i.opcode & 7, size, v); break;
      case OP_B: this.setReg(i.vexV & 7, size, v); break;
      case OP_FIXED: this.setReg(i.row.operands[n]!.fixed, size, v); break;
      case OP_C: case OP_D:
      default: throw new Error(`${i.row.text}: operand ${n} has no generic write`);
    }
  }

  // --- general registers ------------------------------------------------------------------------------------------
  reg(r: number, size: number): Value {
    const { b } = this;
    if (size === 2) return b.get(r);
    if (size === 0 && r >= 4) {
      const whole = b.get(r & 3);
      if (this.#partOf[r] === whole) return this.#part[r]!;
      return this.cut(b.shr(whole, b.i32(8)), 8);
    }
    const whole = b.get(r);
    const bits = 8 << size;
    // high-byte slots share the table: parts of 0-3 are low parts, of 4-7 low 16 bits or a high byte
    if (this.#partOf[r] === whole && this.#partBits[r]! >= bits) return this.cut(this.#part[r]!, bits);
    return this.cut(whole, bits);
  }
  setReg(r: number, size: number, v: Value): void {
    const { b } = this;
    if (size === 2) {
      b.set(r, v);
      return;
    }
    if (size === 0 && r >= 4) {
      const part = this.cut(v, 8);
      const whole = b.or(b.and(b.get(r & 3), b.i32(~0xff00)), b.shl(part, b.i32(8)));
      b.set(r & 3, whole);
      return;
    }
    const bits = 8 << size;
    const part = this.cut(v, bits);
    const old = b.get(r);
    const whole = b.or(b.and(old, b.i32(size === 0 ? ~0xff : ~0xffff)), part);
    b.set(r, whole);
    this.#partOf[r] = whole;
    this.#part[r] = part;
    this.#partBits[r] = bits;
  }

  xmm(n: number): Value { return this.b.get(G.XMM0 + n); }
  setXmm(n: number, v: Value): void { this.b.set(G.XMM0 + n, v); }

  // --- addresses --------------------------------------------------------------------------------------------------
  /** Effective address of the memory operand: offset in its segment, cut to the address size. */
  ea(): Value {
    if (this.#eaValue >= 0) return this.#eaValue;
    const { b, insn } = this;
    let v = -1;
    if (insn.base >= 0) v = b.get(insn.base);
    if (insn.index >= 0) {
      const x = insn.scale === 0 ? b.get(insn.index) : b.shl(b.get(insn.index), b.i32(insn.scale));
      v = v < 0 ? x : b.add(v, x);
    }
    if (v < 0) v = b.i32(insn.disp);
    else if (insn.disp !== 0) v = b.add(v, b.i32(insn.disp));
    if (insn.asize === 1) v = this.cut(v, 16);
    this.#eaValue = v;
    return v;
  }
  /** Use another effective address (BT with a register bit offset, POP relative to ESP). */
  setEa(v: Value): void {
    this.#eaValue = this.insn.asize === 1 ? this.cut(v, 16) : v;
    this.#linear = -1;
  }
  /** Linear address of the memory operand, checked for `bytes` bytes. Once per instruction. */
  memory(bytes: number, access: number): Value {
    if (this.#linear < 0) this.#linear = this.linear(this.insn.segment, this.ea(), bytes, access);
    return this.#linear;
  }
  memoryAt(offset: number): Value {
    return this.b.add(this.#linear, this.b.i32(offset));
  }

  /** Linear address of seg:offset after limit, type and alignment checks of an access of `bytes` bytes. */
  linear(seg: number, offset: Value, bytes: number, access: number): Value {
    const { b } = this;
    if ((this.flags & (seg >= FS ? HF_FGCHECK : HF_SEGCHECK)) !== 0) this.#checkSegment(seg, offset, bytes, access);
    const lin = this.addBase(seg, offset);
    if ((this.flags & HF_ALIGN) !== 0 && bytes > 1 && (bytes & (bytes - 1)) === 0) b.raiseIf(b.and(lin, b.i32(bytes - 1)), EXC.AC, 0);
    return lin;
  }
  addBase(seg: number, offset: Value): Value {
    const { b } = this;
    if (seg === CS) return b.add(offset, b.i32(this.csBase));
    if (seg < FS && (this.flags & HF_ADDSEG) === 0) return offset;
    let base = this.#segBase[seg]!;
    if (base < 0) {
      base = b.emit(ENVLD_I32, -1, -1, -1, ENV.SEG + seg * SEG_STRIDE + SEG_BASE);
      this.#segBase[seg] = base;
    }
    return b.add(base, offset);
  }
  segLimit(seg: number): Value { return this.envLoad(ENV.SEG + seg * SEG_STRIDE + SEG_LIMIT); }
  segSelector(seg: number): Value { return this.b.emit(ENVLD_16U, -1, -1, -1, ENV.SEG + seg * SEG_STRIDE); }

  /** SDM Vol. 3A §5.3 "Limit Checking", §5.5 "Type Checking"; a null or absent segment has P = 0 in its cache. */
  #checkSegment(seg: number, offset: Value, bytes: number, access: number): void {
    const { b } = this;
    const limit = this.segLimit(seg);
    const last = b.add(offset, b.i32(bytes - 1));
    let bad = b.ltU(limit, last);
    // the end wraps past 4 GiB; a 16-bit offset cannot
    if (bytes > 1 && !this.fits(offset, 16)) bad = b.or(bad, b.ltU(last, offset));
    if (this.protectedMode) {
      const type = this.envLoad(ENV.SEG + seg * SEG_STRIDE + SEG_FLAGS);
      // expand-down data: bits 11-10 = 01; valid offsets lie above the limit, up to 64K or 4G by the B bit (22)
      const upper = b.select(b.and(type, b.i32(1 << 22)), b.i32(-1), b.i32(0xffff));
      const down = b.or(b.or(b.ltU(upper, last), b.ltU(last, offset)), b.leU(offset, limit));
      bad = b.select(b.eq(b.and(type, b.i32(0xc00)), b.i32(0x400)), down, bad);
      // present, and: writes need a writable data segment, reads a segment that is not execute-only
      const wrongType = access === ACCESS_READ
        ? b.or(b.eqz(b.and(type, b.i32(0x8000))), b.eq(b.and(type, b.i32(0xa00)), b.i32(0x800)))
        : b.ne(b.and(type, b.i32(0x8a00)), b.i32(0x8200));
      bad = b.or(bad, wrongType);
    }
    b.raiseIf(bad, seg === SS ? EXC.SS : EXC.GP, 0);
  }

  // --- memory -----------------------------------------------------------------------------------------------------
  load(size: number, address: Value, rmw = false): Value { return this.b.load(LOADS[size]!, address, rmw ? MEM_RMW_FLAG : 0); }
  store(size: number, address: Value, v: Value): void { this.b.store(STORES[size]!, address, v); }

  // --- stack ------------------------------------------------------------------------------------------------------
  /** Stack offset `delta` bytes from ESP, cut to the stack's address size. */
  stackOffset(delta: number): Value {
    const sp = this.b.add(this.b.get(ESP), this.b.i32(delta));
    return (this.flags & HF_SS32) !== 0 ? sp : this.cut(sp, 16);
  }
  /** Linear address of the stack slot at ESP + delta. */
  stackAddress(delta: number, size: number, access: number): Value {
    return this.linear(SS, this.stackOffset(delta), 1 << size, access);
  }
  /** Set ESP (or SP) = v. */
  setSp(v: Value): void { this.setReg(ESP, (this.flags & HF_SS32) !== 0 ? 2 : 1, v); }
  /** Store a value of `size` on the stack and move ESP: the last memory act of the instruction. */
  push(size: number, v: Value): void {
    const offset = this.stackOffset(-(1 << size));
    this.store(size, this.linear(SS, offset, 1 << size, ACCESS_WRITE), v);
    this.setSp(offset);
  }
  /** Value on top of the stack; ESP is moved by the caller with `dropStack`. */
  top(size: number): Value { return this.load(size, this.stackAddress(0, size, ACCESS_READ)); }
  dropStack(bytes: number): void { this.setSp(this.stackOffset(bytes)); }

  // --- env --------------------------------------------------------------------------------------------------------
  envLoad(offset: number): Value { return this.b.emit(ENVLD_I32, -1, -1, -1, offset); }
  envStore(offset: number, v: Value): void {
    const type = this.b.typeOf(v);
    this.b.emit(type === V128 ? ENVST_V128 : type === 1 ? ENVST_I64 : ENVST_I32, v, -1, -1, offset);
  }
  envStore16(offset: number, v: Value): void { this.b.emit(ENVST_16, v, -1, -1, offset); }
  /** Block flags from here on. */
  setFlags(flags: number): void {
    if (flags === this.flags) return;
    this.flags = flags;
    this.b.set(G.HFLAGS, this.b.i32(flags));
  }

  // --- helpers and faults -----------------------------------------------------------------------------------------
  /** Script helper. Segment caches and lazy flags in env are whatever it left. */
  call(name: string, ...args: Value[]): Value {
    const v = this.b.callj(helperIndex(name), ...args);
    this.#segBase.fill(-1);
    this.forgetFlags();
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
  callPure(name: string, ...args: Value[]): Value { return this.b.callj(helperIndex(name), ...args); }
  callw(name: string, ...args: Value[]): Value { return this.b.callw(wasmHelperIndex(name), ...args); }
  raiseIf(cond: Value, vector: number, error = -1): void { this.b.raiseIf(cond, vector, error); }
  /** Exception at this instruction, always; ends the block. */
  raise(vector: number, error = -1): void {
    this.b.callj(helperIndex('raise'), this.b.i32(vector), this.b.i32(error));
    this.b.exit(0);
  }
  undefined(): void { this.raise(EXC.UD); }
  protectionFault(): void { this.raise(EXC.GP, 0); }

  // --- ends of blocks ---------------------------------------------------------------------------------------------
  /** Ends the interrupt shadow and RF. To be called before the helper that finishes an instruction. */
  endShadow(): void {
    if ((this.flags & (HF_INHIBIT_IRQ | HF_RF)) === 0) return;
    const { b } = this;
    if ((this.flags & HF_RF) !== 0) b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~FLAG_RF)));
    this.setFlags(this.flags & ~(HF_INHIBIT_IRQ | HF_RF));
  }
  #endSpecial(pc: Value): void {
    this.endShadow();
    this.envStore(ENV.EIP, pc);
    if ((this.flags & HF_TF) !== 0) this.b.callj(helperIndex('single_step'));
    this.b.exit(1);
  }
  /** Check a branch target against the CS limit. SDM Vol. 2A "JMP", "CALL": #GP(0). */
  checkTarget(target: Value, cond: Value = -1): void {
    if ((this.flags & HF_SEGCHECK) === 0) return;
    const beyond = this.b.ltU(this.segLimit(CS), target);
    this.b.raiseIf(cond < 0 ? beyond : this.b.and(cond, beyond), EXC.GP, 0);
  }
  jmp(target: number): void {
    if (this.#special) this.#endSpecial(this.b.i32(target));
    else this.b.jmp(target);
  }
  br(cond: Value, taken: number, notTaken: number): void {
    if (this.#special) this.#endSpecial(this.b.select(cond, this.b.i32(taken), this.b.i32(notTaken)));
    else this.b.br(cond, taken, notTaken);
  }
  jmpInd(target: Value, kind: number): void {
    if (this.#special) this.#endSpecial(target);
    else this.b.jmpInd(target, kind);
  }
  /** The helper just called has set EIP and everything else. `trap`: a single-step trap may follow (not after INT n, MOV SS). */
  exit(lookForWork = 0, trap = true): void {
    this.flagsKnown = false;
    if ((this.flags & HF_TF) !== 0 && trap) this.b.callj(helperIndex('single_step'));
    this.b.exit(this.#special ? 1 : lookForWork);
  }
  /** Instructions that a helper finishes: run it last, then leave. */
  finishWith(name: string, args: readonly Value[], lookForWork = 0, trap = true): void {
    this.endShadow();
    this.b.callj(helperIndex(name), ...args);
    this.exit(lookForWork, trap);
  }
  /**
   * Leave at the next instruction because the helper just called may have changed mode or block flags.
   * `keepShadow`: the helper has begun an interrupt shadow; `trap` false: MOV SS and POP SS also hold back the
   * single-step trap (SDM Vol. 3A §6.8.3).
   */
  exitNext(lookForWork = 0, keepShadow = false, trap = true): void {
    const { b } = this;
    if ((this.flags & HF_RF) !== 0) b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~FLAG_RF)));
    const ended = this.flags & (keepShadow ? HF_RF : HF_INHIBIT_IRQ | HF_RF);
    if (ended !== 0) b.set(G.HFLAGS, b.and(b.get(G.HFLAGS), b.i32(~ended)));
    this.envStore(ENV.EIP, b.i32(this.next));
    this.exit(lookForWork, trap);
  }
}
