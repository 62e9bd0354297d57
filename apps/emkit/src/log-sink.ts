/** Where -d output goes: stderr, or the file of -D (made new). Text is collected and written in pieces. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { systemErrorText } from './chardev.ts';
import { OptionError } from './option-error.ts';

const PIECE = 64 * 1024;

export interface LogSink {
  write(text: string): void;
  flush(): void;
  close(): void;
}

export function createLogSink(path: string | undefined): LogSink {
  let fd = 2;
  if (path !== undefined) {
    try {
      fd = openSync(path, 'w');
    } catch (error) {
      throw new OptionError(
        `Error opening logfile ${path}: ${systemErrorText(error)}`,
        `-D ${path}: the folder must exist and be writable`,
      );
    }
  }
  let held: string[] = [];
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    const bytes = Buffer.from(held.join(''), 'utf8');
    held = [];
    length = 0;
    for (let at = 0; at < bytes.length;) {
      try {
        at += writeSync(fd, bytes, at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') continue;
        return; // a full disk or a closed pipe must not stop the guest
      }
    }
  };
  return {
    write(text) {
      held.push(text);
      length += text.length;
      if (length >= PIECE) flush();
    },
    flush,
    close() {
      flush();
      if (fd !== 2) closeSync(fd);
      fd = 2;
    },
  };
}
