/**
 * Writes one function body. It stands on the hot path of a JIT: every method appends bytes to one growing buffer and
 * allocates nothing else. It keeps the nesting of blocks (so that branches are given labels, not depths) but no types:
 * whether the operands fit is the engine's validation to say.
 *
 * Invariants: `openLabels[d]` is the label of the construct at depth d, the function body being depth 0; a label is a
 * serial number and never reused within a function. The body's own final `end` is written by `ModuleBuilder.finish`.
 * Spec: WebAssembly Core 2.0 §5.4 (Instructions), §5.5.13 (Code Section); Core 3.0 appendix "Custom Sections", Branch Hints Section.
 */
import { ByteWriter, MAX_LEB32_BYTES, MAX_LEB64_BYTES, u32ByteLength } from './byte-writer.ts';
import { WasmEncodeError } from './errors.ts';
import { encodeLocals } from './locals.ts';
import { IMMEDIATES, IMMEDIATES_ZERO_BYTE, OP } from './opcodes.ts';
import { ATOMIC, ATOMIC_PREFIX, MISC_IMMEDIATES, MISC_PREFIX } from './prefixed-opcodes.ts';
import { SIMD, SIMD_PREFIX } from './simd-opcodes.ts';
import { EMPTY_BLOCK_TYPE } from './value-types.ts';
import type { BlockType, ValType } from './value-types.ts';

declare const labelBrand: unique symbol;

/** Names an open block, loop or if of one function. A number at run time: making one costs nothing. */
export type Label = number & { readonly [labelBrand]: true };

const BODY_LABEL = 0 as Label;
const KIND_BLOCK = 0;
const KIND_IF = 1;
const KIND_ELSE = 2;
const HINT_UNLIKELY = 0;
const HINT_LIKELY = 1;

export class FunctionBuilder {
  /** The function's index in the module, imports counted. */
  readonly index: number;
  /** The function body as a branch target: branching there returns. */
  readonly body: Label = BODY_LABEL;
  private readonly out = new ByteWriter();
  private readonly localTypes: ValType[] = [];
  private readonly parameterCount: number;
  private readonly openLabels: number[] = [BODY_LABEL];
  private readonly labelDepth: number[] = [0];
  private readonly labelKind: number[] = [KIND_BLOCK];
  /** Pairs: offset in the code of a branch, and whether it is taken. */
  private readonly hints: number[] = [];

  /** Made by `ModuleBuilder.addFunction`. */
  constructor(index: number, parameterCount: number) {
    this.index = index;
    this.parameterCount = parameterCount;
  }

  /** Bytes of code so far, without local declarations. */
  get size(): number {
    return this.out.length;
  }

  /** A new zero-initialised local; may be called at any time. Its index follows the parameters and earlier locals. */
  addLocal(type: ValType): number {
    return this.parameterCount + this.localTypes.push(type) - 1;
  }

  /** Any one-byte opcode without immediates (and `memory.size`, `memory.grow`, whose memory index is supplied). */
  op(opcode: number): this {
    const immediates = IMMEDIATES[opcode];
    if (!immediates) throw badOpcode('op', opcode);
    const out = this.out;
    out.reserve(2);
    out.put(opcode);
    if (immediates === IMMEDIATES_ZERO_BYTE) out.put(0);
    return this;
  }

  get(local: number): this {
    return this.withIndex(OP.local_get, local);
  }

  set(local: number): this {
    return this.withIndex(OP.local_set, local);
  }

  tee(local: number): this {
    return this.withIndex(OP.local_tee, local);
  }

  globalGet(index: number): this {
    return this.withIndex(OP.global_get, index);
  }

  globalSet(index: number): this {
    return this.withIndex(OP.global_set, index);
  }

  tableGet(table: number): this {
    return this.withIndex(OP.table_get, table);
  }

  tableSet(table: number): this {
    return this.withIndex(OP.table_set, table);
  }

  /** A null `funcref`. */
  refNull(): this {
    return this.withIndex(OP.ref_null, 0x70);
  }

