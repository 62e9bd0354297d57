/**
 * Handlers of the cold tier: for each cold op the code that reads operand slots, does the op, writes the result.
 * Pure ops come from the lowering table; what differs here from a compiled region is only where operands live, and
 * that a miss or fault calls out and goes on instead of leaving.
 */
import { F32, F64, I32, I64, NONE, OPS, V128 } from '@emkit/ir';
import type { IrType } from '@emkit/ir';
import { OP, SIMD, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label } from '@emkit/wasm';
import type { ColdOp } from './cold-ops.ts';
import { CTL, ENV_BASE, FIELD, HEADER, LEAVE, TARGET_HISTORY } from './layout.ts';
import { LOWERING } from './lowering.ts';
import type { Scratch } from './lowering.ts';
import { slotLoad, slotStore } from './memory-ops.ts';

/** Offsets in env that the dispatcher needs; from the target. */
export interface TargetOffsets {
  readonly pc: number;
  readonly flags: number;
  readonly csBase: number;
}

/** Locals and labels that every handler in the interpreter's loop may use. Nothing is called there: see cold-module.ts. */
export interface HandlerContext {
  readonly f: FunctionBuilder;
  readonly ip: number;
  /** i32: base of the current TLB table; scratch. */
  readonly tlb: number;
  readonly address: number;
  readonly address64: number;
  readonly entry: number;
  readonly host: number;
  readonly jump: number;
  /** Low half of CTL.PLACE. */
  readonly place: number;
  readonly scratch: Scratch;
  readonly offsets: TargetOffsets;
  /**
   * Continue with the op at `ip`; the op at `jump` is a `jmp` to take; go on at the pc in local `jump`; have the op at `ip` done out of line
   * (cold-outside.ts).
   */
  readonly next: Label;
  readonly takeJump: Label;
  readonly lookup: Label;
  readonly outside: Label;
}

export const slotAddress = (f: FunctionBuilder, ip: number, field: number): FunctionBuilder =>
  f.get(ip).load(OP.i32_load16_u, 1, field);
export const slotValue = (f: FunctionBuilder, ip: number, field: number, type: IrType): void => {
  slotAddress(f, ip, field);
  slotLoad(f, type);
};
export const immediate = (f: FunctionBuilder, ip: number): FunctionBuilder => f.get(ip).load(OP.i32_load, 2, FIELD.IMM);
export const advance = (f: FunctionBuilder, ip: number, words: number): FunctionBuilder =>
  f
    .get(ip)
    .i32Const(16 * words)
    .op(OP.i32_add)
    .set(ip);
/** Result of a pure op or a load: one of 32 bits fills the slot's 8 bytes, so that zero-extending it costs nothing. */
export function resultStore(f: FunctionBuilder, type: IrType): void {
  if (type === I32) f.op(OP.i64_extend_i32_u);
  slotStore(f, type === I32 ? I64 : type);
}
const OPERAND_FIELDS = [FIELD.A, FIELD.B, FIELD.IMM];

/** Ops that run to completion and go on with the next one: used in the loop and in the out-of-line function alike. */
export function emitSimple(x: Pick<HandlerContext, 'f' | 'ip' | 'scratch'>, cold: ColdOp): void {
  const { f, ip, scratch } = x;
  const ir = OPS[cold.ir];
  switch (cold.form) {
    case 'mov':
      slotAddress(f, ip, FIELD.DST);
      slotValue(f, ip, FIELD.A, ir.out);
      slotStore(f, ir.out);
      break;
    case 'const':
      slotAddress(f, ip, FIELD.DST);
      f.get(ip);
      slotLoad(f, ir.out, ir.out === V128 ? 16 : FIELD.IMM);
      slotStore(f, ir.out);
      break;
    case 'rr':
    case 'ri':
      pure(x, cold);
      break;
    case 'envld':
    case 'envldx':
      slotAddress(f, ip, FIELD.DST);
      if (cold.form === 'envld') slotAddress(f, ip, FIELD.A);
      else {
        slotValue(f, ip, FIELD.A, I32);
        immediate(f, ip).op(OP.i32_add);
      }
      narrowLoad(f, ir.name, ir.out);
      slotStore(f, ir.out);
      break;
    case 'envst':
      slotAddress(f, ip, FIELD.DST);
      slotValue(f, ip, FIELD.A, ir.ins[0]);
      narrowStore(f, ir.name, ir.ins[0]);
      break;
    case 'envstx':
      slotValue(f, ip, FIELD.A, I32);
      immediate(f, ip).op(OP.i32_add);
      slotValue(f, ip, FIELD.B, ir.ins[1]);
      narrowStore(f, ir.name, ir.ins[1]);
      break;
    default:
      throw new Error(`not a simple cold op: ${cold.form}`);
  }
  void scratch;
}

