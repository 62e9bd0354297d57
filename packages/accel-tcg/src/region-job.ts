/**
 * What compiling a region needs, by itself: the blocks' code as it was when the region was chosen, what is known of the ways between them,
 * and where its exit records are. As one array of words it goes to another thread.
 */
import type { WasmModule } from './engine.ts';

export interface JobBlock {
  readonly pc: number;
  readonly csBase: number;
  readonly flags: number;
  /** Bytes of guest code that it covers. */
  readonly bytes: number;
  /** Its code in the job's bytes, and how much of it lies in its first page; the second page's part, -1: none. */
  readonly at: number;
  readonly available: number;
  readonly second: number;
  /** Entry pc of the function it belongs to, as far as calls tell. */
  readonly fn: number;
  readonly isReturn: boolean;
  /** The guest rewrites its immediates, which are read from memory. */
  readonly isVolatile: boolean;
  /** Its first instruction exists only in the cold tier. */
  readonly coldFirst: boolean;
  /** Remembered targets of its indirect jump, last first. */
  readonly targets: readonly number[];
}

export interface RegionJob {
  /** The first is the head. */
  readonly blocks: readonly JobBlock[];
  /** Blocks at which it may be entered, the head first. */
  readonly entries: readonly number[];
  /** One check for several accesses. */
  readonly group: boolean;
  /** It is to run elsewhere too (`TranslateRequest.movable`). */
  readonly movable: boolean;
  /** Number of its first exit record, and how many it may have. */
  readonly firstRecord: number;
  readonly maxRecords: number;
}

/** What came of a batch of jobs. */
export interface CompiledBatch {
  /**
   * WebAssembly.Module with functions `r0`, `r1`, ... for the jobs that could be compiled; null: none could.
   */
  readonly module: WasmModule | null;
  readonly bytes: Uint8Array;
  /** For each job EXIT_WORDS for each of its exits; null: it could not be compiled. */
  readonly exits: readonly (Int32Array | null)[];
  /** Time that it took, in ms. */
  readonly ms: number;
}

/** Bytes behind a block's last that the decoder may look at. */
export const CODE_MARGIN = 32;

const RETURN = 1;
const VOLATILE = 2;
const COLD_FIRST = 4;
const GROUP = 1;
const MOVABLE = 2;
const BLOCK_WORDS = 10;

/** Jobs as words: 5 + entries for each, then its blocks, BLOCK_WORDS + targets each. */
export function encodeJobs(jobs: readonly RegionJob[]): Int32Array {
  const words: number[] = [jobs.length];
  for (const { blocks, entries, group, movable, firstRecord, maxRecords } of jobs) {
    const how = (group ? GROUP : 0) | (movable ? MOVABLE : 0);
    words.push(blocks.length, entries.length, how, firstRecord, maxRecords, ...entries);
    for (const b of blocks) {
      const bits = (b.isReturn ? RETURN : 0) | (b.isVolatile ? VOLATILE : 0) | (b.coldFirst ? COLD_FIRST : 0);
      words.push(b.pc, b.csBase, b.flags, b.bytes, b.at, b.available, b.second, b.fn, bits, b.targets.length);
      words.push(...b.targets);
    }
  }
  return Int32Array.from(words);
}

export function decodeJobs(words: Int32Array): RegionJob[] {
  let at = 1;
  const some = (count: number): number[] => Array.from(words.subarray(at, (at += count)));
  return Array.from({ length: words[0] }, () => {
    const [count, entryCount, how, firstRecord, maxRecords] = some(5);
    const entries = some(entryCount);
    const blocks = Array.from({ length: count }, (): JobBlock => {
      const [pc, csBase, flags, bytes, codeAt, available, second, fn, bits, targetCount] = some(BLOCK_WORDS);
      return {
        ...{ pc, csBase, flags, bytes, at: codeAt, available, second, fn },
        isReturn: (bits & RETURN) !== 0,
        isVolatile: (bits & VOLATILE) !== 0,
        coldFirst: (bits & COLD_FIRST) !== 0,
        targets: some(targetCount),
      };
    });
    const [group, movable] = [(how & GROUP) !== 0, (how & MOVABLE) !== 0];
    return { blocks, entries, group, movable, firstRecord, maxRecords };
  });
}
