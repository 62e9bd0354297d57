/** Parsing of guest output, ratio arithmetic, reports and recovery from a failing emulator; no real emulator runs here. */
import { describe, expect, it } from 'vitest';
import { bootReport } from './boot-report.ts';
import { BootLog } from './boot-log.ts';
import { runCpu } from './cpu-bench.ts';
import type { CpuRun } from './cpu-bench.ts';
import { cpuReport } from './cpu-report.ts';
import { choosePeers } from './emulators.ts';
import type { Emulator, EmulatorName } from './emulators.ts';
import { guestBits } from './guest-bits.ts';
import { GuestLog } from './guest-log.ts';
import type { Sample } from './guest-log.ts';
import { replaceSection, resultMarkdown } from './markdown.ts';
import { describeEnding, observe, parseCpuMs } from './observe.ts';
import { parseOptions, UsageError } from './options.ts';
import { hottest } from './profile.ts';
import { geomean, groupRatio, median, ratios, slowerThan } from './ratios.ts';
import { markdownTable, textTable } from './table.ts';
import { ALL_WORKLOADS, GROUPS } from './workloads.ts';

const sample = (wallMs: number, checksum = '00000001', cpuMs = wallMs): Sample => ({ wallMs, cpuMs, checksum });
const round = (times: Record<string, number | Sample>): Map<string, Sample> =>
  new Map(Object.entries(times).map(([name, t]) => [name, typeof t === 'number' ? sample(t) : t]));
const run = (rounds: Partial<Record<EmulatorName, Map<string, Sample>[]>>, ran: string[]): CpuRun => ({
  rounds: new Map(Object.entries(rounds) as [EmulatorName, Map<string, Sample>[]][]),
  ran,
  failures: new Map(),
});

describe('guest log', () => {
  it('times workloads from START to END, however the output is cut', () => {
    const text =
      'BENCH32 scale=50\r\nSTART fib\r\nEND fib 0BADCAFE\r\nSTART pit\nEND pit 00000014\nINFO pit ticks 20\nDONE\n';
    const log = new GuestLog();
    [...text].forEach((character, n) => log.feed(character, n, n / 2));
    expect([...log.samples.keys()]).toEqual(['fib', 'pit']);
    const between = text.indexOf('\n', text.indexOf('END fib')) - text.indexOf('\n', text.indexOf('START fib'));
    expect(log.samples.get('fib')).toEqual({ wallMs: between, cpuMs: between / 2, checksum: '0badcafe' });
    expect(log.samples.get('pit')).toMatchObject({ checksum: '00000014', ticks: 20 });
    expect(log).toMatchObject({ done: true, running: undefined, remarks: ['BENCH32 scale=50'] });
  });

  it('knows what was running when a guest died', () => {
    const log = new GuestLog();
    log.feed('\x1b[2JSTART smc\nFATAL vector 6\n', 1, 1);
    expect(log).toMatchObject({ done: false, running: 'smc', remarks: ['FATAL vector 6'] });
    expect(log.samples.size).toBe(0);
  });

  it('takes no END without its START, and no malformed checksum', () => {
    const log = new GuestLog();
    log.feed('END fib 00000001\nSTART vm\nEND vm nonsense\n', 1, 1);
    expect(log.samples.size).toBe(0);
  });
});

describe('guest bits', () => {
  const elf = (machine: number): Uint8Array =>
    Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, ...Array(14).fill(0), machine, 0, 0, 0]);
  const bzImage = (version: number, flags: number): Uint8Array => {
    const image = new Uint8Array(0x400);
    image.set([0x48, 0x64, 0x72, 0x53, version & 0xff, version >> 8], 0x202);
    image[0x236] = flags;
    return image;
  };

  it.each([
    ['an ELF of x86-64', elf(62), 'guest', 64],
    ['a 32-bit ELF', elf(3), 'bench32.elf', 32],
    ['a 32-bit ELF that is called 64', elf(3), 'x/bench64.elf', 64],
    ['a 32-bit ELF in a folder that is called 64', elf(3), 'x64/bench.elf', 32],
    ['a kernel with a 64-bit entry', bzImage(0x20f, 0x3f), 'vmlinuz', 64],
    ['a kernel without', bzImage(0x20f, 0), 'vmlinuz', 32],
    ['a kernel older than the field', bzImage(0x20b, 1), 'vmlinuz', 32],
    ['something short', Uint8Array.of(1, 2), 'x64', 32],
  ] as const)('%s', (_what, image, name, bits) => {
    expect(guestBits(image, name)).toBe(bits);
  });

  it('a 64-bit guest gets no v86', () => {
    expect(() => choosePeers(['v86'], 64, () => undefined)).toThrow(/64-bit/);
  });
});