export function narrowLoad(f: FunctionBuilder, name: string, type: IrType, offset = 0): void {
  if (name.endsWith('_8u')) f.load(OP.i32_load8_u, 0, offset);
  else if (name.endsWith('_16u')) f.load(OP.i32_load16_u, 0, offset);
  else slotLoad(f, type, offset);
}
export function narrowStore(f: FunctionBuilder, name: string, type: IrType, offset = 0): void {
  if (name.endsWith('_8')) f.store(OP.i32_store8, 0, offset);
  else if (name.endsWith('_16')) f.store(OP.i32_store16, 0, offset);
  else slotStore(f, type, offset);
}

function pure(x: Pick<HandlerContext, 'f' | 'ip' | 'scratch'>, cold: ColdOp): void {
  const { f, ip, scratch } = x;
  const ir = OPS[cold.ir];
  const lane = /^(\w+?)_(extract|replace)_lane(_[su])?$/.exec(ir.name);
  slotAddress(f, ip, FIELD.DST);
  if (ir.name === 'i8x16_shuffle') {
    // Lane numbers are data here: a 16-byte constant follows the op. Out-of-range lanes of swizzle give 0.
    slotValue(f, ip, FIELD.A, V128);
    f.get(ip).simdLoad(SIMD.v128_load, 0, 16).simd(SIMD.i8x16_swizzle);
    slotValue(f, ip, FIELD.B, V128);
    f.get(ip)
      .simdLoad(SIMD.v128_load, 0, 16)
      .i32Const(16)
      .simd(SIMD.i8x16_splat)
      .simd(SIMD.i8x16_sub)
      .simd(SIMD.i8x16_swizzle);
    f.simd(SIMD.v128_or);
    slotStore(f, V128);
    return;
  }
  if (lane !== null) {
    // The lane number is data: read or write the lane in the slot's memory.
    const bytes = { i8x16: 1, i16x8: 2, i32x4: 4, i64x2: 8, f32x4: 4, f64x2: 8 }[lane[1]]!;
    const laneOffset = (): void => {
      immediate(f, ip).i32Const(bytes).op(OP.i32_mul).op(OP.i32_add);
    };
    if (lane[2] === 'extract') {
      slotAddress(f, ip, FIELD.A);
      laneOffset();
      if (bytes === 1) f.load(lane[3] === '_s' ? OP.i32_load8_s : OP.i32_load8_u, 0, 0);
      else if (bytes === 2) f.load(lane[3] === '_s' ? OP.i32_load16_s : OP.i32_load16_u, 0, 0);
      else slotLoad(f, ir.out);
      resultStore(f, ir.out);
    } else {
      slotValue(f, ip, FIELD.A, V128);
      slotStore(f, V128);
      slotAddress(f, ip, FIELD.DST);
      laneOffset();
      slotValue(f, ip, FIELD.B, ir.ins[1]);
      if (bytes === 1) f.store(OP.i32_store8, 0, 0);
      else if (bytes === 2) f.store(OP.i32_store16, 0, 0);
      else slotStore(f, ir.ins[1]);
    }
    return;
  }
  ir.ins.forEach((type, n) => {
    if (n === 1 && cold.form === 'ri') {
      immediate(f, ip);
      if (type === I64) f.op(OP.i64_extend_i32_s);
    } else slotValue(f, ip, OPERAND_FIELDS[n], type);
  });
  LOWERING[ir.id]!(f, scratch, 0);
  resultStore(f, ir.out === NONE ? I32 : ir.out);
}

