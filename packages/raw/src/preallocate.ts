/** Preallocation of raw space. The range is new: it lies past the old end of the data and reads as zero already. */
import { BlockError, checkAborted } from '@emkit/storage';
import type { Preallocation, WritableStorage, IoOptions } from '@emkit/storage';
import { ZERO_CHUNK } from './limits.ts';

export function checkPreallocation(mode: string): Exclude<Preallocation, 'metadata'> {
  if (mode === 'off' || mode === 'falloc' || mode === 'full') return mode;
  if (mode === 'metadata') throw new BlockError('invalid-option', `Unsupported preallocation mode: ${mode}`);
  throw new BlockError('invalid-option', `invalid parameter value: ${mode}`, { field: 'preallocation' });
}

/**
 * `full` writes zeroes; `falloc` asks the storage for zeroed space of its own, and where it cannot do that writes them too.
 * The last byte is within the storage afterwards.
 */
export async function preallocate(
  storage: WritableStorage,
  offset: number,
  length: number,
  mode: Preallocation,
  options: IoOptions = {},
): Promise<void> {
  if (mode === 'off' || length <= 0) return;
  if (mode === 'falloc' && storage.writeZeroes !== undefined)
    return storage.writeZeroes(offset, length, { ...options, unmap: false });
  const zeroes = new Uint8Array(Math.min(length, ZERO_CHUNK));
  for (let done = 0; done < length; done += zeroes.length) {
    checkAborted(options.signal);
    await storage.write(offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)), options);
  }
}
