/**
 * The cold tier's guest memory access: TLB check and host access, and out of line what is done where the check fails.
 */
import { I64 } from '@emkit/ir';
import { OP } from '@emkit/wasm';
import { advance, immediate, resultStore, slotAddress, slotValue } from './cold-handlers.ts';
import type { HandlerContext } from './cold-handlers.ts';
import type { ColdOp } from './cold-ops.ts';
import { returnIfSet } from './cold-outside-context.ts';
import type { OutsideContext } from './cold-outside-context.ts';
import { tlbOfMode } from './cold-probe.ts';
import { CTL, FIELD, GRANULES, LEAVE, PAGE_MASK, TLB } from './layout.ts';
import { hostLoad, hostStore, MEMORY_OPS } from './memory-ops.ts';
import type { MemoryOp } from './memory-ops.ts';
import { MMU } from './mmu-layout.ts';

/** In the kind of a slow access: MEM_WIDE. */
const MEM_WIDE_KIND = 128;

/** Guest memory access inside the interpreter's loop; what misses the TLB is done out of line. */
export function emitMemory(x: HandlerContext, cold: ColdOp): void {
  const { f, ip } = x;
  const m = MEMORY_OPS[cold.ir]!;
  const wide = m.address === I64;
  const address = addressOf(x, m);
  const rmw = cold.form === 'rmw';
  // entry = tlb + ((address >> 12) & mask) * size
  const shift = 12 - Math.log2(TLB.ENTRY_SIZE);
  f.get(address);
  if (wide) f.i64Const(shift).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
  else f.i32Const(shift).op(OP.i32_shr_u);
  f.i32Const((TLB.ENTRIES - 1) * TLB.ENTRY_SIZE)
    .op(OP.i32_and)
    .get(x.tlb)
    .op(OP.i32_add)
    .set(x.entry);
  matches(x, m, address, m.store || rmw ? TLB.TAG_WRITE : TLB.TAG_READ);
  f.op(OP.i32_eqz);
  f.if_();
  if (m.store) storeBesideCode(x, m, address, wide);
  if (rmw) {
    // to be written, but first read: that a page holds code concerns the store
    mayWriteBesideCode(x, m, address);
    f.op(OP.i32_eqz).brIf(x.outside);
  } else f.br(x.outside);
  f.end();
  hostOf(x, address, wide);
  if (m.store) {
    f.get(x.host);
    slotValue(f, ip, FIELD.B, m.value);
    hostStore(f, m);
  } else {
    slotAddress(f, ip, FIELD.DST).get(x.host);
    hostLoad(f, m);
    resultStore(f, m.value);
  }
  advance(f, ip, 1).br(x.next);
}

/**
 * The same access out of line: `fill` makes a TLB entry without script (page-walker.ts), after which the op runs again; `faults` delivers the fault that
 * it has found (fault-entry.ts); else script does the access. Its `kind`: size, +32 when write permission is wanted for a load, +64 for 64-bit stack
 * accesses, +128 for MEM_WIDE.
 */
export function emitMemoryOutside(x: OutsideContext, cold: ColdOp): void {
  const { f, ip, fill, faults } = x;
  const m = MEMORY_OPS[cold.ir]!;
  const wide = m.address === I64;
  const address = addressOf(x, m);
  const rmw = cold.form === 'rmw';
  if (fill !== undefined) {
    f.get(address);
    if (!wide) f.op(OP.i64_extend_i32_u);
    f.i32Const(m.store || rmw ? 1 : 0);
    tlbOfMode(f, x.options);
    f.i32Const(TLB.BASE).op(OP.i32_ne).call(fill);
    f.if_();
    f.get(ip).return_();
    f.end();
    if (faults !== undefined) deliverFault(x, address, wide, rmw, faults);
  }
  if (m.store) {
    f.i32Const(CTL.VAL);
    slotValue(f, ip, FIELD.B, m.value);
    hostStore(f, m);
  }
  f.get(address);
  if (wide) f.op(OP.i32_wrap_i64).get(address).i64Const(32).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
  else f.i32Const(0);
  f.i32Const(m.size | (rmw ? 32 : 0));
  // the field that the access has no other use for
  if (wide || rmw)
    f.get(ip)
      .load(OP.i32_load16_u, 1, m.store ? FIELD.DST : FIELD.B)
      .op(OP.i32_or);
  f.call(m.store ? x.imports.slowStore : x.imports.slowLoad);
  returnIfSet(x);
  if (!m.store) {
    slotAddress(f, ip, FIELD.DST).i32Const(CTL.VAL);
    hostLoad(f, m);
    resultStore(f, m.value);
  }
}