describe('boot log', () => {
  it('wants the greeting before the prompt', () => {
    const log = new BootLog();
    log.feed('SeaBIOS\n', 1, 1);
    log.feed('Linux version 6.1\nfoo/ # not yet\n', 10, 8);
    expect(log.sample).toBeUndefined();
    log.feed("  Debian's Linux 6.1, BusyBox shell, 242 MiB\n", 20, 15);
    log.feed('\n/', 30, 25);
    log.feed(' # ', 31, 26);
    expect(log.sample).toEqual({ firstLineMs: 10, promptMs: 31, cpuMs: 26 });
  });

  it('reports a panic', () => {
    const log = new BootLog();
    log.feed('Linux version\n[1.0] Kernel panic - not syncing: No init found.\r\n', 5, 5);
    expect(log.failure).toBe('Kernel panic - not syncing: No init found.');
  });
});

describe('ratios', () => {
  it('has medians and geometric means', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(geomean([1, 4, 16])).toBeCloseTo(4);
    expect(median([])).toBeNaN();
    expect(geomean([])).toBeNaN();
  });

  it('divides within a round: the peer over emkit', () => {
    const emkit = [round({ vm: 10 }), round({ vm: 20 }), round({ vm: 10 })];
    const peer = [round({ vm: 30 }), round({ vm: 20 }), round({ vm: 20 })];
    expect(ratios(emkit, peer, 'vm')).toEqual([3, 1, 2]);
  });

  it('compares no workload that failed once or whose checksums differ', () => {
    const emkit = [round({ vm: 10, fib: 10 }), round({ vm: 10 })];
    const peer = [round({ vm: sample(5, '00000002'), fib: 5 }), round({ vm: 5, fib: 5 })];
    expect(ratios(emkit, peer, 'fib')).toEqual([]);
    expect(ratios(emkit, peer, 'vm')).toEqual([]);
  });

  it('takes the median over rounds of the group means, and names what is missing', () => {
    const emkit = [1, 1, 1].map(() => round({ fib: 1, vm: 1, sieve: sample(1, 'aaaaaaaa') }));
    const peer = [1, 2, 4].map((t) => round({ fib: t, vm: 4 * t, sieve: 1 }));
    const result = groupRatio(emkit, peer, 'integer', ['sieve', 'fib', 'vm']);
    expect(result.ratio).toBeCloseTo(4);
    expect(result).toMatchObject({ used: ['fib', 'vm'], missing: ['sieve'] });
    expect(groupRatio(emkit, peer, 'system', ['fib']).ratio).toBeNaN();
  });

  it('lists workloads below a share of the peer, without the sleeping one', () => {
    const emkit = [round({ vm: 10, smc: 31, pit: 100 })];
    const peer = [round({ vm: 4, smc: 10, pit: 1 })];
    expect(slowerThan(emkit, peer, ['vm', 'smc', 'pit'], 1 / 3)).toEqual(['smc']);
  });

  it('has the groups that numbers are compared by', () => {
    expect(GROUPS.integer).toHaveLength(10);
    expect(GROUPS.compute).toHaveLength(14);
    expect(new Set(ALL_WORKLOADS).size).toBe(24);
    expect(ALL_WORKLOADS).toHaveLength(24);
  });
});

