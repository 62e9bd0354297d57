/** Real gdb (package gdb) on a tiny guest: registers, memory, breakpoints, watchpoints, single steps, interrupt, exit. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE, ensureBundle } from '../../../tools/start/bundle.mjs';
import { startSession, type Session } from '../../../tools/start/e2e/session.ts';
import { freePort } from './free-port.ts';
import { debugExit, SPIN, tinyGuest } from './guests.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-gdb-'));
let session: Session | undefined;

beforeAll(() => {
  const gdb = spawnSync('gdb', ['--version'], { encoding: 'utf8' });
  if (gdb.error !== undefined) throw new Error('this test needs gdb: apt-get install gdb');
  ensureBundle({ show() {}, done() {} });
});
afterEach(() => session?.kill());
afterAll(() => rmSync(folder, { recursive: true }));

/** Counts to 1000 in eax, storing each number at 2 MiB, then leaves with exit code 41. */
const COUNTER = [
  [0xb8, 0, 0, 0, 0], // 100020 mov eax, 0
  [0x40], // 100025 inc eax
  [0xa3, 0, 0, 0x20, 0], // 100026 mov [0x200000], eax
  [0x3d, 0xe8, 3, 0, 0], // 10002b cmp eax, 1000
  [0x75, 0xf3], // 100030 jne 100025
  debugExit(20), // 100032
].flat();

/** Runs gdb's commands against a guest that waits for it; gives what gdb said. */
async function debug(
  code: readonly number[],
  commands: readonly string[],
  options: readonly string[] = [],
): Promise<string> {
  const file = join(folder, `guest-${code.length}.bin`);
  writeFileSync(file, tinyGuest(code));
  const port = await freePort();
  const args = [
    '-kernel',
    file,
    '-m',
    '16',
    '-display',
    'none',
    '-serial',
    'none',
    '-monitor',
    'none',
    '-S',
    '-gdb',
    `tcp:127.0.0.1:${port}`,
    ...options,
  ];
  session = startSession(process.execPath, [BUNDLE, ...args, '-device', 'isa-debug-exit,iobase=0x501'], {
    prompt: '(gdb)',
  });
  const all = [
    'set confirm off',
    'set pagination off',
    'set tcp auto-retry on',
    'set tcp connect-timeout 30',
    `target remote 127.0.0.1:${port}`,
    ...commands,
  ];
  const gdb = spawn('gdb', ['-nx', '-batch', ...all.flatMap((c) => ['-ex', c])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  gdb.stdout.on('data', (chunk) => (output += String(chunk)));
  gdb.stderr.on('data', (chunk) => (output += String(chunk)));
  const timer = setTimeout(() => gdb.kill('SIGKILL'), 60_000);
  await new Promise((resolve) => gdb.once('close', resolve));
  clearTimeout(timer);
  return output;
}

describe('gdb', () => {
  it('stops at a breakpoint each time round, steps, and shows registers', async () => {
    const out = await debug(COUNTER, [
      'p/x $eip',
      'break *0x10002b',
      'continue',
      'p $eax',
      'continue',
      'p $eax',
      'stepi',
      'p/x $eip',
      'stepi',
      'p/x $eip',
      'info registers eflags cs',
      'p $mxcsr',
      'p $st0',
      'p $xmm0.v4_int32',
    ]);
    expect(out).toContain('$1 = 0x100020');
    expect(out).toMatch(/Breakpoint 1, 0x0010002b[^]*\$2 = 1\n[^]*Breakpoint 1, 0x0010002b[^]*\$3 = 2\n/);
    expect(out).toContain('$4 = 0x100030');
    expect(out).toContain('$5 = 0x100025');
    expect(out).toMatch(/eflags +0x\w+ +\[[A-Z ]*\]/);
    expect(out).toMatch(/\$6 = \[.*IM.*\]/);
  });

  it('reads and writes registers and memory, and code that has run', async () => {
    const out = await debug(COUNTER, [
      'break *0x10002b',
      'continue',
      'delete',
      'x/2i $eip',
      'set $eax = 990',
      'set {int}0x300000 = 0x12345678',
      'p/x {char}0x300001',
      // cmp eax, 1000 becomes cmp eax, 995
      'set {int}0x10002c = 995',
      'break *0x100032',
      'continue',
      'p $eax',
      'p {int}0x200000',
    ]);
    expect(out).toMatch(/=> 0x10002b:\s+cmp +\$0x3e8,%eax/);
    expect(out).toContain('$1 = 0x56');
    expect(out).toContain('$2 = 995');
    expect(out).toContain('$3 = 995');
  });

  it('stops after the instruction that writes a watched place', async () => {
    const out = await debug(COUNTER, ['watch *(int*)0x200000', 'continue', 'p/x $eip', 'continue', 'p $eax']);
    expect(out).toMatch(/Hardware watchpoint 1: \*\(int\*\)0x200000\n\nOld value = 0\nNew value = 1/);
    expect(out).toContain('$1 = 0x10002b');
    expect(out).toContain('$2 = 2');
  });

  it('hears of the exit, and the process exits as the guest said', async () => {
    const out = await debug(COUNTER, ['continue']);
    expect(out).toContain('exited with code 051');
    expect(await session!.exit).toBe(41);
  });

  it('interrupts a guest that spins, and lets it go', async () => {
    const out = await debug(SPIN, [
      'set remote interrupt-sequence Ctrl-C',
      'python import threading, time; threading.Timer(1.5, lambda: gdb.post_event(lambda: gdb.execute("interrupt"))).start()',
      'continue',
      'p/x $eip',
      'monitor info status',
      'detach',
    ]);
    expect(out).toContain('SIGINT');
    expect(out).toContain('$1 = 0x100021');
    expect(out).toContain('paused');
  });
});
