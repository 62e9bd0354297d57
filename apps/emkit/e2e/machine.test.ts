/** The command with the real machine: the built-in guest, ends of all kinds, hostile guests, bad files. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE, ensureBundle } from '../../../tools/start/bundle.mjs';
import { startSession, type Session } from '../../../tools/start/e2e/session.ts';
import {
  debugExit,
  HALT,
  jumpTo,
  KEYBOARD_RESET,
  POWER_OFF,
  print,
  readAndExit,
  SPIN,
  tinyGuest,
  TRIPLE_FAULT,
} from './guests.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-e2e-'));
let session: Session | undefined;

beforeAll(() => void ensureBundle({ show() {}, done() {} }));
afterEach(() => session?.kill());
afterAll(() => rmSync(folder, { recursive: true }));

const emkit = (...args: string[]): Session =>
  (session = startSession(process.execPath, [BUNDLE, ...args], { prompt: 'demo> ' }));

function guest(...code: (readonly number[])[]): string {
  const file = join(folder, `guest-${Math.random().toString(36).slice(2)}.bin`);
  writeFileSync(file, tinyGuest(code.flat()));
  return file;
}

async function run(...args: string[]): Promise<{ code: number | null; output: string; errors: string }> {
  const s = emkit(...args);
  const code = await Promise.race([
    s.exit,
    new Promise<'hangs'>((resolve) => setTimeout(() => resolve('hangs'), 30_000)),
  ]);
  expect(code, s.output + s.errors).not.toBe('hangs');
  expect(s.errors).not.toMatch(/\n\s+at /);
  return { code: code as number | null, output: s.output, errors: s.errors };
}

describe('the built-in guest', () => {
  it('passes its self-check, answers, and powers off', async () => {
    const s = emkit('--demo');
    await s.expect('9 of 9 ok');
    await s.expect('demo> ');
    expect(await s.run('echo hello  there')).toBe('hello  there');
    expect(await s.run('frob')).toBe('frob: unknown command; help lists them');
    expect(await s.run('check')).toContain('9 of 9 ok');
    expect(await s.run('bench')).toMatch(/M loops\/s/);
    s.type('reboot\r');
    await s.expect('9 of 9 ok');
    await s.expect('demo> ');
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });
  it.each(['486', 'pentium', 'pentium3', 'max'])('runs on -cpu %s', async (cpu) => {
    const { code, output } = await run('--demo', '-cpu', cpu, '-append', 'once');
    expect(output).toMatch(/(\d) of \1 ok/);
    expect(code).toBe(0);
  });
  it('comes to the same when hot code is compiled in a thread of its own, or not', async () => {
    for (const value of ['on', 'off']) {
      const { code, output, errors } = await run('--demo', '-append', 'once', '-accel', `tcg,compile-thread=${value}`);
      expect(output).toMatch(/(\d) of \1 ok/);
      expect([code, errors]).toEqual([0, '']);
    }
  });
  it('comes to the same with the translations of an earlier run, and leaves what is damaged alone', async () => {
    const cache = join(folder, 'translations');
    const demo = (): ReturnType<typeof run> =>
      run('--demo', '-append', 'once', '-accel', `tcg,translation-cache=${cache}`);
    const first = await demo();
    expect([first.code, first.errors]).toEqual([0, '']);
    const [name] = readdirSync(cache);
    const file = join(cache, name!);
    const kept = readFileSync(file);
    // checks only: the line with the guest's speed differs from run to run
    const checks = (output: string): string[] => output.split('\n').filter((line) => /ok/.test(line));
    const second = await demo();
    expect([second.code, second.errors, checks(second.output)]).toEqual([0, '', checks(first.output)]);
    kept[kept.length >> 1]! ^= 1;
    writeFileSync(file, kept);
    const third = await demo();
    expect([third.code, checks(third.output)]).toEqual([0, checks(first.output)]);
    expect(third.errors).toContain('translations of earlier runs are damaged');
    expect(readdirSync(cache)).toEqual([name]);
    // replaced by the third run's own
    expect((await demo()).errors).toBe('');
  });
  it('gives the same output twice under -icount with a fixed clock', async () => {
    const args = ['--demo', '-icount', 'shift=3,sleep=off', '-rtc', 'base=2024-01-01,clock=vm', '-append', 'once'];
    const first = await run(...args);
    expect((await run(...args)).output).toBe(first.output);
  });
});

describe('logs', () => {
  it('-icount gives the same trace of blocks twice', async () => {
    const trace = async (): Promise<string> => {
      const log = join(folder, 'trace.log');
      const args = ['-icount', 'shift=3,sleep=off', '-rtc', 'base=2024-01-01,clock=vm', '-append', 'once'];
      // The filter keeps the file small: the guest's first 8 KiB, interrupts from anywhere.
      expect((await run('--demo', ...args, '-d', 'exec,int', '-dfilter', '0x100000+0x400', '-D', log)).code).toBe(0);
      return createHash('sha256').update(readFileSync(log)).digest('hex') + readFileSync(log).length;
    };
    const first = await trace();
    expect(Number(first.slice(64))).toBeGreaterThan(1000);
    expect(await trace()).toBe(first);
  });
  it('in_asm, op, out_asm, cpu and exec each say something', async () => {
    const log = join(folder, 'all.log');
    const loop = (n: number): number[] => [0xb9, n & 0xff, (n >> 8) & 0xff, n >> 16, 0, 0x49, 0x75, 0xfd]; // mov ecx, n; dec ecx; jnz
    const logOf = async (items: string, n: number): Promise<string> => {
      await run('-kernel', guest(loop(n), debugExit(0), HALT), '-device', 'isa-debug-exit', '-d', items, '-D', log);
      return readFileSync(log, 'latin1');
    };
    const traced = await logOf('in_asm,op,op_opt,cpu,exec', 100);
    for (const piece of ['IN:', 'OP:', 'EAX=', 'Trace 0:']) expect(traced).toContain(piece);
    // DEC's flags are set in each form, but only the last set is seen
    const [before, after] = ['OP:\n', 'OP after optimization and liveness analysis:\n'].map(
      (head) => traced.split(head)[1]!.split('\n\n')[0]!,
    );
    expect(after!.length).toBeLessThan(before!.length);
    expect(await logOf('out_asm', 1_000_000)).toContain('OUT:');
  });
  it('-S waits for a debugger; C-a x still quits', async () => {
    const s = emkit('-S', '-kernel', guest(print('ran'), HALT));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    s.type('\x01x');
    expect(await s.exit).toBe(0);
    expect(s.output).toBe('');
  });
});

describe('ends', () => {
  it('isa-debug-exit gives (v << 1) | 1', async () => {
    const { code, output } = await run(
      '-kernel',
      guest(print('hi\n'), debugExit(21), HALT),
      '-device',
      'isa-debug-exit',
    );
    expect([code, output]).toEqual([43, 'hi\n']);
  });
  it('power-off gives 0', async () => {
    expect((await run('-kernel', guest(POWER_OFF, HALT))).code).toBe(0);
  });
  it('a keyboard-controller reset under -no-reboot gives 0', async () => {
    expect((await run('-kernel', guest(KEYBOARD_RESET, HALT), '-no-reboot')).code).toBe(0);
  });
});

describe('hostile guests', () => {
  it('a triple fault is a reset', async () => {
    expect((await run('-kernel', guest(print('t'), TRIPLE_FAULT), '-no-reboot')).code).toBe(0);
  });
  it('a jump to memory that is not there faults in the guest', async () => {
    expect((await run('-kernel', guest(print('j'), jumpTo(0xd0000000)), '-no-reboot')).code).toBe(0);
  });
  it('memory-mapped nothing reads as ones and takes writes', async () => {
    const { code } = await run('-kernel', guest(readAndExit(0xd0000000)), '-device', 'isa-debug-exit');
    expect(code).toBe(0xff);
  });
  it('a guest that spins with interrupts off can be stopped, also by a signal', async () => {
    const s = emkit('-kernel', guest(print('spinning'), SPIN));
    await s.expect('spinning');
    s.type('\x01x');
    expect(await s.exit).toBe(0);
  });
  it('a guest that halts with interrupts off can be stopped', async () => {
    const s = emkit('-kernel', guest(print('halted'), [0xfa], HALT));
    await s.expect('halted');
    s.type('\x01x');
    expect(await s.exit).toBe(0);
  });
});

describe('bad files', () => {
  const file = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  it.each([
    ['an empty kernel', () => [file('empty', new Uint8Array(0))], 'the kernel file is empty'],
    ['a text file', () => [file('text', Buffer.from('hello\n'.repeat(100)))], 'invalid kernel header'],
    [
      'a truncated multiboot kernel',
      () => [file('cut', tinyGuest(new Array(100).fill(0x90)).subarray(0, 60))],
      'truncated',
    ],
    ['a 64-bit program', () => ['/bin/true'], 'without PVH ELF Note'],
    [
      'modules larger than RAM',
      () => [guest(HALT), '-initrd', file('big', new Uint8Array(3 << 20)), '-m', '2'],
      'initrd does not fit in RAM',
    ],
    ['an unknown CPU', () => [guest(HALT), '-cpu', 'pentum'], "unable to find CPU model 'pentum'"],
  ])('%s', async (_, args, message) => {
    const { code, errors, output } = await run('-kernel', ...args());
    expect(errors).toMatch(/^emkit: /);
    expect(errors).toContain(message);
    expect([code, output]).toEqual([1, '']);
  });
});
