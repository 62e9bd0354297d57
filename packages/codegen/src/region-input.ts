/** What the region compiler is given: blocks of IR with their edges, and the services it needs of the accelerator. */
import type { GlobalDef, IrBlock, Optimisations } from '@emkit/ir';
import type { TargetOffsets } from './cold-handlers.ts';

export interface RegionBlock {
  readonly pc: number;
  readonly ir: IrBlock;
  /**
   * Indices of blocks reached by the terminator: `jmp` [target]; `br` [taken, not taken]; indirect jumps: the
   * candidates, likeliest first, compared by pc (64-bit ones with the region's window). -1: not in the region.
   */
  readonly successors: readonly number[];
  /** Op index after the `insn_start` of an instruction that exists only in the cold tier: stop there. -1: none. */
  readonly stopAt: number;
}

export interface RegionInput {
  /** The third word of the blocks' key: in 64-bit code the high half of all their pcs. */
  readonly csBase: number;
  readonly blocks: readonly RegionBlock[];
  /** Blocks at which the region may be entered; the function's argument is an index in this list. */
  readonly entries: readonly number[];
  /** MMU mode of the whole region. */
  readonly user: boolean;
  /** Allow one check for several accesses; off after too many misses that were due to page borders. */
  readonly group: boolean;
  /** It may run elsewhere than where it was translated, see `code-place.ts`. */
  readonly movable: boolean;
}

export interface RegionOptions {
  readonly globals: readonly GlobalDef[];
  /** Function index (in the module being built) of a WebAssembly helper. */
  readonly helper: (index: number) => number;
  /** Function index of the import that calls a device: helper and four arguments, `calld`. */
  readonly device: () => number;
  /** Make an exit record. */
  readonly exitRecord: (kind: number, pc: number, insns: number) => number;
  readonly offsets: TargetOffsets;
  readonly optimisations: Optimisations;
}
