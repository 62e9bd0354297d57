/** Reports of programs, growth and idle guests from samples, their options, and tables and plots from stored results. */
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Emulator, EmulatorName } from './emulators.ts';
import { growthReport } from './growth-report.ts';
import type { Sample } from './guest-log.ts';
import { runIdle } from './idle-bench.ts';
import { idleReport } from './idle-report.ts';
import { report } from './kept.ts';
import { asRounds, runMarked } from './marked-bench.ts';
import type { MarkedRun } from './marked-bench.ts';
import { parseOptions, UsageError } from './options.ts';
import { programWords } from './programs-bench.ts';
import { programsReport } from './programs-report.ts';

const samples = (times: Record<string, number>, checksum = '00000001'): Map<string, Sample> =>
  new Map(Object.entries(times).map(([name, wallMs]) => [name, { wallMs, cpuMs: wallMs, checksum }]));
const run = (
  of: Partial<Record<EmulatorName, Map<string, Sample>>>,
  failures: [EmulatorName, string][] = [],
): MarkedRun => ({
  samples: new Map(Object.entries(of) as [EmulatorName, Map<string, Sample>][]),
  failures: new Map(failures),
});
/** An emulator that is a Node program printing what the guest would say. */
const script = (name: EmulatorName, code: string): Emulator => ({
  name,
  version: '1',
  command: () => ({ program: process.execPath, args: ['-e', code] }),
});
const guest = { kind: 'linux', kernel: 'k', initrd: 'i', commandLine: '' } as const;

describe('marked runs', () => {
  it('takes NAME.N as round N of NAME', () => {
    const rounds = asRounds(samples({ 'gzip.1': 5, 'xz.1': 7, 'gzip.2': 6, boot: 3 }));
    expect(rounds.map((round) => [...round].map(([name, s]) => `${name} ${s.wallMs}`))).toEqual([
      ['gzip 5', 'xz 7'],
      ['gzip 6'],
    ]);
  });

  it('hears each emulator out, and says where one ended', async () => {
    const good = script('emkit', 'console.log("START a.1\\nEND a.1 00000007\\nDONE")');
    const bad = script('qemu', 'console.log("START a.1"); process.exit(3)');
    const heard = await runMarked({ emulators: [good, bad], guest, silenceMs: 10_000, note: () => undefined });
    expect(heard.samples.get('emkit')?.get('a.1')?.checksum).toBe('00000007');
    expect([...heard.failures.keys()]).toEqual(['qemu']);
    expect(heard.failures.get('qemu')).toMatch(/in a\.1: exit code 3/);
  });
});

describe('programs', () => {
  const native = samples({ 'gzip.1': 1, 'xz.1': 2 });

  it('compares rounds of one run, and takes the geometric mean', () => {
    const emkit = samples({ 'gzip.1': 10, 'xz.1': 20, 'gzip.2': 20, 'xz.2': 20 });
    const qemu = samples({ 'gzip.1': 20, 'xz.1': 10, 'gzip.2': 40, 'xz.2': 10 });
    const result = programsReport(run({ emkit, qemu }), native);
    expect(result.errors).toEqual([]);
    expect(result.table.rows).toEqual([
      ['gzip', '15.0 (10.0)', '30.0 (20.0)', '1.0', '2.00', '00000001'],
      ['xz', '20.0 (20.0)', '10.0 (10.0)', '2.0', '0.50', '00000001'],
    ]);
    expect(result.summary).toEqual(['geomean programs emkit/qemu 1.00']);
    expect(result.plots?.[0].points.map((p) => [p.x, p.y])).toEqual([
      ['gzip', 2],
      ['xz', 0.5],
    ]);
  });

  it('an output that differs is an error, also from the native one, and is in no mean', () => {
    const emkit = new Map([...samples({ 'gzip.1': 10 }, '00000002'), ...samples({ 'xz.1': 10 })]);
    const result = programsReport(run({ emkit, qemu: samples({ 'gzip.1': 10, 'xz.1': 30 }) }), native);
    expect(result.errors).toEqual(['outputs differ in gzip: emkit 00000002, qemu 00000001, native 00000001']);
    expect(result.summary).toEqual(['geomean programs emkit/qemu 3.00, without 1 that cannot be compared']);
  });

  it('a program that one side did not finish is FAILED', () => {
    const result = programsReport(
      run({ emkit: samples({}), qemu: samples({ 'gzip.1': 10, 'xz.1': 3 }) }, [['emkit', 'in gzip.1: silent']]),
      native,
    );
    expect(result.table.rows[0].slice(0, 3)).toEqual(['gzip', 'FAILED', '10.0 (10.0)']);
    expect(result.errors).toEqual(['emkit failed in gzip.1: silent']);
  });

  it('tells the guest what to do', () => {
    expect(programWords({ rounds: 2, scale: 50, only: undefined })).toBe('rounds=2 scale=50');
    expect(programWords({ rounds: 1, scale: 9, only: ['gzip', 'xz'] })).toBe('rounds=1 scale=9 only=gzip,xz');
  });
});

