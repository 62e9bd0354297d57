/**
 * `npm start` as a person meets it: Debian's kernel to a BusyBox prompt, commands with checked answers, and out with C-a x.
 * Needs apt's tools and a network the first time.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { startSession, type Session } from './session.ts';

const START = fileURLToPath(new URL('../start.mjs', import.meta.url));
const FETCH = fileURLToPath(new URL('../../fetch-kernel/fetch-kernel.mjs', import.meta.url));
const BOOT_MS = 180_000;

let session: Session | undefined;
const start = (...args: string[]): Session =>
  (session = startSession(process.execPath, [START, ...args], { prompt: '/ # ' }));
afterEach(() => session?.kill());

describe('npm start', () => {
  it('boots Debian to a shell that answers, and leaves with C-a x', async () => {
    const s = start();
    await s.expect('Linux version 6.1', BOOT_MS);
    await s.expect('BusyBox shell', BOOT_MS);
    await s.expect('/ # ', BOOT_MS);
    expect(await s.run('echo hello $((6 * 7))')).toBe('hello 42');
    expect((await s.run('ls /')).split(/\s+/)).toEqual(expect.arrayContaining(['bin', 'dev', 'proc', 'sys']));
    expect(await s.run('cat /proc/cpuinfo')).toMatch(/^processor\t: 0\nvendor_id\t: \S+/);
    expect(await s.run('for i in 1 2 3; do echo line $i; done')).toBe('line 1\nline 2\nline 3');
    expect(await s.run('i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; echo $i')).toBe('200');
    expect(await s.run('tty')).toBe('/dev/ttyS0');
    const messages = await s.run('dmesg');
    expect(messages).toContain('Kernel command line: console=ttyS0');
    expect(messages).not.toMatch(/WARNING:|Oops|BUG:|Call Trace|unexpected|Spurious/);
    // A paste longer than any FIFO arrives whole.
    const words = Array.from({ length: 120 }, (_, i) => `word${i}`).join(' ');
    expect(await s.run(`echo ${words}`)).toContain('word119');
    // Ctrl-C reaches the guest and stops what runs there.
    s.type('sleep 1000\r');
    await s.expect('sleep 1000');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    s.type('\x03');
    await s.expect('/ # ');
    s.type('\x01x');
    expect(await s.exit).toBe(0);
  });

  it('powers off when the guest does', async () => {
    const s = start('-append', 'quiet');
    await s.expect('/ # ', BOOT_MS);
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });

  it('boots the built-in guest where Debian has no tools', async () => {
    session = startSession(process.execPath, [START], {
      env: { ...process.env, PATH: '/nonexistent', XDG_CACHE_HOME: '/nonexistent' },
      prompt: 'demo> ',
    });
    await session.expect('9 of 9 ok', BOOT_MS);
    await session.expect('demo> ');
    expect(await session.run('echo hello')).toBe('hello');
    session.type('poweroff\r');
    expect(await session.exit).toBe(0);
  });

  it('takes a kernel and an initrd by option, with the answer of rdinit', async () => {
    const { kernel, initramfs } = JSON.parse(
      execFileSync(process.execPath, [FETCH], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    session = startSession(
      process.execPath,
      [START, '--kernel', kernel, '--initrd', initramfs, '--append', 'console=ttyS0 rdinit=/bin/sh'],
      { prompt: '/ # ' },
    );
    await session.expect('# ', BOOT_MS);
    expect(await session.run('echo $((1 + 1))')).toBe('2');
    session.type('\x01x');
    expect(await session.exit).toBe(0);
  });
});
