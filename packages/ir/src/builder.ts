/**
 * Builds one block of IR. Authors see snapshot values: `get` returns the global's value at that point, and later
 * `set`s do not change it. On the way in, the builder folds constants, shares equal pure ops and forwards a global's
 * last known value, so that a frontend can be written naively. Sets become ops only before something that could see
 * them, and an instruction's boundary only where it may leave (its `insn_start` says which instruction it is, in `c`).
 * `finish` drops dead ops.
 *
 * Rule for precise faults (checked by `verify`): within one guest instruction, everything that may leave the block
 * (guest memory ops, guards, callj) comes before the first `set`/`envst`/`callw`; so leaving finds the state of the
 * instruction's start. Exempt: several stores of one instruction (they are repeated), and a `callj` as last act.
 */
import { IrBlock } from './block.ts';
import {
  CALLD,
  CALLJ,
  CALLW,
  EXT_S,
  EXT_U,
  GET,
  LOAD,
  P,
  SELECT,
  SET,
  STORE,
  COPY,
  FILL,
  WRAP,
  type LoadKind,
  type StoreKind,
} from './builder-tables.ts';
import { MAY_LEAVE, removeDead } from './dead-code.ts';
import { fold32 } from './fold.ts';
import { fold64, FOLDS_64 } from './fold64.ts';
import { OPS, opId } from './ops.ts';
import { chooseOptimisations } from './optimisations.ts';
import type { Optimisations } from './optimisations.ts';
import { I64 } from './types.ts';
import type { GlobalDef, IrType, Value } from './types.ts';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const V128_CONST = opId('v128_const');
const ENV_ADDR = opId('env_addr');
const CODE_OFFSET = opId('code_offset');
const INSN_START = opId('insn_start');
const JMP = opId('jmp');
const BR = opId('br');
const JMP_IND = opId('jmp_ind');
const JMP_IND_A64 = opId('jmp_ind_a64');
const EXIT = opId('exit');
const [RAISE_IF, BAIL_IF, BAIL_IF_WORK] = [opId('raise_if'), opId('bail_if'), opId('bail_if_work')];
const SHUFFLE = opId('i8x16_shuffle');
/** The op table again, as typed arrays for the paths that run for every op. */
const OUT = Uint8Array.from(OPS, (o) => o.out);
const IS_PURE = Uint8Array.from(OPS, (o) => (o.effect === 'pure' ? 1 : 0));
const CSE_BITS = 9;
const CSE_SIZE = 1 << CSE_BITS;
const ALL_ON = chooseOptimisations();

export class IrBuilder {
  readonly block: IrBlock;
  readonly globals: readonly GlobalDef[];
  /** Types of the globals. */
  readonly #types: Uint8Array;
  /** Value currently held by each global, or -1 when only env knows. */
  readonly #known: Int32Array;
  /** Hash of recent pure ops -> value id + 1 (0 = free); stale entries, of earlier blocks too, are told by comparing. */
  readonly #cse = new Int32Array(CSE_SIZE);
  /** The same for constants: value ids. */
  readonly #constants = new Int32Array(CSE_SIZE);
  /** Globals set but not yet written as ops: most are set again before anything can see them. */
  readonly #dirty: Uint8Array;
  readonly #dirtyList: Int32Array;
  #dirtyCount = 0;
  /** The current instruction's boundary, written when something of it may leave. */
  #markPending = false;
  #markLo = 0;
  #markHi = 0;
  #setInInsn = false;
  /** For dead-code removal. */
  #scratch = new Int32Array(1024);
  #terminated = false;
  readonly #folds: boolean;
  readonly #shares: boolean;
  readonly #sweeps: boolean;

