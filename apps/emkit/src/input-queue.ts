/**
 * Bytes typed or pasted that the guest has not taken yet. Nothing is dropped: above the high mark the source is paused, below the
 * low mark it goes on, so that a paste waits in the terminal and not in memory.
 */
export const HIGH_MARK = 4096;
export const LOW_MARK = 512;

const EMPTY = new Uint8Array(0);

export interface InputQueue {
  push(bytes: Uint8Array): void;
  take(max: number): Uint8Array;
  readonly length: number;
}

export function createInputQueue(source: { pause(): void; resume(): void }): InputQueue {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let paused = false;
  return {
    push(bytes) {
      if (bytes.length === 0) return;
      chunks.push(bytes.slice());
      length += bytes.length;
      if (length >= HIGH_MARK && !paused) {
        paused = true;
        source.pause();
      }
    },
    take(max) {
      const first = chunks[0];
      if (first === undefined || max <= 0) return EMPTY;
      const part = first.subarray(0, max);
      if (part.length === first.length) chunks = chunks.slice(1);
      else chunks[0] = first.subarray(part.length);
      length -= part.length;
      if (paused && length <= LOW_MARK) {
        paused = false;
        source.resume();
      }
      return part;
    },
    get length() {
      return length;
    },
  };
}
