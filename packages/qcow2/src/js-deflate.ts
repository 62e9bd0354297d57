/** Raw deflate in JavaScript, on the calling thread: the default where the host brings none. */
import { deflateSync, Inflate, inflateSync } from 'fflate';

export function deflate(data: Uint8Array): Uint8Array {
  return deflateSync(data, { level: 6 });
}

/** At most `length` bytes; what they should be is the caller's to check. */
export function inflate(data: Uint8Array, length: number): Uint8Array {
  return data.length <= ONE_PIECE_BYTES
    ? inflateSync(data, { out: new Uint8Array(length) })
    : inflateBounded(data, length);
}

/** Inflated in one piece: deflate grows data by up to 1032 times, and the decoder works through all of it. */
const ONE_PIECE_BYTES = 65536 + 512;
const PUSHED_BYTES = 16384;

/** Stops when there is enough. */
function inflateBounded(data: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let filled = 0;
  const stream = new Inflate((chunk) => {
    out.set(chunk.subarray(0, length - filled), filled);
    filled += Math.min(chunk.length, length - filled);
  });
  for (let at = 0; at < data.length && filled < length; at += PUSHED_BYTES)
    stream.push(data.subarray(at, at + PUSHED_BYTES), at + PUSHED_BYTES >= data.length);
  return out.subarray(0, filled);
}