  constructor(globals: readonly GlobalDef[], block: IrBlock = new IrBlock(), optimisations: Optimisations = ALL_ON) {
    this.globals = globals;
    this.block = block;
    this.#folds = optimisations.folding;
    this.#shares = optimisations.sharing;
    this.#sweeps = optimisations['dead-code'];
    this.#known = new Int32Array(globals.length).fill(-1);
    this.#types = Uint8Array.from(globals, (g) => g.type);
    this.#dirty = new Uint8Array(globals.length);
    this.#dirtyList = new Int32Array(globals.length);
  }

  /** Begin a new block in the same storage. */
  reset(): void {
    this.block.clear();
    this.#known.fill(-1);
    this.#terminated = false;
    while (this.#dirtyCount > 0) this.#dirty[this.#dirtyList[--this.#dirtyCount]!] = 0;
    this.#markPending = false;
  }

  /** A terminator has been emitted. */
  get terminated(): boolean {
    return this.#terminated;
  }

  typeOf(v: Value): IrType {
    return OUT[this.block.op[v]!] as IrType;
  }
  isConst(v: Value): boolean {
    return this.block.op[v] === I32_CONST;
  }
  /** Value of an i32 constant (signed). */
  constOf(v: Value): number {
    return this.block.imm[v]!;
  }

  // --- constants ----------------------------------------------------------------------------------------------
  i32(v: number): Value {
    return this.#constant(I32_CONST, v | 0, 0);
  }
  /** 64-bit constant from a safe integer. */
  i64(v: number): Value {
    return this.i64Parts(v | 0, Math.floor(v / 0x1_0000_0000) | 0);
  }
  i64Parts(lo: number, hi: number): Value {
    return this.#constant(I64_CONST, lo | 0, hi | 0);
  }
  /** Constant of the given integer type. */
  int(type: IrType, v: number): Value {
    return type === I64 ? this.i64(v) : this.i32(v);
  }
  v128(bytes: Uint8Array): Value {
    return this.block.push(V128_CONST, -1, -1, -1, this.block.vectors.push(bytes) - 1, 0);
  }
  /** Absolute WebAssembly address of env + offset, for callw arguments. */
  envAddr(offset: number): Value {
    return this.#pure(ENV_ADDR, -1, -1, -1, offset, 0);
  }

  /** What addresses in the code are to be moved by (`TranslateRequest.movable`). */
  codeOffset(): Value {
    return this.#pure(CODE_OFFSET, -1, -1, -1, 0, 0);
  }

  // --- generic ------------------------------------------------------------------------------------------------
  /** Any op of the table by id (see `opId`): operands, then imm. Pure ops are folded and shared. */
  emit(op: number, a: Value = -1, b: Value = -1, c: Value = -1, imm = 0): Value {
    if (IS_PURE[op] !== 0) return this.#pure(op, a, b, c, imm, 0);
    if (MAY_LEAVE[op] !== 0) this.#leave();
    return this.block.push(op, a, b, c, imm, 0);
  }
  shuffle(a: Value, b: Value, lanes: Uint8Array): Value {
    return this.block.push(SHUFFLE, a, b, -1, this.block.vectors.push(lanes) - 1, 0);
  }

  // --- integer arithmetic: i32 or i64 by the type of the first operand ----------------------------------------
  #int(ids: readonly [number, number], a: Value, b: Value): Value {
    return this.#pure(this.typeOf(a) === I64 ? ids[1] : ids[0], a, b, -1, 0, 0);
  }
  add(a: Value, b: Value): Value {
    return this.#int(P.add, a, b);
  }
  sub(a: Value, b: Value): Value {
    return this.#int(P.sub, a, b);
  }
  mul(a: Value, b: Value): Value {
    return this.#int(P.mul, a, b);
  }
  and(a: Value, b: Value): Value {
    return this.#int(P.and, a, b);
  }
  or(a: Value, b: Value): Value {
    return this.#int(P.or, a, b);
  }
  xor(a: Value, b: Value): Value {
    return this.#int(P.xor, a, b);
  }
  /** Shift counts are modulo the width; for i64 the count is an i64. */
  shl(a: Value, b: Value): Value {
    return this.#int(P.shl, a, b);
  }
  shr(a: Value, b: Value): Value {
    return this.#int(P.shr, a, b);
  }
  sar(a: Value, b: Value): Value {
    return this.#int(P.sar, a, b);
  }
  rotl(a: Value, b: Value): Value {
    return this.#int(P.rotl, a, b);
  }
  rotr(a: Value, b: Value): Value {
    return this.#int(P.rotr, a, b);
  }
  divS(a: Value, b: Value): Value {
    return this.#int(P.divS, a, b);
  }
  divU(a: Value, b: Value): Value {
    return this.#int(P.divU, a, b);
  }
  remS(a: Value, b: Value): Value {
    return this.#int(P.remS, a, b);
  }
  remU(a: Value, b: Value): Value {
    return this.#int(P.remU, a, b);
  }
  eq(a: Value, b: Value): Value {
    return this.#int(P.eq, a, b);
  }
  ne(a: Value, b: Value): Value {
    return this.#int(P.ne, a, b);
  }
  ltS(a: Value, b: Value): Value {
    return this.#int(P.ltS, a, b);
  }
  ltU(a: Value, b: Value): Value {
    return this.#int(P.ltU, a, b);
  }
  gtS(a: Value, b: Value): Value {
    return this.#int(P.gtS, a, b);
  }
  gtU(a: Value, b: Value): Value {
    return this.#int(P.gtU, a, b);
  }
  leS(a: Value, b: Value): Value {
    return this.#int(P.leS, a, b);
  }
  leU(a: Value, b: Value): Value {
    return this.#int(P.leU, a, b);
  }
  geS(a: Value, b: Value): Value {
    return this.#int(P.geS, a, b);
  }
  geU(a: Value, b: Value): Value {
    return this.#int(P.geU, a, b);
  }
  eqz(a: Value): Value {
    return this.#int(P.eqz, a, -1);
  }
  clz(a: Value): Value {
    return this.#int(P.clz, a, -1);
  }
  ctz(a: Value): Value {
    return this.#int(P.ctz, a, -1);
  }
  popcnt(a: Value): Value {
    return this.#int(P.popcnt, a, -1);
  }
  bswap(a: Value): Value {
    return this.#int(P.bswap, a, -1);
  }
  ext8s(a: Value): Value {
    return this.#int(P.ext8s, a, -1);
  }
  ext16s(a: Value): Value {
    return this.#int(P.ext16s, a, -1);
  }
  not(a: Value): Value {
    return this.xor(a, this.int(this.typeOf(a), -1));
  }
  neg(a: Value): Value {
    return this.sub(this.int(this.typeOf(a), 0), a);
  }
  /** i64 -> i32, i32 -> i64. */
  wrap(a: Value): Value {
    return this.#pure(WRAP, a, -1, -1, 0, 0);
  }
  extS(a: Value): Value {
    return this.#pure(EXT_S, a, -1, -1, 0, 0);
  }
  extU(a: Value): Value {
    return this.#pure(EXT_U, a, -1, -1, 0, 0);
  }
  /** cond ? a : b, for any type. */
  select(cond: Value, a: Value, b: Value): Value {
    if (a === b) return a;
    if (this.isConst(cond)) return this.constOf(cond) !== 0 ? a : b;
    return this.#pure(SELECT[this.typeOf(a)]!, a, b, cond, 0, 0);
  }

