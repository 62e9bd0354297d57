/**
 * The dispatcher: goes from the pc in env to a block, runs it in the interpreter or enters its region, and does what the region's exit record says, until
 * something needs script.
 *
 * A way from region to region costs the record alone, or after an indirect jump the jump cache's entry alone, where that has a link that holds (LINK): no header is looked
 * at then, but the budget is. The link is made when the block was found by its pc and has a region. That flags and CS base are the same each time is the record's:
 * an exit of kind JUMP stands at the end of a block whose flags there are known, and no region changes the CS base without an exit of another kind. Each line of memory
 * that is looked at on the way is likely not in the host's first cache: that is what this function's time is.
 */
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import { COLD } from './cold-ops.ts';
import { addPlace, PLACE_TYPE, pushPlace } from './code-place.ts';
import { emitJumpCacheHit, takePlace } from './cold-probe.ts';
import type { CoreModuleOptions } from './cold-probe.ts';
import {
  CTL,
  ENV_BASE,
  EXIT_KIND,
  EXIT_RECORDS,
  FIELD,
  HEADER,
  INDIRECT_SAMPLE,
  JUMP_CACHE,
  LEAVE,
  LINK,
  REGION_PLACES,
} from './layout.ts';
import { MISS_SHIFT, MMU } from './mmu-layout.ts';

const I32 = VALTYPE.i32;
const KIND_MASK = 0xffff;

interface DispatcherCallees {
  readonly probe: number;
  readonly interpreter: number;
  readonly regionType: number;
  readonly regionTable: number;
  readonly fill: number | undefined;
  readonly fetchFault: number | undefined;
}

