/** Which image of a chain decides about a range: what `map`, `convert` and the jobs go by. */
import { BlockError, type BlockImage, type BlockStatus, type IoOptions, type Storage } from '@emkit/storage';
import { LIMITS } from './limits.ts';
import { storageStatus } from './protocol-image.ts';

export interface ChainStatus extends BlockStatus {
  /** Images above the one that decides; 0: the top. */
  readonly depth: number;
  /** Some image of the chain has it: QEMU's "present". False: nothing was ever written, and it reads as zero. */
  readonly allocated: boolean;
  /** The image that decides. */
  readonly image: Storage;
}

type WithStatus = Storage & Pick<BlockImage, 'status'> & Partial<Pick<BlockImage, 'backing'>>;

/** Images, and internal snapshots, which have a status too. */
const hasStatus = (storage: Storage): storage is WithStatus => 'status' in storage;

/**
 * Status of the longest known part from `offset`, over the backing chain down to but not including `base` (default: all of it). What none of
 * them has is `allocated: false`, and with a `base` not `zero` either. Past the end of a short backing file it is `zero` and, as QEMU counts it, allocated
 * at the depth of that file.
 */
export async function chainStatus(
  image: Storage,
  offset: number,
  length: number,
  options: IoOptions & { readonly base?: Storage | undefined } = {},
): Promise<ChainStatus> {
  const { base } = options;
  let remaining = length;
  let at: Storage = image;
  for (let depth = 0; depth < LIMITS.CHAIN_DEPTH; depth++) {
    const status = hasStatus(at)
      ? await at.status(offset, remaining, options)
      : await storageStatus(at, offset, remaining);
    const below = hasStatus(at) ? at.backing : undefined;
    if (status.allocated) return { ...status, depth, image: at };
    remaining = status.length;
    if (below === undefined) return { ...status, data: false, zero: true, depth, image: at };
    if (below === base) return { length: remaining, data: false, zero: false, allocated: false, depth, image: at };
    const left = below.size - offset;
    if (left <= 0)
      return { length: remaining, data: false, zero: true, allocated: true, depth: depth + 1, image: below };
    remaining = Math.min(remaining, left);
    at = below;
  }
  throw new BlockError('invalid-format', `the backing chain has more than ${LIMITS.CHAIN_DEPTH} images`);
}

/**
 * `chainStatus` as `qemu-img map` tells it: what a layer does not have past the end of a short backing file is not said of that file, but of the
 * layer, as absent. The jobs must know otherwise: a short file hides what is below it.
 */
export async function mapStatus(
  image: Storage,
  offset: number,
  length: number,
  options?: IoOptions,
): Promise<ChainStatus> {
  const status = await chainStatus(image, offset, length, options);
  if (status.depth === 0 || offset < status.image.size) return status;
  let above = image;
  for (let depth = 1; depth < status.depth; depth++) above = (above as BlockImage).backing as Storage;
  return { ...status, allocated: false, depth: status.depth - 1, image: above };
}
