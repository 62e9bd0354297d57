/**
 * The contract between an accelerator and a frontend: what a request to translate one block says, and what the frontend
 * answers beside the IR. It stands here because both sides know the IR and neither knows the other.
 */

import type { Optimisations } from './optimisations.ts';

/** Direct branches of movable code that reach farther are indirect ones, so that they stay in their window of 4 GiB wherever the code runs. */
export const MOVABLE_REACH = 2 ** 27;

/** Where the block's code bytes are. */
export interface CodeSource {
  /** The linear memory. */
  readonly u8: Uint8Array;
  /** Host offset of the byte at the block's pc. */
  offset: number;
  /** Bytes from there to the end of the 4K page. */
  available: number;
  /** Host offset of the next linear page's first byte, or -1: fetching it faults. */
  nextPage(): number;
}

export interface TranslateRequest {
  eip: number;
  csBase: number;
  /** Block flags (HF_*). */
  flags: number;
  maxInsns: number;
  /** Stop before the instruction at this pc (-1: nowhere): leaders of other blocks, breakpoints. */
  endEip: number;
  /** For the hot tier: fast forms guarded by `bail_if` may be used. */
  hot: boolean;
  /** Those of them may be used that are on. */
  optimisations: Optimisations;
  /** CC_OP at entry when it is known, else -1. */
  entryCcOp: number;
  /** Keep 32-bit immediates out of the translation: the guest rewrites them. Only for blocks inside one page. */
  volatileCode: boolean;
  /** The translation runs elsewhere too, in code mapped a number of pages away: what depends on the block's address says so (`code_offset`). */
  movable: boolean;
  code: CodeSource;
}

export interface TranslateResult {
  /** Guest bytes covered. */
  bytes: number;
  insns: number;
  /** Block flags at the terminator if static, else -1. */
  exitFlags: number;
  /** CC_OP at the terminator if static, else -1. */
  exitCcOp: number;
  /** Return EIP when the block ends in a near call, else -1. */
  callReturn: number;
  /** A cold translation whose first instruction needs script: in a hot one it does not. */
  quickFirst: boolean;
  /** A cold translation that ends in an `exit`: the pc at which the hot one goes on, as far as it is known, else -1. */
  quickNext: number;
  /** Block-relative offsets of 4-byte immediates that the translation reads when it runs (`volatileCode`). */
  volatileOffsets: readonly number[];
  /** The first instruction could not be fetched: the caller raises #PF. Nothing was emitted. */
  fault: boolean;
}

/** One to be filled by translations, again and again. */
export const createTranslateResult = (): TranslateResult => ({
  bytes: 0,
  insns: 0,
  exitFlags: -1,
  exitCcOp: -1,
  callReturn: -1,
  quickFirst: false,
  quickNext: -1,
  volatileOffsets: [],
  fault: false,
});
