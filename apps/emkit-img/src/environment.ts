/** The world of this tool: the block environment with its secrets and warnings, and what it does to files besides. */
import { existsSync, rmSync } from 'node:fs';
import type { BlockEnvironment } from '@emkit/block';
import { diskUsage, isSameFile, nodeEnvironment, parseSecrets } from '@emkit/block-node';
import type { Storage } from '@emkit/storage';
import type { Tool } from './tool.ts';

/** Beside the bundle (rolldown.config.ts). */
const ZSTD_WORKER = new URL('./zstd-worker.cjs', import.meta.url);

export interface Environment {
  readonly block: BlockEnvironment;
  secret(id: string): Uint8Array;
  exists(filename: string): boolean;
  /** Removes a file that a command made and did not finish. */
  remove(filename: string): void;
  isSameFile(a: string, b: string): boolean;
  actualSize(file: Storage): number | undefined;
}

/**
 * `here` (default): on this thread, which is quickest one by one. `threads`: in the thread pool, so that reading and writing overlap. `quick-reads`: reads on this
 * thread while memory serves them, all else in the pool.
 */
export type FileCalls = 'here' | 'threads' | 'quick-reads';

const BLOCKING = { here: true, threads: false, 'quick-reads': 'quick-reads' } as const;

export async function createEnvironment(
  tool: Tool,
  objects: readonly string[],
  { files = 'here' }: { readonly files?: FileCalls | undefined } = {},
): Promise<Environment> {
  const secret = parseSecrets(objects);
  return {
    block: nodeEnvironment({
      blocking: BLOCKING[files],
      secret,
      warn: (line) => tool.say(line),
      zstdWorker: ZSTD_WORKER,
    }),
    secret,
    exists: existsSync,
    remove: (filename) => rmSync(filename, { force: true }),
    isSameFile,
    actualSize: ({ name }) => diskUsage(name),
  };
}