describe('reports', () => {
  it('prints rows, then the summary lines in their fixed form', () => {
    const report = cpuReport(
      run(
        {
          emkit: [round({ fib: 50, syscall: 300, pit: sample(500, '000001f4', 20) })],
          qemu: [round({ fib: 100, syscall: 100, pit: sample(500, '000001f4', 10) })],
          v86: [round({ fib: 200, syscall: 90, pit: sample(510, '000001f4', 500) })],
        },
        ['fib', 'syscall', 'pit'],
      ),
    );
    expect(report.errors).toEqual([]);
    expect(report.table.rows[0]).toEqual(['fib', '50.0 (50.0)', '100 (100)', '200 (200)', '2.00', '4.00', '00000001']);
    expect(report.summary).toEqual([
      'pit, CPU time of wall time: emkit 20.0 of 500 ms (- ticks), qemu 10.0 of 500 ms (- ticks), v86 500 of 510 ms (- ticks)',
      'slower than a third of v86: syscall',
      'geomean compute emkit/qemu 2.00',
      'geomean compute emkit/v86 4.00',
      'geomean integer emkit/qemu 2.00',
      'geomean integer emkit/v86 4.00',
      'geomean system emkit/qemu 0.33',
      'geomean system emkit/v86 0.30',
    ]);
  });

  it('makes a differing checksum an error and takes it out of the mean', () => {
    const report = cpuReport(
      run({ emkit: [round({ fib: 1, vm: sample(1, 'bad0bad0') })], qemu: [round({ fib: 2, vm: 100 })] }, ['fib', 'vm']),
    );
    expect(report.errors).toEqual(['checksums differ in vm: emkit bad0bad0, qemu 00000001']);
    const less = cpuReport(run({ emkit: [round({ fib: 1 })], qemu: [round({ fib: 2, vm: 100 })] }, ['fib', 'vm']));
    expect(less.errors).toEqual(['emkit did not run vm']);
    expect(report.table.rows[1].at(-1)).toBe('DIFFERS');
    expect(report.summary).toContain('compute emkit/qemu is without: vm');
    expect(report.geomeans['compute emkit/qemu']).toBeCloseTo(2);
  });

  it('reports boots as speed ratios', () => {
    const boot = (promptMs: number) => ({ firstLineMs: 1, promptMs, cpuMs: 1 });
    const rounds = new Map<EmulatorName, ReturnType<typeof boot>[]>([
      ['emkit', [boot(100), boot(200)]],
      ['qemu', [boot(50), boot(100)]],
      ['v86', [boot(150)]],
    ]);
    const report = bootReport({ rounds, failures: new Map([['v86', 'silent for 9 s']]) });
    expect(report.summary).toEqual(['boot emkit/qemu 0.50', 'boot emkit/v86 n/a']);
    expect(report.errors).toEqual(['v86 failed: silent for 9 s']);
    rounds.delete('v86');
    rounds.set('emkit-warm', [boot(25), boot(50)]);
    expect(bootReport({ rounds, failures: new Map() }).ratios).toMatchObject({
      'emkit/qemu': 0.5,
      'emkit-warm/emkit': 4,
      'emkit-warm/qemu': 2,
    });
  });

  it('writes tables as text and as Markdown, and replaces its own section only', () => {
    const table = {
      head: ['name', 'ms'],
      rows: [
        ['a', '10'],
        ['long one', '5'],
      ],
    };
    expect(textTable(table)).toBe('name      ms\na         10\nlong one   5');
    expect(markdownTable(table)).toBe('| name     |  ms |\n| -------- | --: |\n| a        |  10 |\n| long one |   5 |');
    const facts = { date: '2026-01-01', machine: 'M', node: 'N', load: 0, versions: ['emkit 1'] };
    const body = resultMarkdown('What', facts, { table, summary: ['boot emkit/v86 1.00'], errors: ['e'] });
    expect(body).toContain('boot emkit/v86 1.00\nERROR e\n```');
    const first = replaceSection('# Title\n', 'cpu', 'one');
    const both = replaceSection(first, 'boot', 'two');
    const again = replaceSection(both, 'cpu', 'three');
    expect(again).toContain('# Title');
    expect(again).not.toContain('one');
    expect(again.indexOf('three')).toBeLessThan(again.indexOf('two'));
  });

  it('sums self times of a CPU profile', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 6 });
    const profile = {
      nodes: [
        { id: 1, callFrame: frame('translate', 'file:///x/tb.ts') },
        { id: 2, callFrame: frame('wasm-function[3]', 'wasm://wasm/1') },
        { id: 3, callFrame: frame('wasm-function[4]', 'wasm://wasm/2') },
      ],
      samples: [1, 2, 3, 2],
      timeDeltas: [1000, 1000, 1000, 1000],
    };
    expect(hottest(profile, 2)).toEqual([
      { name: 'all WebAssembly', selfMs: 3, share: 0.75 },
      { name: 'wasm-function[3] of wasm 1', selfMs: 2, share: 0.5 },
      { name: 'translate tb.ts:7', selfMs: 1, share: 0.25 },
    ]);
  });
});