/** Sets the local of the address's width to it, and says which that is. */
function addressOf(x: Pick<HandlerContext, 'f' | 'ip' | 'address' | 'address64'>, m: MemoryOp): number {
  const { f, ip } = x;
  const wide = m.address === I64;
  const address = wide ? x.address64 : x.address;
  slotValue(f, ip, FIELD.A, m.address);
  immediate(f, ip);
  if (wide) f.op(OP.i64_extend_i32_s).op(OP.i64_add);
  else f.op(OP.i32_add);
  f.set(address);
  return address;
}

/** Pushes whether the entry's tag is the page of the access's last byte. */
function matches(x: HandlerContext, m: MemoryOp, address: number, tag: number): void {
  const { f } = x;
  f.get(address);
  if (m.address === I64) {
    if (m.size > 1) f.i64Const(m.size - 1).op(OP.i64_add);
    f.i64Const(PAGE_MASK).op(OP.i64_and).get(x.entry).load(OP.i64_load, 3, tag).op(OP.i64_eq);
  } else {
    if (m.size > 1) f.i32Const(m.size - 1).op(OP.i32_add);
    f.i32Const(PAGE_MASK).op(OP.i32_and).get(x.entry).load(OP.i32_load, 2, tag).op(OP.i32_eq);
  }
}

/** If the access faults, and the fault can be delivered here, the interpreter is left. */
function deliverFault(x: OutsideContext, address: number, wide: boolean, rmw: boolean, faults: number): void {
  const { f, ip } = x;
  f.i32Const(MMU.FAULT).load(OP.i32_load, 2, 0).i32Const(0).op(OP.i32_ge_s);
  // of a store in two parts the first one's fault comes first, and this op is at the second
  if (rmw)
    f.get(ip).load(OP.i32_load16_u, 1, FIELD.B).i32Const(MEM_WIDE_KIND).op(OP.i32_and).op(OP.i32_eqz).op(OP.i32_and);
  f.if_();
  f.get(address);
  if (!wide) f.op(OP.i64_extend_i32_u);
  f.get(ip).call(faults);
  f.if_();
  f.i32Const(LEAVE.LOOKUP).return_();
  f.end();
  f.end();
}

/** Sets `host` from the address and the entry's addend. */
function hostOf(x: HandlerContext, address: number, wide: boolean): void {
  const { f } = x;
  f.get(address);
  if (wide) f.op(OP.i32_wrap_i64);
  f.get(x.entry).load(OP.i32_load, 2, TLB.ADDEND).op(OP.i32_add).set(x.host);
}

/** Pushes 1 if the page is mapped for reading (its tag matches the last byte's page) and marked writable in HOST_PAGE's sign bit. */
function mayWriteBesideCode(x: HandlerContext, m: MemoryOp, address: number): void {
  const { f } = x;
  matches(x, m, address, TLB.TAG_READ);
  f.get(x.entry).load(OP.i32_load, 2, TLB.HOST_PAGE).i32Const(0).op(OP.i32_lt_s).op(OP.i32_and);
}

/** A store to a page that holds code, where no code is: done here, and on to the next op. Otherwise falls through. */
function storeBesideCode(x: HandlerContext, m: MemoryOp, address: number, wide: boolean): void {
  const { f, ip } = x;
  mayWriteBesideCode(x, m, address);
  f.if_();
  hostOf(x, address, wide);
  f.get(x.host);
  // granules of the page, then the bits of the first and the last byte
  f.i32Const(12).op(OP.i32_shr_u).i32Const(3).op(OP.i32_shl).load(OP.i64_load, 3, GRANULES.BASE).set(x.scratch.i64);
  const bit = (offset: number): void => {
    f.get(x.scratch.i64).get(x.host);
    if (offset > 0) f.i32Const(offset).op(OP.i32_add);
    f.i32Const(GRANULES.BITS).op(OP.i32_shr_u).op(OP.i64_extend_i32_u).op(OP.i64_shr_u);
  };
  bit(0);
  if (m.size > 1) {
    bit(m.size - 1);
    f.op(OP.i64_or);
  }
  f.op(OP.i32_wrap_i64).i32Const(1).op(OP.i32_and).op(OP.i32_eqz);
  // a page that has lost all its code is for the slow path: it will be a data page again
  f.get(x.scratch.i64).i64Const(0).op(OP.i64_ne).op(OP.i32_and);
  f.if_();
  f.get(x.host);
  slotValue(f, ip, FIELD.B, m.value);
  hostStore(f, m);
  advance(f, ip, 1).br(x.next);
  f.end();
  f.end();
}