  /** A reference to a function; the function must also be exported or occur in an element segment. */
  refFunc(func: number): this {
    return this.withIndex(OP.ref_func, func);
  }

  /** A 32-bit constant, given signed or unsigned. */
  i32Const(value: number): this {
    const out = this.out;
    out.reserve(1 + MAX_LEB32_BYTES);
    out.put(OP.i32_const);
    out.putS32(value);
    return this;
  }

  /** A 64-bit constant: a safe integer, or a bigint in -2^63 .. 2^64-1. Prefer `i64ConstParts` on hot paths. */
  i64Const(value: bigint | number): this {
    if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) throw new WasmEncodeError('bad-immediate', `${value} is not a safe integer`);
      return this.i64ConstParts(value | 0, Math.floor(value / 0x1_0000_0000));
    }
    if (value < -(1n << 63n) || value >= 1n << 64n)
      throw new WasmEncodeError('bad-immediate', `${value} is not a 64-bit integer`);
    return this.i64ConstParts(Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
  }

  /** The 64-bit constant `hi:lo` from two 32-bit halves, each given signed or unsigned. */
  i64ConstParts(lo: number, hi: number): this {
    const out = this.out;
    out.reserve(1 + MAX_LEB64_BYTES);
    out.put(OP.i64_const);
    out.putS64Parts(lo, hi);
    return this;
  }

  /** A 32-bit float; a NaN becomes JavaScript's NaN. Use `f32ConstBits` where the payload matters. */
  f32Const(value: number): this {
    const out = this.out;
    out.reserve(5);
    out.put(OP.f32_const);
    out.putF32(value);
    return this;
  }

  f32ConstBits(bits: number): this {
    const out = this.out;
    out.reserve(5);
    out.put(OP.f32_const);
    out.putBits32(bits);
    return this;
  }

  /** A 64-bit float; a NaN becomes JavaScript's NaN. Use `f64ConstBits` where the payload matters. */
  f64Const(value: number): this {
    const out = this.out;
    out.reserve(9);
    out.put(OP.f64_const);
    out.putF64(value);
    return this;
  }

  f64ConstBits(lo: number, hi: number): this {
    const out = this.out;
    out.reserve(9);
    out.put(OP.f64_const);
    out.putBits32(lo);
    out.putBits32(hi);
    return this;
  }

  /** A load (`OP.i32_load` .. `OP.i64_load32_u`); `align` is the base-2 logarithm of the alignment promised. */
  load(opcode: number, align: number, offset: number): this {
    if (opcode < OP.i32_load || opcode > OP.i64_load32_u) throw badOpcode('load', opcode);
    return this.memoryAccess(opcode, align, offset);
  }

  /** A store (`OP.i32_store` .. `OP.i64_store32`); `align` is the base-2 logarithm of the alignment promised. */
  store(opcode: number, align: number, offset: number): this {
    if (opcode < OP.i32_store || opcode > OP.i64_store32) throw badOpcode('store', opcode);
    return this.memoryAccess(opcode, align, offset);
  }

  /** A vector instruction without immediates. */
  simd(sub: number): this {
    return this.withIndex(SIMD_PREFIX, sub);
  }

  /** `extract_lane` or `replace_lane`. */
  simdLane(sub: number, lane: number): this {
    this.simd(sub).out.u8(checkLane(lane, 16));
    return this;
  }

  /** `i8x16.shuffle`: sixteen lane indices, 0-15 from the first operand and 16-31 from the second. */
  shuffle(lanes: ArrayLike<number>): this {
    this.simd(SIMD.i8x16_shuffle);
    return this.sixteen(lanes, 32);
  }

  /** `v128.const` from sixteen bytes, lowest first. */
  v128Const(bytes: ArrayLike<number>): this {
    this.simd(SIMD.v128_const);
    return this.sixteen(bytes, 256);
  }

  /** A vector load, also the widening, splatting and zero-extending ones. */
  simdLoad(sub: number, align: number, offset: number): this {
    return this.simd(sub).memoryImmediates(align, offset);
  }

  simdStore(sub: number, align: number, offset: number): this {
    return this.simd(sub).memoryImmediates(align, offset);
  }

  /** `v128.loadN_lane` or `v128.storeN_lane`. */
  simdLoadLane(sub: number, align: number, offset: number, lane: number): this {
    this.simd(sub).memoryImmediates(align, offset).out.u8(checkLane(lane, 16));
    return this;
  }

  /**
   * A 0xfc instruction. Its index immediates default to 0 (the memory, the table); give them for `memory_init` (data),
   * `data_drop` (data), `table_init` (element, table), `elem_drop` (element), `table_copy` (to, from), `table_*` (table).
   */
  misc(sub: number, first = 0, second = 0): this {
    const count = MISC_IMMEDIATES[sub];
    if (count === undefined) throw badOpcode('misc', sub);
    const out = this.out;
    out.reserve(1 + 3 * MAX_LEB32_BYTES);
    out.put(MISC_PREFIX);
    out.putU32(sub);
    if (count > 0) out.putU32(first);
    if (count > 1) out.putU32(second);
    return this;
  }

  /** An atomic instruction. Atomic accesses must state their natural alignment; `atomic_fence` has no memory operand. */
  atomic(sub: number, align = 0, offset = 0): this {
    const out = this.out;
    out.reserve(2 + MAX_LEB32_BYTES);
    out.put(ATOMIC_PREFIX);
    out.putU32(sub);
    if (sub !== ATOMIC.atomic_fence) return this.memoryImmediates(align, offset);
    out.put(0); // reserved byte
    return this;
  }

  call(func: number): this {
    return this.withIndex(OP.call, func);
  }

  callIndirect(type: number, table = 0): this {
    this.withIndex(OP.call_indirect, type).out.u32(table);
    return this;
  }

  returnCall(func: number): this {
    return this.withIndex(OP.return_call, func);
  }

  returnCallIndirect(type: number, table = 0): this {
    this.withIndex(OP.return_call_indirect, type).out.u32(table);
    return this;
  }

  block(type?: BlockType): Label {
    return this.openConstruct(OP.block, type, KIND_BLOCK);
  }

  /** A loop: branching to its label goes to its start. */
  loop(type?: BlockType): Label {
    return this.openConstruct(OP.loop, type, KIND_BLOCK);
  }

  /** Says of the `if_` or `brIf` written next that its condition seldom holds. An engine that has no hints reads over it. */
  unlikely(): this {
    return this.hint(HINT_UNLIKELY);
  }

  /** As `unlikely`, of a condition that mostly holds. */
  likely(): this {
    return this.hint(HINT_LIKELY);
  }

  if_(type?: BlockType): Label {
    return this.openConstruct(OP.if, type, KIND_IF);
  }

  else_(): this {
    const label = this.openLabels[this.openLabels.length - 1] as number;
    if (this.labelKind[label] !== KIND_IF) throw new WasmEncodeError('unbalanced', 'else without an open if');
    this.labelKind[label] = KIND_ELSE;
    this.out.u8(OP.else);
    return this;
  }

  /** Close the innermost construct. The function's own `end` is not written by this but by `ModuleBuilder.finish`. */
  end(): this {
    if (this.openLabels.length === 1) throw new WasmEncodeError('unbalanced', 'end without an open construct');
    this.labelDepth[this.openLabels.pop() as number] = -1;
    this.out.u8(OP.end);
    return this;
  }

  br(label: Label): this {
    return this.withIndex(OP.br, this.relativeDepth(label));
  }

  brIf(label: Label): this {
    return this.withIndex(OP.br_if, this.relativeDepth(label));
  }

  brTable(labels: readonly Label[], otherwise: Label): this {
    this.withIndex(OP.br_table, labels.length);
    const out = this.out;
    out.reserve((labels.length + 1) * MAX_LEB32_BYTES);
    for (const label of labels) out.putU32(this.relativeDepth(label));
    out.putU32(this.relativeDepth(otherwise));
    return this;
  }

  return_(): this {
    return this.op(OP.return);
  }

  unreachable(): this {
    return this.op(OP.unreachable);
  }

  drop(): this {
    return this.op(OP.drop);
  }

  select(): this {
    return this.op(OP.select);
  }

  /** Append the code-section entry: size, local runs, code, `end`. Part of `ModuleBuilder.finish`. */
  encodeInto(target: ByteWriter): void {
    const open = this.openLabels.length - 1;
    if (open > 0) throw new WasmEncodeError('unbalanced', `function ${this.index} ends with ${open} construct(s) open`);
    const locals = encodeLocals(this.localTypes);
    const bodySize = locals.length + this.out.length + 1;
    target.reserve(u32ByteLength(bodySize) + bodySize);
    target.u32(bodySize);
    target.appendWriter(locals);
    target.appendWriter(this.out);
    target.u8(OP.end);
  }

  /** Append the code alone, for constant expressions. Part of `ModuleBuilder`. */
  copyCodeInto(target: ByteWriter): void {
    target.appendWriter(this.out);
  }

  private withIndex(opcode: number, index: number): this {
    this.out.opcodeU32(opcode, index);
    return this;
  }

  private memoryAccess(opcode: number, align: number, offset: number): this {
    this.out.opcodeU32(opcode, align);
    this.out.u32(offset);
    return this;
  }

  private memoryImmediates(align: number, offset: number): this {
    this.out.u32(align);
    this.out.u32(offset);
    return this;
  }

  /** Append this function's entry of the section of branch hints, if it has any. Part of `ModuleBuilder.finish`. */
  encodeHintsInto(target: ByteWriter): boolean {
    const { hints } = this;
    if (hints.length === 0) return false;
    target.u32(this.index);
    target.u32(hints.length / 2);
    // offsets are from the start of the body, which is its local declarations
    const code = encodeLocals(this.localTypes).length;
    for (let k = 0; k < hints.length; k += 2) {
      target.u32(code + (hints[k] as number));
      target.u32(1);
      target.u8(hints[k + 1] as number);
    }
    return true;
  }

  private hint(value: number): this {
    this.hints.push(this.out.length, value);
    return this;
  }

  private sixteen(values: ArrayLike<number>, limit: number): this {
    if (values.length !== 16) throw new WasmEncodeError('bad-immediate', `expected 16 values, got ${values.length}`);
    const out = this.out;
    out.reserve(16);
    for (let i = 0; i < 16; i++) out.put(checkLane(values[i] as number, limit));
    return this;
  }

  private openConstruct(opcode: number, type: BlockType | undefined, kind: number): Label {
    const out = this.out;
    out.reserve(1 + MAX_LEB64_BYTES);
    out.put(opcode);
    if (type === undefined) out.put(EMPTY_BLOCK_TYPE);
    else if (typeof type === 'number') out.put(type);
    else {
      // A type index is a positive signed 33-bit number here, so that it differs from the one-byte value types.
      if (type.type >>> 0 !== type.type) throw new WasmEncodeError('bad-immediate', `${type.type} is not a type index`);
      out.putS64Parts(type.type, 0);
    }
    const label = this.labelDepth.push(this.openLabels.length) - 1;
    this.labelKind.push(kind);
    this.openLabels.push(label);
    return label as Label;
  }

  private relativeDepth(label: Label): number {
    const depth = this.labelDepth[label];
    if (depth === undefined || depth < 0)
      throw new WasmEncodeError('label-closed', `label ${label} is not open in function ${this.index}`);
    return this.openLabels.length - 1 - depth;
  }
}

function checkLane(lane: number, limit: number): number {
  if (!Number.isInteger(lane) || lane < 0 || lane >= limit)
    throw new WasmEncodeError('bad-immediate', `${lane} is not in 0 .. ${limit - 1}`);
  return lane;
}

function badOpcode(method: string, opcode: number): WasmEncodeError {
  return new WasmEncodeError('bad-opcode', `${method}() cannot write opcode 0x${opcode.toString(16)}`);
}