describe('options', () => {
  it('reads both forms and has the documented defaults', () => {
    expect(parseOptions(['cpu', '--peers', 'v86,qemu', '--scale=10', '--only', 'fib,vm'])).toMatchObject({
      command: 'cpu',
      peers: ['qemu', 'v86'],
      scale: 10,
      only: ['fib', 'vm'],
      rounds: 3,
      tier: 'auto',
    });
    expect(parseOptions(['boot', '--peers=none'])).toMatchObject({
      command: 'boot',
      peers: [],
      append: 'console=ttyS0',
      warm: false,
    });
    expect(parseOptions(['boot', '--warm', '--rounds', '1'])).toMatchObject({ warm: true, rounds: 1 });
    expect(parseOptions(['cpu']).command).toBe('cpu');
  });

  it.each([
    [[], 'say what to run'],
    [['gpu'], "unknown benchmark 'gpu'"],
    [['cpu', '--rounds', '0'], 'whole number from 1'],
    [['cpu', '--scale', 'x'], 'whole number'],
    [['cpu', '--json'], 'needs a value'],
    [['cpu', '--peers', 'bochs'], "unknown peer 'bochs'"],
    [['cpu', '--only', 'fob'], "unknown workload 'fob'"],
    [['cpu', '--tier', 'warm'], '--tier is auto'],
    [['boot', '--scale', '1'], "unknown option '--scale'"],
    [['boot', '--kernel', 'k'], 'go together'],
    [['profile'], 'needs a file'],
  ])('refuses %j', (words, message) => {
    expect(() => parseOptions(words)).toThrow(UsageError);
    expect(() => parseOptions(words)).toThrow(message);
  });
});

/** An emulator that is a Node script: `guest(words, say)` gets the command line's words. */
const fake = (script: string): Emulator => ({
  name: 'emkit',
  version: '0',
  command: (guest) => ({
    program: process.execPath,
    args: [
      '-e',
      `const say = (t) => require('fs').writeSync(1, t + '\\n'); const line = process.argv[1]; ${script}`,
      guest.commandLine,
    ],
  }),
});

describe('runs', () => {
  it('starts a guest again after a crash, without what is finished and what failed', async () => {
    const guest = fake(`
      const skip = (/skip=(\\S+)/.exec(line)?.[1] ?? '').split(',');
      say('BENCH32 ' + line);
      for (const name of ['fib', 'vm', 'smc', 'pit']) {
        if (skip.includes(name)) continue;
        say('START ' + name);
        if (name === 'vm') { console.error('RangeError: boom\\n    at x'); process.exit(3); }
        say('END ' + name + ' 00000001');
      }
      say('DONE');
      setInterval(() => {}, 1000);`);
    const notes: string[] = [];
    const plan = { emulators: [guest], elf: '/x', scale: 5, rounds: 2, only: undefined, silenceMs: 20_000 };
    const result = await runCpu({ ...plan, note: (text) => notes.push(text) });
    expect(result.ran).toEqual(['fib', 'smc', 'pit', 'vm']);
    expect(result.rounds.get('emkit')?.map((r) => [...r.keys()])).toEqual([
      ['fib', 'smc', 'pit'],
      ['fib', 'smc', 'pit'],
    ]);
    expect([...(result.failures.get('emkit') ?? [])]).toEqual([['vm', 'exit code 3: RangeError: boom']]);
    expect(notes.filter((text) => text.includes('failed'))).toHaveLength(1);
    expect(cpuReport(result).errors).toEqual(['emkit failed in vm: exit code 3: RangeError: boom']);
  });

  it('gives up a silent guest', async () => {
    const { program, args } = fake("say('START fib'); setInterval(() => {}, 1000)").command({
      kind: 'multiboot',
      elf: '',
      commandLine: '',
    });
    const ending = await observe({ program, args }, 1500, () => false);
    expect(describeEnding(ending, 1500)).toBe('silent for 1.5 s');
  });

  it('reads CPU time from a stat line, whatever the process is called', () => {
    expect(parseCpuMs('42 (a b) c) S 1 1 1 0 -1 4194304 100 0 0 0 12 34 0 0 20 0')).toBe(460);
  });
});
