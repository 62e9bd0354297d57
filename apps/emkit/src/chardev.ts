/**
 * Host ends of character devices: null, file, and the terminal or pipe that this process has.
 *
 * stdio without mux takes Ctrl-C as "stop" (signal=on), with mux everything but the escape keys goes to the guest. End of file on
 * stdin does not stop the guest: a script that ran dry still wants the output.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { createEscapeKeys, type EscapeCommand } from './escape-keys.ts';
import { createInputQueue } from './input-queue.ts';
import type { SerialBackend } from './machine-port.ts';
import { OptionError } from './option-error.ts';
import { createOutputBuffer } from './output-buffer.ts';

export interface OpenChardev extends SerialBackend {
  /** Writes out what is held. */
  flush(): void;
  close(): void;
}

const EMPTY = new Uint8Array(0);

export function createNullChardev(): OpenChardev {
  return { write() {}, read: () => EMPTY, onReadable: undefined, onBreak: undefined, flush() {}, close() {} };
}

/** QEMU's words for the common system errors. */
export function systemErrorText(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    ENOENT: 'No such file or directory',
    EACCES: 'Permission denied',
    EISDIR: 'Is a directory',
    ENOTDIR: 'Not a directory',
    EPERM: 'Operation not permitted',
    ENOSPC: 'No space left on device',
    EROFS: 'Read-only file system',
    EMFILE: 'Too many open files',
    EADDRINUSE: 'Address already in use',
    ELOOP: 'Too many levels of symbolic links',
  };
  return (code !== undefined ? words[code] : undefined) ?? (error instanceof Error ? error.message : String(error));
}

export function createFileChardev(path: string, append: boolean, typed: string): OpenChardev {
  let fd: number;
  try {
    fd = openSync(path, append ? 'a' : 'w');
  } catch (error) {
    throw new OptionError(
      `${typed}: Could not open '${path}': ${systemErrorText(error)}`,
      'the folder must exist and be writable',
    );
  }
  const buffer = createOutputBuffer((bytes) => {
    let at = 0;
    while (at < bytes.length) at += writeSync(fd, bytes, at);
  });
  let open = true;
  return {
    write: (bytes) => buffer.write(bytes),
    read: () => EMPTY,
    onReadable: undefined,
    onBreak: undefined,
    flush: () => buffer.flush(),
    close() {
      if (!open) return;
      open = false;
      buffer.flush();
      closeSync(fd);
    },
  };
}

export interface StdioOptions {
  readonly mux: boolean;
  readonly signal: boolean;
  readonly escapeKey: number;
  readonly stdin: NodeJS.ReadStream;
  /** Writes to stdout now. */
  readonly output: (bytes: Uint8Array) => void;
  readonly onCommand: (command: EscapeCommand) => void;
  /** Ctrl-C with signal=on. */
  readonly onInterrupt: () => void;
}

const ETX = 3;

/** The terminal. `start` begins to read; before that nothing is taken from stdin. */
export function createStdioChardev(options: StdioOptions): OpenChardev & { start(): void } {
  const { stdin } = options;
  const queue = createInputQueue(stdin);
  const keys = options.mux ? createEscapeKeys(options.escapeKey) : undefined;
  const buffer = createOutputBuffer(options.output);
  const deliver = (bytes: Uint8Array): void => {
    const wasEmpty = queue.length === 0;
    queue.push(bytes);
    if (wasEmpty) device.onReadable?.();
  };
  const onData = (chunk: Buffer): void => {
    if (keys !== undefined) {
      keys.feed(chunk, deliver, (command) => {
        if (command === 'break') device.onBreak?.();
        else options.onCommand(command);
      });
      return;
    }
    const at = options.signal && stdin.isTTY ? chunk.indexOf(ETX) : -1;
    if (at < 0) deliver(chunk);
    else {
      if (at > 0) deliver(chunk.subarray(0, at));
      options.onInterrupt();
    }
  };
  const device: OpenChardev & { start(): void } = {
    write: (bytes) => buffer.write(bytes),
    read: (max) => queue.take(max),
    onReadable: undefined,
    onBreak: undefined,
    flush: () => buffer.flush(),
    start() {
      stdin.on('data', onData);
      stdin.on('error', () => {}); // EIO when the terminal goes away: SIGHUP follows
      stdin.resume();
    },
    close() {
      buffer.flush();
      stdin.off('data', onData);
      stdin.pause();
    },
  };
  return device;
}
