/**
 * Ops of the cold tier that are done outside the interpreter's loop: rare ones, all that call, and accesses that miss the TLB.
 * One function: (ip) -> address of the next op that the loop has, or a LEAVE code.
 */
import { I32, OPS } from '@emkit/ir';
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label } from '@emkit/wasm';
import { emitSimple, immediate, slotAddress, slotValue } from './cold-handlers.ts';
import { emitMemoryOutside } from './cold-memory.ts';
import { COLD_OPS, MAIN_COUNT } from './cold-ops.ts';
import type { ColdOp } from './cold-ops.ts';
import { returnIfSet } from './cold-outside-context.ts';
import type { OutsideCallees, OutsideContext } from './cold-outside-context.ts';
import type { CoreModuleOptions } from './cold-probe.ts';
import { CTL, FIELD } from './layout.ts';
import { slotStore } from './memory-ops.ts';

/** Of those in the loop, what can have to leave it. */
const FORMS = new Set(['mem', 'rmw', 'raise']);

export function buildOutside(f: FunctionBuilder, options: CoreModuleOptions, callees: OutsideCallees): void {
  const ip = 0;
  const local = (): number => f.addLocal(VALTYPE.i32);
  const scratch = { i32: local(), i64: f.addLocal(VALTYPE.i64) };
  const address64 = f.addLocal(VALTYPE.i64);
  const x: OutsideContext = { ...callees, f, ip, scratch, address: local(), address64, status: local(), options };
  const ops = COLD_OPS.filter(({ form }, code) => code >= MAIN_COUNT || FORMS.has(form));
  // rare ops come in rows: the loop is entered again when one comes that it has
  const next = f.loop();
  f.i32Const(CTL.IP).get(ip).store(OP.i32_store, 2, 0);
  const bad = f.block();
  const label = new Map<ColdOp, Label>();
  for (const cold of [...ops].reverse()) label.set(cold, f.block());
  const labels = COLD_OPS.map((cold) => label.get(cold) ?? bad);
  f.get(ip).load(OP.i32_load16_u, 1, FIELD.OP).brTable(labels, bad);
  for (const cold of ops) {
    f.end();
    emitOutside(x, cold);
    f.get(ip)
      .i32Const(16 * cold.words)
      .op(OP.i32_add)
      .tee(ip);
    f.load(OP.i32_load16_u, 1, FIELD.OP).i32Const(MAIN_COUNT).op(OP.i32_ge_u).brIf(next);
    f.get(ip).return_();
  }
  f.end();
  f.end();
  f.unreachable();
}

function emitOutside(x: OutsideContext, cold: ColdOp): void {
  switch (cold.form) {
    case 'mem':
    case 'rmw':
      emitMemoryOutside(x, cold);
      break;
    case 'raise':
      x.f.get(x.ip).load(OP.i32_load16_u, 1, FIELD.DST).get(x.ip).load(OP.i32_load, 2, FIELD.IMM);
      x.f.call(x.imports.raise).return_();
      break;
    case 'callw':
      emitCallw(x, cold);
      break;
    case 'callj':
      emitCallj(x, cold);
      break;
    default:
      emitSimple(x, cold);
  }
}

/** Calls: argument slots are in the second word. */
function emitCallw({ f, ip, helperTypes, helperTable }: OutsideContext, cold: ColdOp): void {
  const n = OPS[cold.ir].ins.length;
  slotAddress(f, ip, FIELD.DST);
  for (let k = 0; k < n; k++) slotValue(f, ip, 16 + 2 * k, I32);
  immediate(f, ip).callIndirect(helperTypes[n], helperTable);
  slotStore(f, I32);
}

function emitCallj(x: OutsideContext, cold: ColdOp): void {
  const { f, ip, address: result } = x;
  const n = OPS[cold.ir].ins.length;
  immediate(f, ip);
  for (let k = 0; k < 4; k++) {
    if (k < n) slotValue(f, ip, 16 + 2 * k, I32);
    else f.i32Const(0);
  }
  f.call(x.imports.callj).set(result);
  f.i32Const(CTL.STATUS).load(OP.i32_load, 2, 0);
  returnIfSet(x);
  slotAddress(f, ip, FIELD.DST).get(result);
  slotStore(f, I32);
}
