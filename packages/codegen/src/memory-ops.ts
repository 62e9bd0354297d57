/**
 * Guest memory access, written once for both tiers: the softmmu TLB check and the final host load or store.
 * The check compares the page of the access's last byte with the entry chosen by its first byte, so an access that
 * crosses a page never hits and an unaligned one inside a page does.
 */
import { I32, I64, OPS, V128 } from '@emkit/ir';
import type { IrType } from '@emkit/ir';
import { OP, SIMD } from '@emkit/wasm';
import type { FunctionBuilder, Label } from '@emkit/wasm';
import { PAGE_MASK, TLB } from './layout.ts';
import { missCode, MMU } from './mmu-layout.ts';
import { pushExit } from './region-exit.ts';
import type { RegionExit } from './region-exit.ts';

export interface MemoryOp {
  readonly name: string;
  readonly size: number;
  readonly log2: number;
  readonly store: boolean;
  /** Type of the loaded or stored value. */
  readonly value: IrType;
  readonly signed: boolean;
  readonly address: IrType;
  readonly code: number;
  readonly simd: boolean;
}

const LOADS: Readonly<Record<string, number>> = {
  ld8u: OP.i32_load8_u,
  ld8s: OP.i32_load8_s,
  ld16u: OP.i32_load16_u,
  ld16s: OP.i32_load16_s,
  ld32: OP.i32_load,
  ld64: OP.i64_load,
  ld128: SIMD.v128_load,
};
const STORES: Readonly<Record<string, number>> = {
  st8: OP.i32_store8,
  st16: OP.i32_store16,
  st32: OP.i32_store,
  st64: OP.i64_store,
  st128: SIMD.v128_store,
};

/** Memory ops by op id. */
export const MEMORY_OPS: readonly (MemoryOp | undefined)[] = OPS.map((o) => {
  if (o.effect !== 'load' && o.effect !== 'store') return undefined;
  const base = o.name.replace('_a64', '');
  const size = Number(/\d+/.exec(base)![0]) / 8;
  const store = o.effect === 'store';
  return {
    name: o.name,
    size,
    log2: Math.log2(size),
    store,
    value: store ? o.ins[1] : o.out,
    signed: base.endsWith('s') && !store,
    address: o.name.endsWith('_a64') ? I64 : I32,
    code: (store ? STORES : LOADS)[base],
    simd: size === 16,
  };
});

/** Host load: address on the stack -> value on the stack. */
export function hostLoad(f: FunctionBuilder, m: MemoryOp, offset = 0): void {
  if (m.simd) f.simdLoad(m.code, 0, offset);
  else f.load(m.code, 0, offset);
}
/** Host store: address and value on the stack. */
export function hostStore(f: FunctionBuilder, m: MemoryOp, offset = 0): void {
  if (m.simd) f.simdStore(m.code, 0, offset);
  else f.store(m.code, 0, offset);
}

/** Guest address (local of type i32 or i64) -> byte offset of its TLB entry within a mode's table, on the stack. */
export function tlbOffset(f: FunctionBuilder, address: number, type: IrType): void {
  const shift = 12 - Math.log2(TLB.ENTRY_SIZE);
  const mask = (TLB.ENTRIES - 1) * TLB.ENTRY_SIZE;
  f.get(address);
  if (type === I64) f.i64Const(shift).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
  else f.i32Const(shift).op(OP.i32_shr_u);
  f.i32Const(mask).op(OP.i32_and);
}

/**
 * Pushes 1 if [address, address + span) does not hit, else 0. `entry` is a local with the entry's offset (from
 * `tlbOffset`), `base` the constant address of the mode's table.
 */
export function tlbMisses(
  f: FunctionBuilder,
  address: number,
  type: IrType,
  entry: number,
  base: number,
  span: number,
  write: boolean,
): void {
  const tag = base + (write ? TLB.TAG_WRITE : TLB.TAG_READ);
  f.get(address);
  if (type === I64) {
    if (span > 1) f.i64Const(span - 1).op(OP.i64_add);
    f.i64Const(PAGE_MASK).op(OP.i64_and);
    f.get(entry).load(OP.i64_load, 3, tag).op(OP.i64_ne);
  } else {
    if (span > 1) f.i32Const(span - 1).op(OP.i32_add);
    f.i32Const(PAGE_MASK).op(OP.i32_and);
    f.get(entry).load(OP.i32_load, 2, tag).op(OP.i32_ne);
  }
}

/** As `tlbMisses`, for as many bytes as a local says. None at all may hit or miss. */
export function tlbMissesRange(
  f: FunctionBuilder,
  address: number,
  type: IrType,
  entry: number,
  base: number,
  bytes: number,
  write: boolean,
): void {
  const tag = base + (write ? TLB.TAG_WRITE : TLB.TAG_READ);
  f.get(address).get(bytes);
  if (type === I64) {
    f.op(OP.i64_extend_i32_u).op(OP.i64_add).i64Const(1).op(OP.i64_sub).i64Const(PAGE_MASK).op(OP.i64_and);
    f.get(entry).load(OP.i64_load, 3, tag).op(OP.i64_ne);
  } else {
    f.op(OP.i32_add).i32Const(1).op(OP.i32_sub).i32Const(PAGE_MASK).op(OP.i32_and);
    f.get(entry).load(OP.i32_load, 2, tag).op(OP.i32_ne);
  }
}

/** What leaves a region: the way out, the access's kind and TLB, the label. */
interface Missed {
  readonly way: RegionExit;
  readonly write: boolean;
  readonly tlb: number;
  readonly exit: Label;
}

/** Leaves if the condition on the stack (from `tlbMisses`) holds; the address is noted for the page walker. */
export function leaveOnMiss(f: FunctionBuilder, address: number, type: IrType, missed: Missed): void {
  f.unlikely().if_();
  f.i32Const(0).get(address);
  if (type !== I64) f.op(OP.i64_extend_i32_u);
  f.store(OP.i64_store, 3, MMU.MISS);
  pushExit(f, missed.way, missCode(missed.write, missed.tlb !== TLB.BASE)).br(missed.exit);
  f.end();
}

/** Pushes address + addend: the host address after a hit. */
export function hostAddress(f: FunctionBuilder, address: number, type: IrType, entry: number, base: number): void {
  f.get(address);
  if (type === I64) f.op(OP.i32_wrap_i64);
  f.get(entry)
    .load(OP.i32_load, 2, base + TLB.ADDEND)
    .op(OP.i32_add);
}

/** Load/store opcodes of env slots and interpreter temporaries by type. */
export function slotLoad(f: FunctionBuilder, type: IrType, offset = 0): void {
  if (type === V128) f.simdLoad(SIMD.v128_load, 0, offset);
  else f.load([OP.i32_load, OP.i64_load, OP.f32_load, OP.f64_load][type], 0, offset);
}
export function slotStore(f: FunctionBuilder, type: IrType, offset = 0): void {
  if (type === V128) f.simdStore(SIMD.v128_store, 0, offset);
  else f.store([OP.i32_store, OP.i64_store, OP.f32_store, OP.f64_store][type], 0, offset);
}