export function buildDispatcher(f: FunctionBuilder, options: CoreModuleOptions, callees: DispatcherCallees): void {
  const { offsets } = options;
  const ip = f.addLocal(I32);
  const code = f.addLocal(I32);
  const way = f.addLocal(VALTYPE.i64);
  const record = f.addLocal(I32);
  const count = f.addLocal(I32);
  const miss = f.addLocal(I32);
  const kind = f.addLocal(I32);
  const budget = f.addLocal(I32);
  const index = f.addLocal(I32);
  const number = f.addLocal(I32);
  const link = f.addLocal(I32);
  /** Record of kind JUMP that the block at `ip` has been looked up for, or 0. */
  const from = f.addLocal(I32);
  /** Its CTL.PLACE. */
  const fromPlace = f.addLocal(PLACE_TYPE);
  const missedAt = f.addLocal(I32);
  const missedBudget = f.addLocal(I32);
  /** 1: the region that `link` names is entered, whatever `ip` says. */
  const direct = f.addLocal(I32);
  /** Exits of kind INDIRECT that are not counted before the next that is. */
  const uncounted = f.addLocal(I32);
  const pcAddress = ENV_BASE + offsets.pc;
  const nameExit = (): void => {
    f.i32Const(CTL.EXIT);
    f.get(code)
      .i32Const((1 << MISS_SHIFT) - 1)
      .op(OP.i32_and);
    f.store(OP.i32_store, 2, 0);
  };
  const leaveToGrow = (): void => {
    nameExit();
    f.i32Const(LEAVE.GROW).return_();
  };
  /** Pushes whether the link in its local holds, and there is budget. */
  const linkHolds = (): void => {
    f.get(link).i32Const(CTL.LINKS).load(OP.i32_load, 2, 0).op(OP.i32_xor);
    f.i32Const(LINK.GENERATION_SHIFT).op(OP.i32_shr_u);
    f.get(budget).i32Const(31).op(OP.i32_shr_u).op(OP.i32_or).op(OP.i32_eqz);
  };
  /** Index and number of the link in its local. */
  const follow = (): void => {
    f.get(link)
      .i32Const((1 << LINK.NUMBER_SHIFT) - 1)
      .op(OP.i32_and)
      .set(index);
    f.get(link).i32Const(LINK.NUMBER_SHIFT).op(OP.i32_shr_u);
    f.i32Const((1 << (LINK.GENERATION_SHIFT - LINK.NUMBER_SHIFT)) - 1)
      .op(OP.i32_and)
      .set(number);
  };
  /** The exit `from`, if there is one, has the link in its local from now on. */
  const linkFrom = (): void => {
    f.get(from);
    f.if_();
    // of a place of its own: what is there may have been translated for another
    pushPlace(f).get(fromPlace).op(OP.i64_eq);
    f.if_();
    f.get(from).get(link).store(OP.i32_store, 2, EXIT_RECORDS.LINK);
    f.end();
    f.i32Const(0).set(from);
    f.end();
  };
  const outer = f.loop();
  // find the block at env.pc
  const found = f.block();
  const entry = emitJumpCacheHit(f, options, ip);
  if (options.regionLinks) {
    f.if_();
    takePlace(f, entry);
    f.get(entry).load(OP.i32_load, 2, JUMP_CACHE.LINK).set(link);
    f.i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0).set(budget);
    linkHolds();
    f.set(direct).br(found);
    f.end();
  } else {
    f.if_();
    takePlace(f, entry);
    f.br(found);
    f.end();
  }
  f.i32Const(pcAddress).load(OP.i32_load, 2, 0).call(callees.probe).tee(ip).brIf(found);
  if (callees.fetchFault !== undefined) {
    f.i32Const(MMU.FAULT).load(OP.i32_load, 2, 0).i32Const(0).op(OP.i32_ge_s);
    f.if_();
    // a guest that faults for ever comes to its slice's end here, as it does in script
    f.i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0).i32Const(0).op(OP.i32_lt_s);
    f.if_();
    f.i32Const(LEAVE.BUDGET).return_();
    f.end();
    f.i32Const(0).set(from);
    f.i32Const(0).load(OP.i64_load, 3, MMU.MISS).i32Const(0).call(callees.fetchFault).brIf(outer);
    f.end();
  }
  f.i32Const(LEAVE.LOOKUP).return_();
  f.end(); // found
  const enter = f.loop(); // run the block at `ip`, or if `direct` the region that `link` names
  if (options.regionLinks) {
    f.get(direct);
    f.if_();
    follow();
    linkFrom();
    f.i32Const(0).set(direct);
    f.else_();
  }
  f.get(ip).load(OP.i32_load16_u, 1, FIELD.OP).i32Const(COLD.HOT).op(OP.i32_ne);
  f.if_();
  f.i32Const(0).tee(from).set(entry);
  f.get(ip).call(callees.interpreter).tee(code).i32Const(LEAVE.HOT).op(OP.i32_ne);
  f.if_();
  f.get(code).i32Const(LEAVE.LOOKUP).op(OP.i32_eq).brIf(outer);
  f.get(code).return_();
  f.end();
  f.i32Const(CTL.IP).load(OP.i32_load, 2, 0).set(ip);
  f.end();
  // a chain of regions must stop somewhere
  f.i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0).i32Const(0).op(OP.i32_lt_s);
  f.if_();
  f.i32Const(pcAddress).get(ip).load(OP.i32_load, 2, HEADER.PC);
  addPlace(f).store(OP.i32_store, 2, 0);
  f.i32Const(LEAVE.BUDGET).return_();
  f.end();
  f.get(ip).load(OP.i32_load16_u, 1, HEADER.ENTRY).set(index);
  f.get(ip).load(OP.i32_load16_u, 1, HEADER.ENTRY_NUMBER).set(number);
  // what holds at one place must be looked at before it runs at another
  f.get(index).i32Const(Math.log2(REGION_PLACES.SIZE)).op(OP.i32_shl).load(OP.i64_load, 3, REGION_PLACES.BASE);
  pushPlace(f).op(OP.i64_ne);
  f.if_();
  f.i32Const(LEAVE.STALE).return_();
  f.end();
  if (options.regionLinks) {
    f.get(number).i32Const(LINK.NUMBER_SHIFT).op(OP.i32_shl).get(index).op(OP.i32_or);
    f.i32Const(CTL.LINKS).load(OP.i32_load, 2, 0).op(OP.i32_or).set(link);
    linkFrom();
    f.get(entry);
    f.if_();
    f.get(entry).get(link).store(OP.i32_store, 2, JUMP_CACHE.LINK);
    f.end();
    f.end();
  }
  const linked = f.loop(); // run the region `index` from its entry `number`: returns the way out that it took
  f.get(number).get(index).callIndirect(callees.regionType, callees.regionTable).tee(way).op(OP.i32_wrap_i64).set(code);
  f.i32Const(CTL.BUDGET).i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0);
  f.get(way).i64Const(32).op(OP.i64_shr_u).op(OP.i32_wrap_i64).tee(kind);
  f.i32Const(EXIT_RECORDS.INSNS_SHIFT).op(OP.i32_shr_u);
  f.op(OP.i32_sub).tee(budget).store(OP.i32_store, 2, 0);
  f.get(kind).i32Const(KIND_MASK).op(OP.i32_and).set(kind);
  if (!options.countsExits) {
    f.get(kind).i32Const(EXIT_KIND.INDIRECT).op(OP.i32_eq);
    f.if_();
    f.get(uncounted).i32Const(1).op(OP.i32_sub).tee(uncounted).i32Const(0).op(OP.i32_ge_s).brIf(outer);
    f.i32Const(INDIRECT_SAMPLE - 1).set(uncounted);
    f.end();
  }
  f.get(code)
    .i32Const((1 << MISS_SHIFT) - 1)
    .op(OP.i32_and);
  f.i32Const(Math.log2(EXIT_RECORDS.SIZE)).op(OP.i32_shl).i32Const(EXIT_RECORDS.BASE).op(OP.i32_add).set(record);
  f.get(record)
    .get(record)
    .load(OP.i32_load, 2, EXIT_RECORDS.COUNTDOWN)
    .i32Const(1)
    .op(OP.i32_sub)
    .tee(count)
    .store(OP.i32_store, 2, EXIT_RECORDS.COUNTDOWN);
  f.get(kind).op(OP.i32_eqz);
  f.if_();
  if (options.regionLinks) {
    f.get(record).load(OP.i32_load, 2, EXIT_RECORDS.LINK).set(link);
    linkHolds();
    f.get(count).i32Const(0).op(OP.i32_ne).op(OP.i32_and);
    f.if_();
    follow();
    f.br(linked);
    f.end();
    f.get(record).set(from);
    pushPlace(f).set(fromPlace);
  }
  f.i32Const(pcAddress).get(record).load(OP.i32_load, 2, EXIT_RECORDS.PC);
  addPlace(f).store(OP.i32_store, 2, 0);
  f.get(count).brIf(outer);
  leaveToGrow();
  f.end();
  f.get(kind).i32Const(EXIT_KIND.INDIRECT).op(OP.i32_eq);
  f.if_();
  f.get(count).brIf(outer);
  leaveToGrow();
  f.end();
  f.get(kind).i32Const(EXIT_KIND.WORK).op(OP.i32_ge_u);
  f.if_();
  f.get(kind).i32Const(EXIT_KIND.WORK).op(OP.i32_eq);
  f.i32Const(CTL.WORK).load(OP.i32_load, 2, 0).op(OP.i32_eqz).op(OP.i32_and).brIf(outer);
  f.i32Const(LEAVE.WORK).return_();
  f.end();
  f.i32Const(pcAddress).get(record).load(OP.i32_load, 2, EXIT_RECORDS.PC);
  addPlace(f).store(OP.i32_store, 2, 0);
  f.get(code).i32Const(MISS_SHIFT).op(OP.i32_shr_u).set(miss);
  nameExit();
  f.get(kind).i32Const(EXIT_KIND.BUDGET).op(OP.i32_eq);
  f.if_();
  f.i32Const(LEAVE.BUDGET).return_();
  f.end();
  if (callees.fill !== undefined) {
    // a miss of the TLB: with an entry made the instruction's own block goes on, unless this place has been left just so before
    f.get(miss);
    f.if_();
    const pc = (): FunctionBuilder => f.get(record).load(OP.i32_load, 2, EXIT_RECORDS.PC);
    const budget = (): FunctionBuilder => f.i32Const(CTL.BUDGET).load(OP.i32_load, 2, 0);
    pc().get(missedAt).op(OP.i32_ne);
    budget().get(missedBudget).op(OP.i32_ne).op(OP.i32_or);
    f.if_();
    f.i32Const(0).load(OP.i64_load, 3, MMU.MISS);
    f.get(miss).i32Const(1).op(OP.i32_sub).i32Const(1).op(OP.i32_and);
    f.get(miss).i32Const(1).op(OP.i32_sub).i32Const(1).op(OP.i32_shr_u);
    f.call(callees.fill);
    f.if_();
    f.get(record)
      .get(record)
      .load(OP.i32_load, 2, EXIT_RECORDS.REFILLS)
      .i32Const(1)
      .op(OP.i32_add)
      .store(OP.i32_store, 2, EXIT_RECORDS.REFILLS);
    pc().set(missedAt);
    budget().set(missedBudget);
    f.br(outer);
    f.end();
    f.end();
    f.end();
  }
  // COLD: run the block at the pc in the interpreter, past its header
  f.get(record).load(OP.i32_load, 2, EXIT_RECORDS.COUNTDOWN);
  f.get(record).load(OP.i32_load, 2, EXIT_RECORDS.REFILLS).op(OP.i32_add).op(OP.i32_eqz);
  f.if_();
  f.i32Const(LEAVE.RECONSIDER).return_();
  f.end();
  f.i32Const(pcAddress).load(OP.i32_load, 2, 0).call(callees.probe).tee(ip).op(OP.i32_eqz);
  f.if_();
  f.i32Const(LEAVE.COLD).return_();
  f.end();
  f.i32Const(CTL.TB).get(ip).store(OP.i32_store, 2, 0);
  f.i32Const(CTL.BUDGET)
    .i32Const(CTL.BUDGET)
    .load(OP.i32_load, 2, 0)
    .get(ip)
    .load(OP.i32_load16_u, 1, HEADER.INSNS)
    .op(OP.i32_sub)
    .store(OP.i32_store, 2, 0);
  f.get(ip)
    .i32Const(16)
    .op(OP.i32_add)
    .call(callees.interpreter)
    .tee(code)
    .i32Const(LEAVE.LOOKUP)
    .op(OP.i32_eq)
    .brIf(outer);
  f.get(code).i32Const(LEAVE.HOT).op(OP.i32_eq);
  f.if_();
  f.i32Const(0).set(entry);
  f.i32Const(CTL.IP).load(OP.i32_load, 2, 0).set(ip).br(enter);
  f.end();
  f.get(code).return_();
  f.end(); // linked
  f.end(); // enter
  f.end(); // outer
  f.unreachable();
}
