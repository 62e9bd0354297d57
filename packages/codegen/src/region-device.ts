/**
 * Call of a device out of a region: the budget is in memory meanwhile, as a block's header leaves it, so that what the call is told of time
 * is exact, and it can make the region leave; that is looked at where the block ends.
 */
import { OP } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import { CTL } from './layout.ts';

/** Arguments of `calld`; those that an op has not are 0. */
const ARGUMENTS = 4;

export interface DeviceCall {
  /** Function index of `calld`. */
  readonly device: number;
  readonly helper: number;
  /** Local with the budget. */
  readonly budget: number;
  /** Instructions to be taken off it, this one too. */
  readonly uncounted: number;
  readonly args: number;
}

/** The result is on the stack. */
export function emitDeviceCall(f: FunctionBuilder, call: DeviceCall, push: (n: number) => void): void {
  f.i32Const(0).get(call.budget).i32Const(call.uncounted).op(OP.i32_sub).store(OP.i32_store, 2, CTL.BUDGET);
  f.i32Const(call.helper);
  for (let k = 0; k < call.args; k++) push(k);
  for (let k = call.args; k < ARGUMENTS; k++) f.i32Const(0);
  f.call(call.device);
  f.i32Const(0).load(OP.i32_load, 2, CTL.BUDGET).set(call.budget);
}
