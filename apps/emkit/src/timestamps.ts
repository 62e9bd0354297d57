/** C-a t: puts the time since start before each line of guest output. */
export interface Timestamps {
  on: boolean;
  apply(bytes: Uint8Array): Uint8Array;
}

export function createTimestamps(now: () => number): Timestamps {
  const start = now();
  let atLineStart = true;
  const stamps: Timestamps = {
    on: false,
    apply(bytes) {
      if (!stamps.on) {
        if (bytes.length > 0) atLineStart = bytes[bytes.length - 1] === 10;
        return bytes;
      }
      const out: number[] = [];
      for (const b of bytes) {
        if (atLineStart) {
          const ms = Math.floor(now() - start);
          const text = `[${String(Math.floor(ms / 60000)).padStart(2, '0')}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}.${String(ms % 1000).padStart(3, '0')}] `;
          for (const ch of text) out.push(ch.charCodeAt(0));
          atLineStart = false;
        }
        out.push(b);
        if (b === 10) atLineStart = true;
      }
      return Uint8Array.from(out);
    },
  };
  return stamps;
}
