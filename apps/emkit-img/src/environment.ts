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
 * `threads`: file calls in the thread pool, so that reading and writing overlap; else on this thread, which is quicker one by one.
 */
export async function createEnvironment(
  tool: Tool,
  objects: readonly string[],
  { threads = false }: { readonly threads?: boolean | undefined } = {},
): Promise<Environment> {
  const secret = parseSecrets(objects);
  return {
    block: nodeEnvironment({
      blocking: !threads,
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
