/** Opens an image with everything below it: protocol, format, filters, backing chain. */
import { BlockError, type IoOptions, type Resolver, type Storage } from '@emkit/storage';
import type { BlockGraph } from './block-graph.ts';
import type { BlockNode } from './block-node.ts';
import type { BlockEnvironment } from './environment.ts';
import type { OptionTree } from './option-tree.ts';

export interface OpenImageOptions extends IoOptions {
  /** Default false. The spec's `read-only` has the last word. Backing files are opened read-only in any case (`BlockNode.reopen`). */
  readonly readOnly?: boolean | undefined;
  /** As `-f`; absent: the spec's `driver`, else probed. */
  readonly format?: string | undefined;
  /** A text spec is `key=value,...`. */
  readonly imageOpts?: boolean | undefined;
  /** `none`: the backing file stays closed, as for `info` and `check`. */
  readonly backing?: 'none' | undefined;
  readonly metadataOnly?: boolean | undefined;
  readonly forCheck?: boolean | undefined;
  /** Take no locks. */
  readonly forceShare?: boolean | undefined;
  /** Changes go to an overlay that is thrown away. */
  readonly snapshot?: boolean | undefined;
  readonly cache?: CacheMode | undefined;
  /** `unmap`: discards reach the file; `ignore` (default). */
  readonly discard?: 'unmap' | 'ignore' | undefined;
  readonly detectZeroes?: 'off' | 'on' | 'unmap' | undefined;
  /** Names in the spec are relative to this one; default: as they stand. */
  readonly relativeTo?: string | undefined;
  /** Where the nodes go; default: a graph of its own. */
  readonly graph?: BlockGraph | undefined;
}

/** As `cache=` of QEMU: writeback, none (direct), writethrough, directsync, unsafe (no-flush). */
export interface CacheMode {
  /** Every write is flushed. */
  readonly writeThrough?: boolean | undefined;
  readonly direct?: boolean | undefined;
  /** Flushes are ignored. */
  readonly noFlush?: boolean | undefined;
}

/**
 * The image as a node; `node.image` is the driver's, for `check`, `snapshots` and such. `node.guessedRaw` says that raw was a guess (a warning
 * went to `env.warn`). `node.close()` closes the chain. On failure nothing stays open.
 */
export function openImage(
  _spec: string | OptionTree,
  _env: BlockEnvironment,
  _options: OpenImageOptions = {},
): Promise<BlockNode> {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** The storage that a spec names, without a format: for `create`, and `info` of a file. */
export function openProtocol(
  _spec: string | OptionTree,
  _env: BlockEnvironment,
  _options: IoOptions & { readonly readOnly?: boolean; readonly create?: boolean; readonly forceShare?: boolean } = {},
): Promise<Storage> {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** For `BlockDriver.create` and `measure`: opens what the new image called `name` will refer to, and makes files beside it. */
export function createResolver(_name: string, _env: BlockEnvironment): Resolver {
  throw new BlockError('unsupported-feature', 'not written yet');
}
