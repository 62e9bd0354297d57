/** The command as a process: pipes, end of input, signals, a closed reader, and a real terminal (script(1) makes one). */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { RESET_SEQUENCE } from '../src/terminal-guard.ts';

const TSX = new URL('../../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
const MAIN = fileURLToPath(new URL('./fake-main.ts', import.meta.url));
const COMMAND = ['--conditions=@emkit/source', '--import', TSX, MAIN];

interface Session {
  readonly child: ReturnType<typeof spawn>;
  text(): string;
  error(): string;
  waitFor(part: string): Promise<void>;
  exit: Promise<number>;
}

function start(program: string, args: readonly string[]): Session {
  const child = spawn(program, args, { stdio: 'pipe' });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let out = '';
  let err = '';
  const waiting = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('latin1');
    for (const look of waiting) look();
  });
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('latin1')));
  const exit = new Promise<number>((resolve) =>
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(signal === null ? code! : -1);
    }),
  );
  return {
    child,
    text: () => out,
    error: () => err,
    exit,
    waitFor: (part) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!out.includes(part)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        void exit.then(() => reject(new Error(`ended before "${part}"; output: ${out} ${err}`)));
      }),
  };
}

const emkit = (...args: string[]): Session => start(process.execPath, [...COMMAND, ...args]);

describe('with pipes', () => {
  it('passes a long paste whole, survives the end of input, writes no escape codes', async () => {
    const s = emkit('--demo');
    await s.waitFor('fake guest ready');
    const paste = 'abcdefghij'.repeat(2000);
    s.child.stdin!.write(paste);
    await s.waitFor('ABCDEFGHIJ'.repeat(2000));
    s.child.stdin!.end('\roff\r');
    expect(await s.exit).toBe(0);
    expect(s.text()).not.toContain('\x1b');
    expect(s.error()).toBe('');
  });
  it('goes on after the end of input', async () => {
    const s = emkit('--demo');
    s.child.stdin!.end();
    await s.waitFor('fake guest ready');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(s.child.exitCode).toBeNull();
    s.child.kill('SIGTERM');
    expect(await s.exit).toBe(143);
    expect(s.error()).toContain('terminating on signal 15');
  });
  it.each([
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('%s ends it with %d', async (signal, code) => {
    const s = emkit('--demo');
    await s.waitFor('fake guest ready');
    s.child.kill(signal);
    expect(await s.exit).toBe(code);
  });
  it('gives the code of isa-debug-exit', async () => {
    const s = emkit('--demo', '-device', 'isa-debug-exit');
    await s.waitFor('ready');
    s.child.stdin!.write('exit 21\r');
    expect(await s.exit).toBe(43);
  });
  it('a bug of ours is told as one, with a report, exit 70', async () => {
    const s = emkit('--demo');
    await s.waitFor('ready');
    s.child.stdin!.write('bug\r');
    expect(await s.exit).toBe(70);
    expect(s.error()).toMatch(/^emkit: internal error: planted bug\n {2}this is a bug of emkit/);
    const report = /A report is in (\S+);/.exec(s.error())![1]!;
    expect(readFileSync(report, 'utf8')).toContain('fake-machine.ts');
    rmSync(report);
  });
  it('ends when its reader goes away', () => {
    const run = spawnSync(
      'bash',
      [
        '-c',
        `echo "flood 200000" | "${process.execPath}" ${COMMAND.map((w) => `"${w}"`).join(' ')} --demo | head -2; echo "code \${PIPESTATUS[1]}"`,
      ],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(run.stdout).toContain('fake guest ready');
    expect(run.stdout).toContain('code 141');
  });
  it('writes a serial port to a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'emkit-cli-'));
    const s = emkit('--demo', '-serial', `file:${join(folder, 'log')}`);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    s.child.kill('SIGTERM');
    await s.exit;
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('fake guest ready\r\n');
    rmSync(folder, { recursive: true });
  });
  it('listens for one gdb at a time', async () => {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const s = emkit('--demo', '-gdb', `tcp::${port}`);
    await s.waitFor('ready');
    const first = createConnection(port, '127.0.0.1');
    const echoed = new Promise<string>((resolve) => first.once('data', (d) => resolve(d.toString())));
    first.write('$?#3f');
    expect(await echoed).toBe('$?#3f');
    const second = createConnection(port, '127.0.0.1');
    await new Promise<void>((resolve) => second.once('close', () => resolve()));
    first.destroy();
    s.child.kill('SIGTERM');
    await s.exit;
  });
});

const hasScript = spawnSync('script', ['--version']).error === undefined;

describe.runIf(hasScript)('on a terminal', () => {
  const onTerminal = (...args: string[]): Session =>
    start('script', [
      '-qec',
      `stty rows 24 cols 80; "${process.execPath}" ${[...COMMAND, ...args].map((w) => `"${w}"`).join(' ')}; echo "code $?"; stty -a | grep -o -e '-\\?icanon' -e '-\\?echo\\b'`,
      '/dev/null',
    ]);

  it('says how to leave, takes keys raw, and gives the terminal back', async () => {
    const s = onTerminal('--demo');
    await s.waitFor('fake guest ready');
    expect(s.text()).toContain('emkit: pc, 1 x qemu32, 128 MiB');
    expect(s.text()).toContain('Ctrl-A x quits, Ctrl-A h lists keys');
    s.child.stdin!.write('hi\x03\x01h');
    await s.waitFor('C-a x quit');
    await s.waitFor('HI\x03');
    s.child.stdin!.write('\x01b');
    await s.waitFor('<break>');
    s.child.stdin!.write('\x01x');
    expect(await s.exit).toBe(0);
    expect(s.text()).toContain(RESET_SEQUENCE);
    expect(s.text()).toContain('stopped by the user');
    expect(s.text()).toMatch(/code 0\r\n(?:.*\r\n)*icanon\r\necho/);
  });
  it('with -serial stdio Ctrl-C stops it', async () => {
    const s = onTerminal('--demo', '-serial', 'stdio');
    await s.waitFor('fake guest ready');
    s.child.stdin!.write('\x03');
    await s.exit;
    expect(s.text()).toMatch(/code 0\r\n(?:.*\r\n)*icanon\r\necho/);
  });
});
