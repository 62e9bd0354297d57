/** Which image of a chain decides about a range: what `map`, `convert` and the jobs go by. */
import { BlockError, type BlockImage, type BlockStatus, type IoOptions, type Storage } from '@emkit/storage';

export interface ChainStatus extends BlockStatus {
  /** Images above the one that decides; 0: the top. */
  readonly depth: number;
  /** Some image of the chain has it: QEMU's "present". False: nothing was ever written, and it reads as zero. */
  readonly allocated: boolean;
  /** The image that decides. */
  readonly image: Storage;
}

/**
 * Status of the longest known part from `offset`, over the backing chain down to but not including `base` (default: all of it). What none of
 * them has is `allocated: false`, and with a `base` not `zero` either. Past the end of a short backing file it is zero, allocated: QEMU's way.
 */
export function chainStatus(
  _image: BlockImage,
  _offset: number,
  _length: number,
  _options: IoOptions & { readonly base?: Storage | undefined } = {},
): Promise<ChainStatus> {
  throw new BlockError('unsupported-feature', 'not written yet');
}