describe('growth', () => {
  it('has a row for each point and a plot for each curve, and compares checksums', () => {
    const ram = new Map<EmulatorName, Map<number, number>>([
      ['emkit', new Map([[64, 200]])],
      ['qemu', new Map([[64, 100]])],
    ]);
    const runs = run({ emkit: samples({ 'procs.2': 50 }, '0000000a'), qemu: samples({ 'procs.2': 100 }) });
    const result = growthReport(['ram', 'procs'], ram, runs, []);
    expect(result.table.rows.find(([point]) => point === 'ram 64')).toEqual(['ram 64', '200', '100', '0.50']);
    expect(result.table.rows.find(([point]) => point === 'procs 2')).toEqual(['procs 2', '50.0', '100', '2.00']);
    expect(result.table.rows.find(([point]) => point === 'procs 8')).toEqual(['procs 8', '-', '-', 'n/a']);
    expect(result.errors).toEqual(['checksums differ in procs.2: 0000000a 00000001']);
    expect(result.plots?.map((plot) => plot.points.length)).toEqual([2, 2]);
  });
});

describe('idle', () => {
  it('measures from the prompt on, and reports the share of a core', async () => {
    const boot = 'console.log("Linux version 1\\nBusyBox shell,\\n/ # ");';
    const sleeper = script('emkit', `${boot} setTimeout(() => {}, 60_000)`);
    const spinner = script('qemu', `${boot} for (const end = Date.now() + 60_000; Date.now() < end;);`);
    const one = {
      name: 'x',
      kind: 'prompt',
      emulators: [sleeper, spinner],
      command: (e: Emulator) => e.command(guest),
    } as const;
    const measured = await runIdle([one], { seconds: 1, silenceMs: 30_000, note: () => undefined });
    const { table, errors } = idleReport(measured);
    expect(errors).toEqual([]);
    expect(table.head).toEqual(['guest', 'emkit %', 'qemu %']);
    const [, asleep, busy] = table.rows[0].map(Number);
    expect(busy).toBeGreaterThanOrEqual(asleep);
  }, 30_000);

  it('says which emulator did not come to the prompt', async () => {
    const dead = script('qemu', 'console.log("Kernel panic - not syncing")');
    const one = { name: 'x', kind: 'prompt', emulators: [dead], command: (e: Emulator) => e.command(guest) } as const;
    const { failures } = await runIdle([one], { seconds: 1, silenceMs: 30_000, note: () => undefined });
    expect(failures).toEqual(['qemu, x: Kernel panic - not syncing']);
  });
});

describe('options', () => {
  it('knows the benchmarks of Linux guests', () => {
    expect(parseOptions(['programs', '--only', 'xz,gzip', '--keep'])).toMatchObject({
      command: 'programs',
      only: ['xz', 'gzip'],
      scale: 100,
      cpu: 'max',
      keep: true,
    });
    expect(parseOptions(['growth'])).toMatchObject({ only: ['ram', 'ws', 'code', 'procs'], keep: false });
    expect(parseOptions(['idle', '--seconds', '9'])).toMatchObject({ command: 'idle', seconds: 9 });
    expect(parseOptions(['boot', '--arch', 'x86_64'])).toMatchObject({ arch: 'x86_64' });
    expect(parseOptions(['report'])).toEqual({ command: 'report' });
  });

  it.each([
    [['programs', '--only', 'vi'], /unknown 'vi'; there are: gzip/],
    [['growth', '--only', 'gzip'], /there are: ram, ws/],
    [['boot', '--arch', 'arm'], /i386 or x86_64/],
    [['cpu', '--keep=yes'], /takes no value/],
    [['report', '--json', 'x'], /unknown option/],
  ])('refuses %j', (words, why) => {
    expect(() => parseOptions(words)).toThrow(UsageError);
    expect(() => parseOptions(words)).toThrow(why);
  });
});

describe('stored results', () => {
  it('become tables and plots again, and the rest of the page stays', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'emkit-bench-'));
    try {
      mkdirSync(join(folder, 'results'));
      writeFileSync(join(folder, 'README.md'), '# Page\n');
      const plots = [
        {
          kind: 'lines',
          title: 'A curve',
          x: 'size',
          y: 'ms',
          points: [1, 2, 4].map((x) => ({ x, y: x * 3, series: 'emkit' })),
        },
        { kind: 'bars', title: 'Some bars', x: 'w', y: 'ratio', line: 1, points: [{ x: 'w', y: 0.5, series: 'qemu' }] },
      ];
      const host = { date: 'today', machine: 'm', node: 'n', load: 0, versions: ['emkit 1'] };
      const table = { head: ['a', 'b'], rows: [['c', '1']] };
      writeFileSync(
        join(folder, 'results/growth.json'),
        JSON.stringify({ benchmark: 'growth', what: 'Growth', host, table, summary: ['fine'], errors: [], plots }),
      );
      expect(await report(folder)).toEqual(['growth']);
      const page = readFileSync(join(folder, 'README.md'), 'utf8');
      expect(page).toMatch(/^# Page\n/);
      expect(page).toContain('| c   |   1 |');
      expect(page).toContain('![A curve](plots/growth-1.svg)');
      const svg = readFileSync(join(folder, 'plots/growth-1.svg'), 'utf8');
      expect(svg).toMatch(/^<svg/);
      expect(svg).toContain('A curve');
      expect(readFileSync(join(folder, 'plots/growth-2.svg'), 'utf8')).toContain('Some bars');
      await report(folder);
      expect(readFileSync(join(folder, 'README.md'), 'utf8')).toBe(page);
      expect(readFileSync(join(folder, 'plots/growth-1.svg'), 'utf8')).toBe(svg);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