/** Header: count down budget and hotness. Leaving puts the block's pc into env. */
export function emitHeader(x: HandlerContext): void {
  const { f, ip } = x;
  f.i32Const(CTL.TB).get(ip).store(OP.i32_store, 2, 0);
  f.i32Const(CTL.BUDGET)
    .i32Const(CTL.BUDGET)
    .load(OP.i32_load, 2, 0)
    .get(ip)
    .load(OP.i32_load16_u, 1, HEADER.INSNS)
    .op(OP.i32_sub)
    .tee(x.entry);
  f.store(OP.i32_store, 2, 0);
  f.get(x.entry).i32Const(0).op(OP.i32_lt_s);
  f.if_();
  // give the block's instructions back: it has not run
  f.i32Const(CTL.BUDGET)
    .get(x.entry)
    .get(ip)
    .load(OP.i32_load16_u, 1, HEADER.INSNS)
    .op(OP.i32_add)
    .store(OP.i32_store, 2, 0);
  leaveAtHeader(x, LEAVE.BUDGET);
  f.end();
  f.get(ip)
    .get(ip)
    .load(OP.i32_load, 2, HEADER.COUNTER)
    .i32Const(1)
    .op(OP.i32_sub)
    .tee(x.entry)
    .store(OP.i32_store, 2, HEADER.COUNTER);
  f.get(x.entry).op(OP.i32_eqz);
  f.if_();
  f.i32Const(CTL.BUDGET)
    .i32Const(CTL.BUDGET)
    .load(OP.i32_load, 2, 0)
    .get(ip)
    .load(OP.i32_load16_u, 1, HEADER.INSNS)
    .op(OP.i32_add)
    .store(OP.i32_store, 2, 0);
  leaveAtHeader(x, LEAVE.PROMOTE);
  f.end();
  advance(f, ip, 1).br(x.next);
}

/** Store the header's pc to env, its address to CTL.IP and return `code`. */
export function leaveAtHeader(x: HandlerContext, code: number): void {
  const { f, ip, offsets } = x;
  f.i32Const(ENV_BASE + offsets.pc)
    .get(ip)
    .load(OP.i32_load, 2, HEADER.PC)
    .get(x.place)
    .op(OP.i32_add)
    .store(OP.i32_store, 2, 0);
  f.i32Const(CTL.IP).get(ip).store(OP.i32_store, 2, 0);
  f.i32Const(code).return_();
}

export function emitRaise(x: HandlerContext): void {
  const { f, ip } = x;
  slotValue(f, ip, FIELD.A, I32);
  f.brIf(x.outside);
  advance(f, ip, 1).br(x.next);
}

export function emitTerm(x: HandlerContext, cold: ColdOp): void {
  const { f, ip } = x;
  switch (cold.form) {
    case 'jmp':
      f.get(ip).set(x.jump).br(x.takeJump);
      break;
    case 'br':
      // the two jumps follow: taken, not taken
      f.get(ip).i32Const(16).op(OP.i32_add).get(ip).i32Const(32).op(OP.i32_add);
      slotValue(f, ip, FIELD.A, I32);
      f.op(OP.select).set(x.jump).br(x.takeJump);
      break;
    case 'jmpind':
      slotValue(f, ip, FIELD.A, I32);
      f.set(x.jump);
      if (OPS[cold.ir].ins[0] === I64) {
        // the high half is the window
        f.i32Const(ENV_BASE + x.offsets.csBase);
        slotAddress(f, ip, FIELD.A).load(OP.i32_load, 2, 4).store(OP.i32_store, 2, 0);
      }
      // remember the target: history[counter++ modulo its size]
      f.get(ip).load(OP.i32_load16_u, 1, FIELD.B).set(x.entry);
      f.get(ip).get(x.entry).i32Const(1).op(OP.i32_add).store(OP.i32_store16, 1, FIELD.B);
      f.get(ip)
        .get(x.entry)
        .i32Const(TARGET_HISTORY - 1)
        .op(OP.i32_and)
        .i32Const(2)
        .op(OP.i32_shl)
        .op(OP.i32_add)
        .get(x.jump)
        .get(x.place)
        .op(OP.i32_sub)
        .store(OP.i32_store, 2, FIELD.SIZE);
      f.br(x.lookup);
      break;
    default: {
      // exit: pc is in env. EXIT_WORK: if there is work, EXIT_ALWAYS: in any case
      immediate(f, ip).i32Const(1).op(OP.i32_shr_u);
      immediate(f, ip).i32Const(CTL.WORK).load(OP.i32_load, 2, 0).i32Const(0).op(OP.i32_ne);
      f.op(OP.i32_and).op(OP.i32_or);
      f.if_();
      f.i32Const(LEAVE.WORK).return_();
      f.end();
      f.i32Const(LEAVE.LOOKUP).return_();
    }
  }
}

export const VALTYPES: readonly number[] = [VALTYPE.i32, VALTYPE.i64, VALTYPE.f32, VALTYPE.f64, VALTYPE.v128];
export const SCALAR_TYPES = [I32, I64, F32, F64] as const;
