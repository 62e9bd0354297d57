/** Opens an image with everything below it: protocol, format, filters, backing chain. The work is in `node-opener.ts`. */
import type { IoOptions, Resolver, Storage } from '@emkit/storage';
import { BlockGraph } from './block-graph.ts';
import type { BlockNode } from './block-node.ts';
import type { BlockEnvironment } from './environment.ts';
import { NodeOpener } from './node-opener.ts';
import { parseImageSpec, resolveName, toTree, type OptionTree } from './option-tree.ts';
import { noFormat, openStorage, splitName } from './protocols.ts';

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
  /** The passphrase where the spec names no secret. */
  readonly secret?: (() => Promise<Uint8Array> | Uint8Array) | undefined;
  /** A name in the spec is relative to this image's name; default: as it stands. */
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
export async function openImage(
  spec: string | OptionTree,
  env: BlockEnvironment,
  options: OpenImageOptions = {},
): Promise<BlockNode> {
  let tree = typeof spec === 'string' ? parseImageSpec(spec, options) : toTree(spec);
  const { filename } = tree;
  if (options.relativeTo !== undefined && typeof filename === 'string')
    tree = { ...tree, filename: resolveName(options.relativeTo, filename) };
  const opener = new NodeOpener(env, options.graph ?? new BlockGraph(), options);
  try {
    return await opener.openRoot(tree);
  } catch (error) {
    await opener.abandon();
    throw error;
  }
}

/** The storage that a spec names, without a format: for `create`, and `info` of a file. The caller closes it. */
export async function openProtocol(
  spec: string | OptionTree,
  env: BlockEnvironment,
  options: IoOptions & {
    readonly readOnly?: boolean | undefined;
    /** A new and empty file in place of what is there. */
    readonly create?: boolean | undefined;
    readonly forceShare?: boolean | undefined;
    readonly imageOpts?: boolean | undefined;
  } = {},
): Promise<Storage> {
  const tree = typeof spec === 'string' ? parseImageSpec(spec, options) : toTree(spec);
  const { driver, ...own } = splitName(tree, env);
  return openStorage(env, String(driver), own, {
    readOnly: options.readOnly ?? false,
    forceShare: options.forceShare ?? false,
    direct: false,
    create: options.create ?? false,
    signal: options.signal,
  });
}

/** For `BlockDriver.create` and `measure`: opens what the new image called `name` will refer to, and makes files beside it. */
export function createResolver(name: string, env: BlockEnvironment, options: OpenImageOptions = {}): Resolver {
  return {
    async open(reference, io) {
      const readOnly = reference.writable !== true;
      const request = { ...options, relativeTo: name, readOnly, signal: io?.signal };
      if (reference.kind === 'backing' || reference.kind === 'parent') {
        if (reference.format === undefined && env.guessBackingFormat !== true) throw noFormat(reference.name);
        return openImage(reference.name, env, { ...request, format: reference.format });
      }
      return openProtocol(resolveName(name, reference.name), env, request);
    },
    create: (other, io) =>
      openProtocol(resolveName(name, other), env, { ...options, create: true, signal: io?.signal }),
  };
}
