/** Whether reading an image is copying from memory, by samples: where they mislead, reading is slower, no more. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { BlockImage } from '@emkit/storage';

const SAMPLES = 16;
const SAMPLE_BYTES = 4096;
/** A read from memory takes some 5 us, one from a quick disk 80. */
const SLOW_MS = 0.05;
/** Samples that may take longer, since this process can be interrupted in one. */
const SLOW_SAMPLES = 2;

/** Its bytes are in the page cache. `now`: ms. False for what is not a file, or cannot be read. */
export function isInMemory(filename: string, now: () => number): boolean {
  const stat = statSync(filename, { throwIfNoEntry: false });
  // a FIFO would wait for its writer
  if (stat?.isFile() !== true) return false;
  let fd: number | undefined;
  try {
    fd = openSync(filename, 'r');
    const bytes = new Uint8Array(SAMPLE_BYTES);
    let slow = 0;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const start = now();
      readSync(fd, bytes, 0, SAMPLE_BYTES, Math.floor((stat.size / SAMPLES) * (sample + 0.5)));
      if (now() - start > SLOW_MS) slow++;
    }
    return slow <= SLOW_SAMPLES;
  } catch {
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** All of it is in the image's own file, and stands there as it is read: no backing file, nothing compressed or encrypted. */
export async function isPlain(image: BlockImage): Promise<boolean> {
  const { size } = image;
  if (image.backing !== undefined) return false;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const offset = Math.floor((size / SAMPLES) * (sample + 0.5));
    if (offset >= size) break;
    const { data, offset: place, file } = await image.status(offset, size - offset);
    if (data && (place === undefined || file !== undefined)) return false;
  }
  return true;
}
