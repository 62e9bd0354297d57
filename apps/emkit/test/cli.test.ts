/** The command's answers that need no machine, and how options arrive at one. */
import { readFileSync } from 'node:fs';
import { OPTIMISATION_NAMES } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { OPTIONS } from '../src/option-table.ts';
import { VERSION } from '../src/version.ts';
import { runCli } from './run-cli.ts';

describe('help and lists', () => {
  it('shows twelve lines on a terminal when nothing is given, exit 1', async () => {
    const { code, out, err } = await runCli([], undefined, true);
    expect([code, out, err.trimEnd().split('\n').length]).toEqual([1, '', 12]);
  });
  it('behaves as QEMU without arguments when stdout is no terminal: nothing to boot', async () => {
    expect((await runCli([])).err).toContain('no bootable device');
  });
  it('lists every option that is not refused, within 80 columns', async () => {
    const { code, out } = await runCli(['-help']);
    expect(code).toBe(0);
    for (const option of OPTIONS)
      expect(
        out.includes(` ${option.own === true ? '--' : '-'}${option.name}`) || option.refused !== undefined,
        option.name,
      ).toBe(true);
    expect(Math.max(...out.split('\n').map((l) => l.length))).toBeLessThanOrEqual(80);
    expect(out).not.toContain('\x1b');
  });
  it('explains one option with its keys, -help and --help alike', async () => {
    const { out } = await runCli(['--help', 'rtc']);
    expect(out).toContain('base=utc|localtime|2006-06-17T16:01:21');
    expect((await runCli(['-help', 'icount'])).out).toContain('shift=0-10|auto');
  });
  it('gives the table as JSON', async () => {
    expect(JSON.parse((await runCli(['-help=json'])).out).options.length).toBe(OPTIONS.length);
  });
  it.each([
    ['-machine', 'help', 'Supported machines are:'],
    ['-cpu', 'help', 'x86 qemu32'],
    ['-device', 'help', 'name "isa-debug-exit", bus ISA'],
    ['-device', 'isa-debug-exit,help', 'iobase=<uint32>'],
    ['-d', 'help', 'in_asm'],
    ['-chardev', 'help', 'stdio'],
    ['-accel', 'help', 'tcg'],
    ['-accel', 'tcg,help', 'opt-page-walker=<bool>'],
  ])('%s %s lists on stdout, exit 0', async (option, value, text) => {
    const { code, out, err } = await runCli([option, value]);
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(text);
  });
  it('writes completion scripts that know every option', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { out } = await runCli(['--completion', shell]);
      for (const option of OPTIONS)
        if (option.refused === undefined) expect(out, `${shell} ${option.name}`).toContain(option.name);
    }
  });
  it('has the version of its package', async () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(VERSION).toBe(manifest.version);
    expect((await runCli(['-version'])).out).toBe('emkit 0.0.0-test\n');
  });
  it('examines the computer, also as JSON', async () => {
    expect((await runCli(['--doctor'])).out).toMatch(/Node\.js +v\d+/);
    expect(JSON.parse((await runCli(['--doctor=json'])).out).findings.length).toBeGreaterThan(5);
  });
});

