/**
 * Real gdb on Debian's amd64 kernel: the 64-bit register set, breakpoints in kernel and program, backtrace, single steps, watchpoints.
 * The kernel lies where it was linked (`nokaslr`); its symbols come from /proc/kallsyms. A loop in the guest's shell writes two bytes
 * again and again, so that a system call comes without anybody typing.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE, ensureBundle } from '../../../tools/start/bundle.mjs';
import { startSession, type Session } from '../../../tools/start/e2e/session.ts';
import { freePort } from './free-port.ts';
import { symbolFile } from './symbol-file.ts';

const FETCH = fileURLToPath(new URL('../../../tools/fetch-kernel/fetch-kernel.mjs', import.meta.url));
const BOOT_MS = 180_000;
const GDB_MS = 120_000;
const FUNCTIONS = ['ksys_write', 'do_syscall_64', 'entry_SYSCALL_64', 'entry_SYSCALL_64_after_hwframe'];
const folder = mkdtempSync(join(tmpdir(), 'emkit-gdb64-'));
const symbols = join(folder, 'kernel.elf');
const address = new Map<string, bigint>();
let session: Session;
let port = 0;

/** Runs gdb's commands on the running guest, which runs on afterwards; gives what gdb said. */
async function debug(...commands: string[]): Promise<string> {
  const all = [
    'set confirm off',
    'set pagination off',
    `file ${symbols}`,
    `target remote 127.0.0.1:${port}`,
    ...commands,
    'detach',
  ];
  const gdb = spawn('gdb', ['-nx', '-batch', ...all.flatMap((c) => ['-ex', c])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  gdb.stdout.on('data', (chunk) => (output += String(chunk)));
  gdb.stderr.on('data', (chunk) => (output += String(chunk)));
  const timer = setTimeout(() => gdb.kill('SIGKILL'), GDB_MS);
  await new Promise((resolve) => gdb.once('close', resolve));
  clearTimeout(timer);
  return output;
}
/** The values that `print` showed, in order. */
const values = (output: string): string[] => [...output.matchAll(/^\$\d+ = (.*)$/gm)].map((m) => m[1]);
const addressOf = (name: string): string => `0x${address.get(name)!.toString(16)}`;

beforeAll(async () => {
  const gdb = spawnSync('gdb', ['--version'], { encoding: 'utf8' });
  if (gdb.error !== undefined) throw new Error('this test needs gdb: apt-get install gdb');
  ensureBundle({ show() {}, done() {} });
  const { kernel, initramfs } = JSON.parse(
    execFileSync(process.execPath, [FETCH, '--arch', 'x86_64'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  port = await freePort();
  const machine = ['--arch', 'x86_64', '-cpu', 'max', '-m', '256', '-gdb', `tcp:127.0.0.1:${port}`];
  const files = ['-kernel', kernel, '-initrd', initramfs, '-append', 'console=ttyS0 nokaslr'];
  session = startSession(process.execPath, [BUNDLE, ...machine, ...files], { prompt: '/ # ' });
  await session.expect('/ # ', BOOT_MS);
  const wanted = [...FUNCTIONS, 'jiffies_64', '_text', '_etext'];
  const lines = await session.run(`grep -E ' (${wanted.join('|')})$' /proc/kallsyms`, BOOT_MS);
  // the terminal echoes the command, too
  for (const [, at, name] of lines.matchAll(/^([0-9a-f]{16}) \w (\w+)$/gm)) address.set(name, BigInt(`0x${at}`));
  expect([...address.keys()].sort()).toEqual(wanted.sort());
  const functions = FUNCTIONS.map((name) => ({ name, address: address.get(name)! }));
  writeFileSync(symbols, symbolFile(functions, address.get('_text')!, address.get('_etext')!));
  await session.run('while :; do echo t; sleep 1; done > /dev/null &', BOOT_MS);
}, 2 * BOOT_MS);
afterAll(() => {
  session?.kill();
  rmSync(folder, { recursive: true });
});

describe('gdb on a 64-bit kernel', () => {
  it('stops at a breakpoint in the kernel, with its registers, callers, and the memory of the program that called', async () => {
    const out = await debug(
      'hbreak ksys_write if $rdx == 2',
      'continue',
      'print/x $rip',
      'print $cs',
      'print/x $gs_base >> 32',
      'print $fs_base > 0x100000000',
      'print (char) *(char *) $rsi',
      'backtrace 3',
      'info registers',
      'print sizeof($ymm15)',
      'print $mxcsr',
    );
    expect(out).toContain('Breakpoint 1, ');
    const [rip, cs, gs, fs, byte, size, mxcsr] = values(out);
    expect([rip, cs, gs, fs, byte, size]).toEqual([
      addressOf('ksys_write'),
      '16',
      '0xffffffffffff8880',
      '1',
      "116 't'",
      '32',
    ]);
    expect(mxcsr).toMatch(/IM DM ZM OM UM PM/);
    expect(out).toMatch(
      /#0 .* in ksys_write \(\)\n#1 .* in do_syscall_64 \(\)\n#2 .* in entry_SYSCALL_64_after_hwframe \(\)/,
    );
    for (const name of ['rax', 'r15', 'rip', 'eflags', 'ss', 'fs_base', 'gs_base'])
      expect(out).toMatch(new RegExp(`^${name} `, 'm'));
  });

  it('steps by instructions', async () => {
    const out = await debug(
      'hbreak ksys_write',
      'continue',
      'delete',
      // the kernel's functions begin with 5 bytes that do nothing, for its tracer
      'x/2i $rip',
      'stepi',
      'print/x $rip',
      'print $rsp',
      'stepi',
      'print $rsp',
    );
    const [rip, before, after] = values(out);
    expect(BigInt(rip)).toBe(address.get('ksys_write')! + 5n);
    expect(out).toMatch(/<ksys_write\+5>:\s+push /);
    const pointer = (text: string): bigint => BigInt(/0x[0-9a-f]+/.exec(text)![0]);
    expect(pointer(before) - pointer(after)).toBe(8n);
  });

  it('stops in a program when a system call returns to it', async () => {
    const out = await debug(
      'hbreak entry_SYSCALL_64 if $rax == 1 && $rdx == 2',
      'continue',
      'tbreak *$rcx',
      'delete 1',
      'continue',
      'print $cs',
      'print $rax',
      'print $rip == $rcx',
      // the instruction before is the SYSCALL
      'print/x *(unsigned short *) ($rip - 2)',
    );
    expect(out).toContain('Temporary breakpoint 2, ');
    expect(values(out)).toEqual(['51', '2', '1', '0x50f']);
  });

  it('stops after the instruction that writes a watched place', async () => {
    const out = await debug(`watch *(unsigned long *) ${addressOf('jiffies_64')}`, 'continue', 'continue');
    const numbers = [...out.matchAll(/(Old|New) value = (\d+)/g)].map((m) => Number(m[2]));
    expect(numbers).toHaveLength(4);
    expect(numbers[1]).toBeGreaterThan(numbers[0]);
    expect(numbers[2]).toBe(numbers[1]);
    expect(numbers[3]).toBeGreaterThan(numbers[2]);
  });

  it('writes 64-bit registers and their vector halves', async () => {
    const out = await debug(
      'hbreak ksys_write',
      'continue',
      'set $saved = $r11',
      'set $r11 = 0x123456789abcdef0',
      'print/x $r11',
      'print/x $r11d',
      'set $r11 = $saved',
      'set $upper = $ymm15.v4_int64[3]',
      'set $ymm15.v4_int64[3] = -2',
      'print $ymm15.v4_int64[3]',
      'set $ymm15.v4_int64[3] = $upper',
      'set $base = $fs_base',
      'set $fs_base = 0xffff800012345678',
      'print/x $fs_base',
      'set $fs_base = $base',
    );
    expect(values(out)).toEqual(['0x123456789abcdef0', '0x9abcdef0', '-2', '0xffff800012345678']);
  });

  it('leaves a guest that runs on', async () => {
    expect(await session.run('echo $((6 * 7))', BOOT_MS)).toBe('42');
  });
});
