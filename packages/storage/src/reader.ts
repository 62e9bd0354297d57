/** Any object with `read(offset, length)` as a storage: the shape that most programs have at hand. */
import { BlockError } from './block-error.ts';
import { checkAborted, checkAligned } from './ranges.ts';
import type { Storage } from './storage.ts';

export interface Reader {
  /** Bytes. */
  readonly size: number;
  /** Gives `length` bytes from `offset`; the range is within `size`. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

export function fromReader(reader: Reader, name?: string): Storage {
  return {
    name,
    size: reader.size,
    async read(offset, buffer, options) {
      checkAligned(offset, buffer.length, 1);
      checkAborted(options?.signal);
      const length = Math.max(0, Math.min(buffer.length, reader.size - offset));
      if (length > 0) {
        const bytes = await reader.read(offset, length);
        if (bytes.length !== length)
          throw new BlockError(
            'io',
            `the reader gave ${bytes.length} bytes at ${offset} where ${length} were asked for`,
            { offset },
          );
        buffer.set(bytes);
      }
      buffer.fill(0, length);
    },
  };
}