describe('options', () => {
  it('reach the machine', async () => {
    const { made, code } = await runCli([
      '--demo',
      '-m',
      '1',
      '-m',
      'size=64M',
      '-cpu',
      'pentium,+sse',
      '-serial',
      'null',
      '-serial',
      'none',
      '-debugcon',
      'null',
      '-device',
      'isa-debug-exit,iobase=0xf4',
      '-rtc',
      'base=2006-06-17T16:01:21,clock=vm',
      '-icount',
      'shift=3,sleep=off',
      '-seed',
      '0x10',
      '-no-reboot',
      '-S',
      '-global',
      'isa-debug-exit.iosize=4',
      '-append',
      'once',
      '-M',
      'pc,accel=tcg,acpi=off',
    ]);
    expect(code).toBe(0);
    const o = made[0]!;
    expect(o).toMatchObject({
      memorySize: 64 << 20,
      cpu: 'pentium,+sse',
      acpi: false,
      noReboot: true,
      startPaused: true,
      append: 'once',
      icount: { shift: 3, sleep: false },
      random: 16,
    });
    expect(o.rtc).toEqual({ startMs: Date.UTC(2006, 5, 17, 16, 1, 21), zone: 'utc', clock: 'vm' });
    expect(o.serial.map((s) => s === undefined)).toEqual([false, true]);
    expect([...o.devices[0]!.properties]).toEqual([['iobase', '0xf4']]);
    expect(o.globals).toEqual([{ driver: 'isa-debug-exit', property: 'iosize', value: '4' }]);
    expect(new DataView(o.kernel!.bytes.buffer).getUint32(0, true)).toBe(0x1badb002);
  });
  it('--arch, or the name it is called by, chooses the default processor', async () => {
    const cpu = async (args: string[], program?: string) =>
      (await runCli(['--demo', '-serial', 'null', ...args], { kind: 'shutdown' }, false, program)).made[0]!.cpu;
    expect(await cpu([])).toBe('qemu32');
    expect(await cpu(['--arch', 'x86_64'])).toBe('qemu64');
    expect(await cpu(['--arch=x86_64', '-cpu', 'max'])).toBe('max');
    expect(await cpu([], 'qemu-system-x86_64')).toBe('qemu64');
    expect(await cpu(['--arch', 'i386'], 'qemu-system-x86_64')).toBe('qemu32');
  });
  it('-accel switches optimisations, the last word counts', async () => {
    const chosen = async (...args: string[]) =>
      (await runCli(['--demo', '-serial', 'null', ...args])).made[0]!.optimisations;
    expect(await chosen()).toEqual({});
    expect(await chosen('-accel', 'tcg,opt-links=off,thread=single')).toEqual({ links: false });
    const one = await chosen('-accel', 'tcg,opt-all=off,opt-ports=on', '-accel', 'tcg,opt-ports=off,opt-links=on');
    expect(OPTIMISATION_NAMES.filter((name) => one[name] !== false)).toEqual(['links']);
    const { out } = await runCli(['--demo', '--explain', '-accel', 'tcg,opt-links=off']);
    expect(out).toContain('-accel tcg,opt-links=off');
  });
  it('-accel translation-cache is off unless it is asked for, and only the built command has one', async () => {
    const refused = async (value: string) =>
      (await runCli(['--demo', '-serial', 'null', '-accel', `tcg,translation-cache=${value}`])).err;
    expect(await refused('on')).toContain('only the built command');
    expect(await refused('some/folder')).toContain('only the built command');
    expect(await refused('off')).toBe('');
    expect((await runCli(['--demo', '-serial', 'null'])).made[0]!.translations).toBeUndefined();
    const { out } = await runCli(['--demo', '--explain', '-accel', 'tcg,translation-cache=some/folder']);
    expect(out).toContain('-accel tcg,translation-cache=some/folder');
  });
  it('-accel compile-thread is off unless it is asked for, and only the built command has one', async () => {
    expect((await runCli(['--demo', '-serial', 'null', '-accel', 'tcg,compile-thread=on'])).err).toContain(
      'compile-thread=on: only the built command',
    );
    expect((await runCli(['--demo', '-serial', 'null'])).made[0]!.compileThread).toBeUndefined();
    const { out } = await runCli(['--demo', '--explain', '-accel', 'tcg,compile-thread=on']);
    expect(out).toContain('-accel tcg,compile-thread=on');
  });
  it('-m counts in MiB and rounds up to pages; 0 is the default', async () => {
    expect((await runCli(['--demo', '-serial', 'null', '-m', '1025k'])).made[0]!.memorySize).toBe(1025 * 1024 + 3072);
    expect((await runCli(['--demo', '-serial', 'null', '-m', '0'])).made[0]!.memorySize).toBe(128 << 20);
  });
  it('-nodefaults gives no serial port', async () => {
    expect((await runCli(['--demo', '-nodefaults'])).made[0]!.serial).toEqual([]);
  });
  it('a chardev may be named after its use on the command line', async () => {
    const { made } = await runCli(['--demo', '-serial', 'chardev:a', '-chardev', 'null,id=a']);
    expect(made[0]!.serial[0]).toBeDefined();
  });
  it('--explain gives the machine in full, and the long form makes the same machine', async () => {
    const first = (
      await runCli([
        '--explain=json',
        '-m',
        '64',
        '-kernel',
        'a b',
        '-append',
        'x, y',
        '-icount',
        '2',
        '-seed',
        '7',
        '-S',
      ])
    ).out;
    const { command } = JSON.parse(first);
    expect(command).toContain("-kernel 'a b'");
    expect((await runCli(['--explain', '-m', '64'])).out).toContain('16550A serial COM1 -> mon:stdio');
  });
});

describe('exit codes', () => {
  it.each([
    [{ kind: 'shutdown' } as const, 0],
    [{ kind: 'reset' } as const, 0],
    [{ kind: 'quit' } as const, 0],
    [{ kind: 'debug-exit', code: 33 } as const, 33],
    [{ kind: 'guest-error', message: 'cannot go on' } as const, 1],
  ])('%j -> %d', async (reason, code) => {
    expect((await runCli(['--demo', '-serial', 'null'], reason)).code).toBe(code);
  });
});
