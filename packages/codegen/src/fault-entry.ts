/**
 * Delivery of a page fault without script, of an access by an op of the interpreter, data(address i64, ip), or of the fetch at the pc in env,
 * fetch(address i64, 0) -> 1 when the guest is in its handler, 0 when script must do it, which writes again what has been written by then.
 *
 * The way into the handler is a function like a region's, made by the accelerator from the target's IR when such faults have shown, and found
 * in MMU.ENTRIES by the block flags it is for. It returns ENTERED when it is in the handler; else nothing has changed, and bits from MISS_SHIFT
 * up say what it missed in the TLB.
 */
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, ModuleBuilder } from '@emkit/wasm';
import { addPlace } from './code-place.ts';
import type { TargetOffsets } from './cold-handlers.ts';
import { CTL, ENV_BASE, FIELD, HEADER } from './layout.ts';
import { MISS_SHIFT, MMU } from './mmu-layout.ts';

/** What a way in returns when the guest is in its handler. */
export const ENTERED = 1;
/** Tables and stack of the handler may each be missed, and an entry of the TLB may throw out another: then script does it. */
const MAX_REFILLS = 8;

/** What the target says of its page faults. Offsets in env. */
export interface FaultEntry {
  /** Block flags that the IR of a way in depends on. */
  readonly flags: number;
  /** 8 bytes for the address. */
  readonly address: number;
  readonly error: number;
}

interface Callees {
  readonly fill: number;
  readonly type: number;
  readonly table: number;
}

/** Function indices. */
export interface FaultDelivery {
  readonly data: number;
  readonly fetch: number;
}

export function buildFaultDelivery(
  mb: ModuleBuilder,
  o: TargetOffsets,
  entry: FaultEntry,
  callees: Callees,
): FaultDelivery {
  const type = mb.addType([VALTYPE.i64, VALTYPE.i32], [VALTYPE.i32]);
  const fetch = mb.addFunction(type);
  buildDelivery(fetch, o, entry, callees);
  const data = mb.addFunction(type);
  const header = (): FunctionBuilder => data.i32Const(CTL.TB).load(OP.i32_load, 2, 0);
  const address = 0;
  const ip = 1;
  data.i32Const(ENV_BASE + o.pc);
  header().load(OP.i32_load, 2, HEADER.PC).get(ip).load(OP.i32_load16_u, 1, FIELD.PC_DELTA).op(OP.i32_add);
  addPlace(data);
  data.store(OP.i32_store, 2, 0);
  data.get(address);
  header().load(OP.i32_load16_u, 1, HEADER.INSNS).get(ip).load(OP.i32_load16_u, 1, FIELD.INSN).op(OP.i32_sub);
  data.call(fetch.index);
  return { data: data.index, fetch: fetch.index };
}

/** (address, instructions of the budget to be given back) -> delivered. */
function buildDelivery(f: FunctionBuilder, o: TargetOffsets, entry: FaultEntry, callees: Callees): void {
  const address = 0;
  const back = 1;
  const budget = f.addLocal(VALTYPE.i32);
  const way = f.addLocal(VALTYPE.i32);
  const result = f.addLocal(VALTYPE.i32);
  const left = f.addLocal(VALTYPE.i32);
  // one below zero may be standing in for one that is set aside
  f.i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0).tee(budget).i32Const(0).op(OP.i32_lt_s);
  returnIf(f, 0);
  findWay(f, o, entry, way);
  f.i32Const(ENV_BASE + entry.error);
  f.i32Const(MMU.FAULT).load(OP.i32_load, 2, 0).store(OP.i32_store, 2, 0);
  f.i32Const(ENV_BASE + entry.address)
    .get(address)
    .store(OP.i64_store, 3, 0);
  // the fault counts as an instruction
  f.i32Const(CTL.BUDGET).get(budget).get(back).op(OP.i32_add).i32Const(1).op(OP.i32_sub).store(OP.i32_store, 2, 0);
  f.i32Const(MAX_REFILLS).set(left);
  const again = f.loop();
  f.i32Const(0)
    .get(way)
    .load(OP.i32_load, 2, MMU.ENTRIES + 4)
    .callIndirect(callees.type, callees.table)
    .op(OP.i32_wrap_i64);
  f.tee(result).i32Const(ENTERED).op(OP.i32_eq);
  returnIf(f, 1);
  f.get(result).i32Const(MISS_SHIFT).op(OP.i32_shr_u).tee(result);
  f.if_();
  f.i32Const(0).load(OP.i64_load, 3, MMU.MISS);
  f.get(result).i32Const(1).op(OP.i32_sub).tee(result).i32Const(1).op(OP.i32_and);
  f.get(result).i32Const(1).op(OP.i32_shr_u).call(callees.fill);
  f.get(left).i32Const(1).op(OP.i32_sub).tee(left).i32Const(0).op(OP.i32_ne).op(OP.i32_and).brIf(again);
  f.end();
  f.end();
  f.i32Const(CTL.BUDGET).get(budget).store(OP.i32_store, 2, 0);
  f.i32Const(0);
}

/** Sets `way` to the offset in MMU.ENTRIES, or returns 0 from the function. */
function findWay(f: FunctionBuilder, o: TargetOffsets, entry: FaultEntry, way: number): void {
  const found = f.block();
  const next = f.loop();
  f.get(way)
    .load(OP.i32_load, 2, MMU.ENTRIES + 4)
    .op(OP.i32_eqz);
  returnIf(f, 0);
  f.get(way).load(OP.i32_load, 2, MMU.ENTRIES);
  f.i32Const(ENV_BASE + o.flags)
    .load(OP.i32_load, 2, 0)
    .i32Const(entry.flags)
    .op(OP.i32_and)
    .op(OP.i32_eq)
    .brIf(found);
  f.get(way).i32Const(MMU.ENTRY_SIZE).op(OP.i32_add).tee(way);
  f.i32Const(MMU.ENTRY_SIZE * MMU.ENTRY_COUNT)
    .op(OP.i32_lt_u)
    .brIf(next);
  f.i32Const(0).return_();
  f.end();
  f.end();
}

function returnIf(f: FunctionBuilder, result: number): void {
  f.if_();
  f.i32Const(result).return_();
  f.end();
}