  // --- CPU state ----------------------------------------------------------------------------------------------
  get(global: number): Value {
    const known = this.#known[global]!;
    if (known >= 0) return known;
    const v = this.block.push(GET[this.#types[global]!]!, -1, -1, -1, global, 0);
    this.#known[global] = v;
    return v;
  }
  set(global: number, v: Value): void {
    if (this.#known[global] === v) return;
    if (OUT[this.block.op[v]!] !== this.#types[global])
      throw new Error(`set ${this.globals[global]!.name}: value has another type`);
    this.#known[global] = v;
    this.#setInInsn = true;
    if (this.#dirty[global] === 0) {
      this.#dirty[global] = 1;
      this.#dirtyList[this.#dirtyCount++] = global;
    }
  }

  /** Write the pending sets: before anything that could see them. */
  #flush(): void {
    const { block } = this;
    for (let k = 0; k < this.#dirtyCount; k++) {
      const g = this.#dirtyList[k]!;
      this.#dirty[g] = 0;
      block.push(SET[this.#types[g]!]!, this.#known[g]!, -1, -1, g, 0);
    }
    this.#dirtyCount = 0;
  }

  /**
   * Before an op that may leave: earlier instructions' sets, then this instruction's boundary. Sets of this very
   * instruction stand after the boundary, where `verify` finds them.
   */
  #leave(): void {
    if (!this.#setInInsn && this.#dirtyCount > 0) this.#flush();
    this.#mark();
    if (this.#dirtyCount > 0) this.#flush();
  }
  #mark(): void {
    if (!this.#markPending) return;
    this.#markPending = false;
    this.block.push(INSN_START, -1, -1, this.block.insnCount - 1, this.#markLo, this.#markHi);
  }

  // --- guest memory -------------------------------------------------------------------------------------------
  load(kind: LoadKind, address: Value, flags = 0): Value {
    this.#leave();
    return this.block.push(LOAD[kind][this.typeOf(address) === I64 ? 1 : 0], address, -1, -1, flags, 0);
  }
  store(kind: StoreKind, address: Value, v: Value, flags = 0): void {
    this.#leave();
    this.block.push(STORE[kind][this.typeOf(address) === I64 ? 1 : 0], address, v, -1, flags, 0);
  }

  /** Copy bytes between two guest ranges, hot translation only: see the op. */
  copy(to: Value, from: Value, bytes: Value): void {
    this.#leave();
    this.block.push(COPY[this.typeOf(to) === I64 ? 1 : 0], to, from, bytes, 0, 0);
  }
  /** Fill guest bytes, hot translation only: see the op. */
  fill(to: Value, byte: Value, bytes: Value): void {
    this.#leave();
    this.block.push(FILL[this.typeOf(to) === I64 ? 1 : 0], to, byte, bytes, 0, 0);
  }

  // --- guards and calls ---------------------------------------------------------------------------------------
  /** Raise an exception at this instruction if cond != 0. errorCode -1: the vector has none. */
  raiseIf(cond: Value, vector: number, errorCode = -1): void {
    if (this.isConst(cond) && this.constOf(cond) === 0) return;
    this.#leave();
    this.block.push(RAISE_IF, cond, -1, -1, vector, errorCode);
  }
  /** `whileWork`: only while the accelerator has pending work. */
  bailIf(cond: Value, whileWork = false): void {
    if (this.isConst(cond) && this.constOf(cond) === 0) return;
    this.#leave();
    this.block.push(whileWork ? BAIL_IF_WORK : BAIL_IF, cond, -1, -1, 0, 0);
  }
  callw(helper: number, ...args: Value[]): Value {
    return this.#call(CALLW[args.length]!, helper, args);
  }
  /** Script helper: afterwards nothing is known about any global. */
  callj(helper: number, ...args: Value[]): Value {
    this.#leave();
    const v = this.#call(CALLJ[args.length]!, helper, args);
    this.#known.fill(-1);
    return v;
  }
  /** Script helper that calls a device: what is known of globals stays. Nothing of this instruction may leave behind it. */
  calld(helper: number, ...args: Value[]): Value {
    this.#leave();
    this.#setInInsn = true;
    return this.#call(CALLD[args.length]!, helper, args);
  }
  #call(op: number, helper: number, args: readonly Value[]): Value {
    const v = this.block.push(op, args[0] ?? -1, args[1] ?? -1, args[2] ?? -1, helper, 0);
    for (let n = 3; n < args.length; n++) this.block.setOperand(v, n, args[n]!);
    return v;
  }

  // --- structure ----------------------------------------------------------------------------------------------
  insnStart(pcLo: number, pcHi = 0): void {
    this.#markLo = pcLo | 0;
    this.#markHi = pcHi | 0;
    this.#markPending = true;
    this.#setInInsn = false;
    if (this.block.insnCount++ === 0) this.#mark();
  }
  jmp(pcLo: number, pcHi = 0): void {
    this.#term(JMP, -1, pcLo | 0, pcHi | 0);
  }
  br(cond: Value, taken: number, notTaken: number): void {
    if (this.isConst(cond)) this.jmp(this.constOf(cond) !== 0 ? taken : notTaken);
    else this.#term(BR, cond, taken | 0, notTaken | 0);
  }
  jmpInd(pc: Value, kind = 0): void {
    this.#term(this.typeOf(pc) === I64 ? JMP_IND_A64 : JMP_IND, pc, kind, 0);
  }
  exit(kind = 0): void {
    this.#term(EXIT, -1, kind, 0);
  }
  #term(op: number, a: Value, imm: number, imm2: number): void {
    if (this.#terminated) throw new Error('block has a terminator already');
    this.#flush();
    this.#mark();
    this.block.push(op, a, -1, -1, imm, imm2);
    this.#terminated = true;
  }

  /** End of the block: remove dead sets and dead values. The block must have a terminator. */
  finish(): IrBlock {
    if (!this.#terminated) throw new Error('block has no terminator');
    const { block, globals } = this;
    if (!this.#sweeps) return block;
    const words = globals.length + block.count;
    if (this.#scratch.length < words) this.#scratch = new Int32Array(words * 2);
    removeDead(block, globals.length, this.#scratch);
    return block;
  }

  /** Constants are shared even where nothing else is: they are no ops. */
  #constant(op: number, imm: number, imm2: number): Value {
    const { block } = this;
    const mixed = Math.imul(imm ^ (imm2 << 1), 0x165667b1) + op;
    const h = (mixed ^ (mixed >>> 15)) & (CSE_SIZE - 1);
    const hit = this.#constants[h]!;
    if (hit < block.count && block.imm[hit] === imm && block.op[hit] === op && block.imm2[hit] === imm2) return hit;
    return (this.#constants[h] = block.push(op, -1, -1, -1, imm, imm2));
  }

  // --- folding ------------------------------------------------------------------------------------------------
  #pure(op: number, a: Value, b: Value, c: Value, imm: number, imm2: number): Value {
    if (this.#folds && a >= 0) {
      const folded = FOLDS_64[op] !== 0 ? fold64(this, op, a, b) : fold32(this, op, a, b, c);
      if (folded >= 0) return folded;
    }
    const { block } = this;
    if (!this.#shares) return block.push(op, a, b, c, imm, imm2);
    let h =
      Math.imul(op + 1, 0x9e3779b1) ^
      Math.imul(a + 7, 0x85ebca6b) ^
      Math.imul(b + 13, 0xc2b2ae35) ^
      Math.imul(c + 3, 0x27d4eb2f) ^
      Math.imul(imm, 0x165667b1);
    h = (h ^ (h >>> 15)) & (CSE_SIZE - 1);
    const hit = this.#cse[h]! - 1;
    if (
      hit >= 0 &&
      hit < block.count &&
      block.op[hit] === op &&
      block.a[hit] === a &&
      block.b[hit] === b &&
      block.c[hit] === c &&
      block.imm[hit] === imm &&
      block.imm2[hit] === imm2
    )
      return hit;
    const v = block.push(op, a, b, c, imm, imm2);
    this.#cse[h] = v + 1;
    return v;
  }
}
