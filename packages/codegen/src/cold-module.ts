/**
 * The accelerator's core module: interpreter of cold streams, block lookup in the jump cache, and the dispatcher that
 * moves between cold streams and compiled regions. Generated once per machine; it is the only module that imports the
 * function table (an engine trap: every importing instance would pay for the table).
 *
 * Imports (module "env"): memory; regions: funcref table; helpers: funcref table of WebAssembly helpers;
 * slow_load(lo, hi, kind) -> status, slow_store(lo, hi, kind) -> status, raise(vector, error) -> status,
 * callj(id, a, b, c, d) -> value.
 * With the target's page tables as data (`pageWalk`) TLB entries are made here too, see page-walker.ts; page faults: fault-entry.ts.
 * Exports: run() -> LEAVE code: executes from the pc in env until something needs the accelerator;
 * interpret(op) -> LEAVE code: runs the cold stream from the op at that address;
 * fill(lo, hi, access, user) -> the page walker, if there is one.
 */
import { ModuleBuilder, OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label, ValType } from '@emkit/wasm';
import { advance, emitHeader, emitRaise, emitSimple, emitTerm, leaveAtHeader } from './cold-handlers.ts';
import type { HandlerContext } from './cold-handlers.ts';
import { emitMemory } from './cold-memory.ts';
import { COLD_OPS, MAIN_COUNT } from './cold-ops.ts';
import type { ColdOp } from './cold-ops.ts';
import { buildOutside } from './cold-outside.ts';
import { PLACE_TYPE, pushPlace } from './code-place.ts';
import { buildProbe, jumpCacheHit, keyLocals, takePlace, tlbOfMode } from './cold-probe.ts';
import type { CoreModuleOptions } from './cold-probe.ts';
import { buildDispatcher } from './dispatcher.ts';
import { buildFaultDelivery } from './fault-entry.ts';
import { CODE, COLD_ASKS, CTL, ENV_BASE, FIELD, HEADER, JUMP_CACHE, LEAVE } from './layout.ts';
import { REGION_PARAMS, REGION_RESULTS } from './region-exit.ts';
import { buildPageWalker } from './page-walker.ts';

const I32 = VALTYPE.i32;
const types = (n: number): ValType[] => Array.from({ length: n }, () => I32);

export type { CoreModuleOptions };

export function buildCoreModule(options: CoreModuleOptions): Uint8Array {
  const mb = new ModuleBuilder();
  mb.importMemory('env', 'memory', 1, 65536);
  const regionTable = mb.importTable('env', 'regions', 1);
  const helperTable = mb.importTable('env', 'helpers', 0);
  const regionType = mb.addType(REGION_PARAMS, REGION_RESULTS);
  const imports = {
    slowLoad: mb.importFunction('env', 'slow_load', mb.addType(types(3), [I32])),
    slowStore: mb.importFunction('env', 'slow_store', mb.addType(types(3), [I32])),
    raise: mb.importFunction('env', 'raise', mb.addType(types(2), [I32])),
    callj: mb.importFunction('env', 'callj', mb.addType(types(5), [I32])),
  };
  const helperTypes = [0, 1, 2, 3, 4, 5, 6].map((n) => mb.addType(types(n), [I32]));
  const fill = options.pageWalk === undefined ? undefined : buildPageWalker(mb, options.pageWalk);
  const { offsets, faultEntry } = options;
  const faults =
    fill === undefined || faultEntry === undefined
      ? undefined
      : buildFaultDelivery(mb, offsets, faultEntry, { fill, type: regionType, table: regionTable });
  const probe = mb.addFunction(mb.addType([I32], [I32]));
  buildProbe(probe, options, fill);
  const outside = mb.addFunction(mb.addType([I32], [I32]));
  buildOutside(outside, options, { imports, helperTypes, helperTable, fill, faults: faults?.data });
  const loop = mb.addFunction(mb.addType([I32], [I32]));
  buildLoop(loop, options);
  const interpreter = mb.addFunction(mb.addType([I32], [I32]));
  buildInterpreter(interpreter, options, { loop: loop.index, outside: outside.index, probe: probe.index });
  const run = mb.addFunction(mb.addType([], [I32]));
  buildDispatcher(run, options, {
    probe: probe.index,
    interpreter: interpreter.index,
    regionType,
    regionTable,
    fill,
    fetchFault: faults?.fetch,
  });
  mb.exportFunction('run', run.index);
  mb.exportFunction('interpret', interpreter.index);
  if (fill !== undefined) exportFill(mb, fill);
  return mb.finish();
}

/** Script has addresses in halves. */
function exportFill(mb: ModuleBuilder, fill: number): void {
  const f = mb.addFunction(mb.addType(types(4), [I32]));
  f.get(1).op(OP.i64_extend_i32_u).i64Const(32).op(OP.i64_shl).get(0).op(OP.i64_extend_i32_u).op(OP.i64_or);
  f.get(2).get(3).call(fill);
  mb.exportFunction('fill', f.index);
}

/**
 * interpret(ip) -> LEAVE code. The loop calls nothing, so that the engine keeps its locals in registers (what lives across a call goes to the stack): what must be
 * called for it leaves to here, and enters it again.
 */
