/** The command: this process's streams and signals as a Tool. */
import { writeSync } from 'node:fs';
import { basename } from 'node:path';
import { runProgram } from './program.ts';
import { createProgress } from './progress.ts';
import { StopSignal } from './stop-signal.ts';
import type { Tool } from './tool.ts';

const EPIPE_EXIT = 141;
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Writes all, in order with the other stream; waits where a pipe is full. */
function write(fd: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(EPIPE_EXIT);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** ms. Not performance.now(), whose module takes 2 ms to load. */
function now(): number {
  const time = process.hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

function createTool(): Tool {
  const program = basename(process.argv[1] ?? 'emkit-img').replace(/\.[cm]?js$/, '');
  const stop = new StopSignal();
  let wanted: keyof typeof SIGNAL_EXIT | undefined;
  for (const signal of Object.keys(SIGNAL_EXIT) as (keyof typeof SIGNAL_EXIT)[]) {
    process.on(signal, () => {
      if (wanted !== undefined) process.exit(SIGNAL_EXIT[signal]);
      wanted = signal;
      stop.abort();
    });
  }
  return {
    program,
    print: (text) => write(1, text),
    say: (text, hint) => {
      const lines = text.split('\n').map((line) => `${program}: ${line}\n`);
      write(2, lines.join('') + (hint === undefined ? '' : `  ${hint.replaceAll('\n', '\n  ')}\n`));
    },
    note: (text) => write(2, text),
    signal: stop,
    progress: (mode) =>
      createProgress(mode, {
        stdout: (text) => write(1, text),
        stderr: (text) => write(2, text),
        // asked for late: process.stderr loads Node's sockets
        get isTerminal() {
          return process.stderr.isTTY === true;
        },
        now,
      }),
    now,
  };
}

export async function start(): Promise<void> {
  process.exitCode = await runProgram(process.argv.slice(2), createTool());
  // What is still open (a socket to a server that does not answer) must not keep the command alive.
  setImmediate(() => process.exit());
}
