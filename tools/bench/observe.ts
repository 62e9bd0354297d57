/**
 * Runs one emulator process and hears its serial port: text with the wall time since the start and the process's CPU time
 * (all threads; from /proc, so NaN elsewhere than on Linux). Ends the process, and no other, when the listener has heard enough.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Command } from './emulators.ts';
import { measuredEnvironment } from './environment.ts';

export interface Ending {
  readonly kind: 'enough' | 'exited' | 'silent';
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what it said on standard error. */
  readonly complaint: string;
}

/** The process, for listeners that do not only wait for text. */
export interface Running {
  /** CPU time of the process so far. */
  cpuMs(): number;
  /** End it: enough was heard. */
  enough(): void;
}

/** Returns true when it has heard enough. */
export type Listener = (text: string, wallMs: number, cpuMs: number, running: Running) => boolean;

/** Linux counts CPU time for user space in units of 1/100 s on every architecture. */
const TICK_MS = 10;
const GRACE_MS = 5000;
const MAX_COMPLAINT = 2000;

/** User and system time of /proc/PID/stat's line; the name in parentheses may hold anything. */
export function parseCpuMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function cpuMs(pid: number): number {
  try {
    return parseCpuMs(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return Number.NaN;
  }
}

/**
 * On a busy machine a listener that is not woken at once hears START and END together. Only root may raise a priority, and
 * the child must not inherit it.
 */
function prioritize(nice: number): void {
  try {
    setPriority(nice);
  } catch {
    // without it the measurement is only noisier
  }
}

/** `silenceMs`: a guest that says nothing for so long is given up. */
export function observe(command: Command, silenceMs: number, listener: Listener): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    prioritize(0);
    const child = spawn(command.program, command.args, {
      env: measuredEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    prioritize(-10);
    const pid = child.pid ?? 0;
    let kind: Ending['kind'] = 'exited';
    let complaint = '';
    let killer: NodeJS.Timeout | undefined;
    const stop = (reason: Ending['kind']): void => {
      if (kind !== 'exited') return;
      kind = reason;
      child.kill('SIGTERM');
      killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    };
    const running: Running = { cpuMs: () => cpuMs(pid), enough: () => stop('enough') };
    const silence = setTimeout(() => stop('silent'), silenceMs);
    const onInterrupt = (): void => {
      child.kill('SIGKILL');
      process.exit(130);
    };
    process.once('SIGINT', onInterrupt);
    process.once('SIGTERM', onInterrupt);
    child.stdout.setEncoding('latin1');
    child.stdout.on('data', (text: string) => {
      const now = performance.now() - start;
      silence.refresh();
      if (kind === 'exited' && listener(text, now, cpuMs(pid), running)) stop('enough');
    });
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      complaint = (complaint + text).slice(-MAX_COMPLAINT);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(silence);
      clearTimeout(killer);
      process.removeListener('SIGINT', onInterrupt);
      process.removeListener('SIGTERM', onInterrupt);
      resolve({ kind, code, signal, complaint: complaint.trim() });
    });
  });
}

/** Why a run ended before its guest was done, in one line. */
export function describeEnding(ending: Ending, silenceMs: number): string {
  if (ending.kind === 'silent') return `silent for ${silenceMs / 1000} s`;
  const how = ending.signal === null ? `exit code ${ending.code}` : `signal ${ending.signal}`;
  // The last line of a stack trace says where; the line with the error says what.
  const lines = ending.complaint.split('\n').map((line) => line.trim());
  const what = lines.find((line) => /^(\w*Error|fatal|panic)\b/i.test(line)) ?? lines.at(-1) ?? '';
  return what === '' ? how : `${how}: ${what.slice(0, 200)}`;
}