function buildInterpreter(f: FunctionBuilder, { offsets }: CoreModuleOptions, callees: InterpreterCallees): void {
  const ip = 0;
  const code = f.addLocal(I32);
  const place = f.addLocal(PLACE_TYPE);
  const again = f.loop();
  f.get(ip).call(callees.loop).tee(code);
  f.if_();
  f.get(code).i32Const(COLD_ASKS.LOOKUP).op(OP.i32_ne);
  f.if_();
  f.get(code).return_();
  f.end();
  pushPlace(f).set(place);
  f.i32Const(CTL.JUMP).load(OP.i32_load, 2, 0).call(callees.probe).tee(ip);
  f.if_();
  f.i32Const(CTL.JUMP_OP).load(OP.i32_load, 2, 0).i32Const(0);
  pushPlace(f).get(place).op(OP.i64_eq).op(OP.select).tee(code);
  f.if_();
  f.get(code).get(ip).store(OP.i32_store, 2, FIELD.LINK);
  f.end();
  f.br(again);
  f.end();
  f.i32Const(ENV_BASE + offsets.pc)
    .i32Const(CTL.JUMP)
    .load(OP.i32_load, 2, 0)
    .store(OP.i32_store, 2, 0);
  f.i32Const(LEAVE.LOOKUP).return_();
  f.end();
  f.i32Const(CTL.IP).load(OP.i32_load, 2, 0).call(callees.outside).tee(ip).i32Const(CODE.BASE).op(OP.i32_ge_u);
  f.brIf(again);
  f.get(ip).return_();
  f.end();
  f.unreachable();
}

interface InterpreterCallees {
  readonly loop: number;
  readonly outside: number;
  readonly probe: number;
}

/** (ip) -> LEAVE code, or COLD_ASKS. */
function buildLoop(f: FunctionBuilder, options: CoreModuleOptions): void {
  const { offsets } = options;
  const ip = 0;
  const local = (): number => f.addLocal(I32);
  const tlb = local();
  const address = local();
  const entry = local();
  const host = local();
  const jump = local();
  const link = local();
  const place = local();
  const scratch = { i32: local(), i64: f.addLocal(VALTYPE.i64) };
  const address64 = f.addLocal(VALTYPE.i64);

  // The MMU mode cannot change inside one run of the loop: whatever changes it leaves.
  tlbOfMode(f, options);
  f.set(tlb);
  const takePlaceHere = (): void => {
    f.i32Const(0).load(OP.i32_load, 2, CTL.PLACE).set(place);
  };
  takePlaceHere();

  const next = f.loop();
  const lookup = f.block();
  const takeJump = f.block();
  const outside = f.block();
  const labels: Label[] = [];
  for (let k = MAIN_COUNT - 1; k >= 0; k--) labels[k] = f.block();
  f.get(ip).load(OP.i32_load16_u, 1, FIELD.OP).brTable(labels, outside);
  const x: HandlerContext = {
    ...{ f, ip, tlb, address, address64, entry, host, jump, place, scratch, offsets },
    ...{ next, takeJump, lookup, outside },
  };
  for (const cold of COLD_OPS.slice(0, MAIN_COUNT)) {
    f.end();
    emitInLoop(x, cold);
  }
  f.end(); // outside
  f.i32Const(CTL.IP).get(ip).store(OP.i32_store, 2, 0);
  f.i32Const(COLD_ASKS.OUTSIDE).return_();

  f.end(); // takeJump: op at `jump`; follow its link if the target was made for the current flags
  f.get(jump).load(OP.i32_load, 2, FIELD.LINK).tee(entry);
  f.if_();
  f.get(entry)
    .load(OP.i32_load, 2, HEADER.FLAGS)
    .i32Const(ENV_BASE + offsets.flags)
    .load(OP.i32_load, 2, 0)
    .op(OP.i32_eq);
  f.if_();
  f.get(entry).set(ip).br(next);
  f.end();
  f.end();
  f.get(jump).i32Const(0).get(jump).load(OP.i32_load16_u, 1, FIELD.DST).op(OP.select).set(link);
  f.get(jump).load(OP.i32_load, 2, FIELD.IMM).get(place).op(OP.i32_add).set(jump);

  f.end(); // lookup: pc in `jump`; `link`: op that is to be linked to the block, or 0
  const key = keyLocals(f);
  jumpCacheHit(f, options, { ...key, header: entry }, () => f.get(jump));
  f.if_();
  // the same page, but what is there may have been translated for another place
  f.get(link).i32Const(0);
  pushPlace(f).get(key.e).load(OP.i64_load, 3, JUMP_CACHE.PLACE).op(OP.i64_eq).op(OP.select).tee(link);
  takePlace(f, key.e);
  takePlaceHere();
  f.if_();
  f.get(link).get(entry).store(OP.i32_store, 2, FIELD.LINK);
  f.i32Const(0).set(link);
  f.end();
  f.get(entry).set(ip).br(next);
  f.end();
  f.i32Const(CTL.JUMP).get(jump).store(OP.i32_store, 2, 0);
  f.i32Const(CTL.JUMP_OP).get(link).store(OP.i32_store, 2, 0);
  f.i32Const(COLD_ASKS.LOOKUP).return_();
  f.end(); // loop
  f.unreachable();
}

function emitInLoop(x: HandlerContext, cold: ColdOp): void {
  switch (cold.form) {
    case 'header':
      emitHeader(x);
      break;
    case 'hot':
      leaveAtHeader(x, LEAVE.HOT);
      break;
    case 'dead':
      leaveAtHeader(x, LEAVE.STALE);
      break;
    case 'mem':
    case 'rmw':
      emitMemory(x, cold);
      break;
    case 'raise':
      emitRaise(x);
      break;
    case 'jmp':
    case 'br':
    case 'jmpind':
    case 'exit':
      emitTerm(x, cold);
      break;
    default:
      emitSimple(x, cold);
      advance(x.f, x.ip, cold.words).br(x.next);
  }
}
