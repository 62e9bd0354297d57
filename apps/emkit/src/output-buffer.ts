/**
 * Guest output on its way to a file descriptor: collected, written in one piece per turn of the event loop.
 *
 * A UART hands over single bytes; a system call for each would cost more than the guest's work. Above `limit` the bytes are written
 * at once, so that memory stays flat under a flood. Writes are synchronous where Node's are (terminals, files, pipes on POSIX).
 */
const LIMIT = 16 * 1024;

export interface OutputBuffer {
  write(bytes: Uint8Array): void;
  flush(): void;
}

export function createOutputBuffer(sink: (bytes: Uint8Array) => void): OutputBuffer {
  const held = new Uint8Array(LIMIT);
  let length = 0;
  let scheduled = false;
  const flush = (): void => {
    if (length === 0) return;
    const out = held.slice(0, length);
    length = 0;
    sink(out);
  };
  return {
    write(bytes) {
      if (bytes.length > LIMIT - length) flush();
      if (bytes.length > LIMIT) {
        sink(bytes.slice());
        return;
      }
      held.set(bytes, length);
      length += bytes.length;
      if (scheduled) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        flush();
      });
    },
    flush,
  };
}
