/**
 * Debian's own kernel and initrd by the emkit command: the whole installer up to its language menu, refusals of damaged
 * or oversized files, and what the log says against the list of differences that docs/dmesg-diff.md explains.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE, ensureBundle } from '../bundle.mjs';
import { startSession, type Session } from './session.ts';

const FETCH = fileURLToPath(new URL('../../fetch-kernel/fetch-kernel.mjs', import.meta.url));
const BOOT_MS = 180_000;
const folder = mkdtempSync(join(tmpdir(), 'emkit-debian-'));
interface Files {
  readonly kernel: string;
  readonly initrd: string;
  readonly initramfs: string;
}
let files: Files;
let files64: Files;
let session: Session | undefined;

beforeAll(() => {
  ensureBundle({ show() {}, done() {} });
  const fetch = (...args: string[]): Files =>
    JSON.parse(
      execFileSync(process.execPath, [FETCH, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  files = fetch('--full');
  files64 = fetch('--arch', 'x86_64');
});
afterEach(() => session?.kill());
afterAll(() => rmSync(folder, { recursive: true }));

const emkit = (...args: string[]): Session =>
  (session = startSession(process.execPath, [BUNDLE, ...args], { prompt: '/ # ' }));

describe('the Debian installer', () => {
  it('reaches its language menu on the serial console', async () => {
    const s = emkit('-m', '512', '-kernel', files.kernel, '-initrd', files.initrd, '-append', 'console=ttyS0');
    await s.expect('Select a language', BOOT_MS);
    s.type('\x01x');
    expect(await s.exit).toBe(0);
  });
  it('gives a shell with rdinit=/bin/sh', async () => {
    const s = emkit(
      '-m',
      '512',
      '-kernel',
      files.kernel,
      '-initrd',
      files.initrd,
      '-append',
      'console=ttyS0 rdinit=/bin/sh',
    );
    await s.expect('~ # ', BOOT_MS);
    s.type('echo $((6 * 7))\r');
    await s.expect('42\r\n');
    await s.expect('~ # ');
    s.type('\x01x');
    expect(await s.exit).toBe(0);
  });
});

describe.each(['qemu32', 'pentium3', 'max'])('-cpu %s', (cpu) => {
  // The kernel measures the TSC against other clocks within some milliseconds: a host that stalls just then makes it find them 1 % apart, and
  // call the TSC unstable. Not twice in a row, though.
  it('boots without a line of alarm, and keeps time', { retry: 1 }, async () => {
    const s = emkit(
      '-m',
      '256',
      '-cpu',
      cpu,
      '-kernel',
      files.kernel,
      '-initrd',
      files.initramfs,
      '-append',
      'console=ttyS0',
    );
    await s.expect('/ # ', BOOT_MS);
    const log = await s.run('dmesg');
    expect(log).not.toMatch(
      /WARNING:|Oops|BUG:|Call Trace|[Uu]nexpected|Spurious|hung|unstable|[Uu]nstable|blocked for/,
    );
    // The guest's clock was set from the RTC, which shows the host's time.
    const seconds = Number((await s.run('date +%s')).trim());
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60);
    // A line longer than the FIFO's threshold wakes an idle guest although no timer is near.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(await s.run('echo one two three four five six seven', 20_000)).toBe('one two three four five six seven');
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });
});

describe('--arch x86_64', () => {
  it("boots Debian's amd64 kernel to a shell that forks, counts and powers off", async () => {
    const s = emkit(
      '--arch',
      'x86_64',
      '-m',
      '256',
      '-kernel',
      files64.kernel,
      '-initrd',
      files64.initramfs,
      '-append',
      'console=ttyS0',
    );
    await s.expect('/ # ', BOOT_MS);
    expect(await s.run('uname -m')).toBe('x86_64');
    // every process writes to a new stack first, and pipes switch between them
    expect(await s.run('for i in 1 2 3 4 5 6 7 8 9; do ls /bin | wc -l; done | uniq | wc -l')).toBe('1');
    expect(await s.run('echo $((1 << 40)) | sha256sum')).toContain(
      createHash('sha256').update('1099511627776\n').digest('hex'),
    );
    expect(await s.run('dmesg')).not.toMatch(/WARNING:|Oops|BUG:|Call Trace|incorrect mask|unchecked MSR/);
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });
  it('-cpu max shows what the local APIC and RDRAND can do, and a timer of the TSC is one to rely on', async () => {
    const s = emkit(
      '--arch',
      'x86_64',
      '-cpu',
      'max,+tsc-deadline',
      '-m',
      '256',
      '-kernel',
      files64.kernel,
      '-initrd',
      files64.initramfs,
      '-append',
      'console=ttyS0',
    );
    await s.expect('/ # ', BOOT_MS);
    const flags = (await s.run('grep -m1 ^flags /proc/cpuinfo')).split(/\s+/);
    expect(flags).toEqual(
      expect.arrayContaining(['x2apic', 'tsc_deadline_timer', 'rdrand', 'rdseed', 'rdpid', 'umip', 'smap', 'xsaves']),
    );
    const log = await s.run('dmesg');
    for (const line of ['TSC deadline timer available', 'x2apic: ', 'crng init done', "using 'compacted' format"])
      expect(log).toContain(line);
    expect(log).not.toMatch(/WARNING:|Oops|BUG:|Call Trace|RDRAND|unchecked MSR/);
    expect(await s.run('cat /sys/devices/system/clockevents/clockevent0/current_device')).toBe('lapic-deadline');
    expect(await s.run('sleep 1; echo slept', 20_000)).toBe('slept');
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });
  it('uses five levels of page tables where there are, and tests its memory above 4 GiB', async () => {
    const s = emkit(
      '--arch',
      'x86_64',
      '-cpu',
      'max,+la57',
      '-machine',
      'pc,max-ram-below-4g=512M',
      '-m',
      '640',
      '-kernel',
      files64.kernel,
      '-initrd',
      files64.initramfs,
      '-append',
      'console=ttyS0 memtest=1 no_hash_pointers',
    );
    await s.expect('/ # ', BOOT_MS);
    const processor = await s.run('cat /proc/cpuinfo');
    expect(processor).toMatch(/^flags.* la57( |$)/m);
    expect(processor).toContain('57 bits virtual');
    // with four levels they begin with ffff
    const addresses = (await s.run('cut -c1-18 /proc/vmallocinfo')).trim().split('\n');
    expect(addresses.length).toBeGreaterThan(10);
    expect(addresses.filter((a) => /^0xff(?!ff)/.test(a)).length).toBeGreaterThan(10);
    const log = await s.run('dmesg');
    expect(log).toContain('[mem 0x0000000100000000-0x0000000107ffffff] usable');
    expect(log).toContain('early_memtest: # of tests: 1');
    expect(log).not.toMatch(/bad mem addr|WARNING:|Oops|BUG:|Call Trace/);
    expect(Number(/^Mem:\s+(\d+)/m.exec(await s.run('free -k'))![1])).toBeGreaterThan(500_000);
    expect(await s.run('for i in 1 2 3 4 5 6 7 8 9; do ls /bin | wc -l; done | uniq | wc -l')).toBe('1');
    s.type('poweroff\r');
    expect(await s.exit).toBe(0);
  });
  it('warns where the processor cannot run that kernel', async () => {
    const s = emkit('-m', '256', '-kernel', files64.kernel, '-append', 'console=ttyS0');
    await expect.poll(() => s.errors, { timeout: 30_000 }).toContain('this kernel is for 64-bit processors');
  });
});

describe('what is refused', () => {
  it.each([
    ['a truncated kernel', () => ['-kernel', cut(files.kernel, 3_000_000)], 'Linux kernel is truncated'],
    ['setup code alone', () => ['-kernel', cut(files.kernel, 600)], 'Linux kernel is truncated'],
    [
      'an initrd larger than RAM',
      () => ['-kernel', files.kernel, '-initrd', files.initrd, '-m', '48'],
      'initrd is too large',
    ],
    ['more memory than can be', () => ['-kernel', files.kernel, '-m', '99T'], 'cannot set up guest memory'],
    ['an unknown option', () => ['-kernel', files.kernel, '-frobnicate'], 'invalid option'],
  ])('%s', async (_, args, message) => {
    const s = emkit(...args());
    expect(await s.exit).toBe(1);
    expect(s.errors).toContain(message);
    expect(s.errors).not.toMatch(/\n\s+at /);
  });
});

function cut(path: string, length: number): string {
  const file = join(folder, `cut-${length}`);
  writeFileSync(file, readFileSync(path).subarray(0, length));
  return file;
}
