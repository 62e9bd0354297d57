/**
 * What a region returns, an i64: in the low half the number of the exit record that it left by, and from MISS_SHIFT up what it missed in the TLB; in the high half
 * what the record says at KIND, so that the dispatcher need not look there. The records of all regions are more than a cache of the host holds.
 */
import { VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, ValType } from '@emkit/wasm';
import { EXIT_RECORDS } from './layout.ts';
import { MISS_SHIFT } from './mmu-layout.ts';

export const REGION_PARAMS: readonly ValType[] = [VALTYPE.i32];
export const REGION_RESULTS: readonly ValType[] = [VALTYPE.i64];

/** One way out of a region. */
export interface RegionExit {
  readonly record: number;
  /** EXIT_KIND. */
  readonly kind: number;
  /** Instructions to be taken off the budget. */
  readonly insns: number;
}

/** Pushes the region's result. `miss`: `missCode`, or 0. */
export function pushExit(f: FunctionBuilder, { record, kind, insns }: RegionExit, miss = 0): FunctionBuilder {
  return f.i64ConstParts(record | (miss << MISS_SHIFT), kind | (insns << EXIT_RECORDS.INSNS_SHIFT));
}
