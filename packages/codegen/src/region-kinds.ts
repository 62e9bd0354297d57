/** The op table as region blocks are emitted by it, and what their emitter keeps of a group of accesses. */
import { OPS, opId } from '@emkit/ir';
import { VALTYPE } from '@emkit/wasm';
import type { ValType } from '@emkit/wasm';

export type BlockEnd = 'jmp' | 'br' | 'indirect' | 'indirect64' | 'exit' | 'stopped';

/** Ops whose result is 0 or 1. */
export const IS_BOOLEAN = Uint8Array.from(OPS, (o) =>
  /^[if](32|64)_(eqz|eq|ne|[lg][te](_[su])?)$/.test(o.name) ? 1 : 0,
);
/** How a block ends, by its terminator. */
export const END_OF: Readonly<Record<number, BlockEnd>> = {
  [opId('jmp')]: 'jmp',
  [opId('br')]: 'br',
  [opId('jmp_ind')]: 'indirect',
  [opId('jmp_ind_a64')]: 'indirect64',
  [opId('exit')]: 'exit',
};
export const EFFECT = OPS.map((o) => o.effect);
export const INS = Uint8Array.from(OPS, (o) => o.ins.length);
export const OUT = Uint8Array.from(OPS, (o) => o.out);
export const VALTYPES: readonly ValType[] = [VALTYPE.i32, VALTYPE.i64, VALTYPE.f32, VALTYPE.f64, VALTYPE.v128];

/** Widest span of one check: the wider, the oftener a group lies across a page border and misses for ever. */
export const GROUP_SPAN = 256;

/** Accesses that share one check: base value, covered bytes [low, high) relative to it. */
export interface Group {
  low: number;
  high: number;
  write: boolean;
  /** Table of the TLB that the check looks in. */
  tlb: number;
  /** Local with the host address of base + low, -1 before the check has been emitted. */
  host: number;
  members: number;
}
