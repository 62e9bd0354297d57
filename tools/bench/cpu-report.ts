/** The result of `bench cpu` from the samples: a row per workload, then the summary lines that others read. */
import type { CpuRun } from './cpu-bench.ts';
import type { EmulatorName } from './emulators.ts';
import { checksums, cpuTimes, groupRatio, median, ratios, slowerThan, wallTimes } from './ratios.ts';
import type { Plot } from './markdown.ts';
import { ms, ratio } from './table.ts';
import type { Table } from './table.ts';
import { GROUP_NAMES, IDLE_WORKLOAD } from './workloads.ts';

export interface CpuReport {
  readonly table: Table;
  /** `geomean GROUP emkit/PEER X.XX` and others. */
  readonly summary: readonly string[];
  /** What makes the run a failure: a wrong checksum, a workload that did not finish. */
  readonly errors: readonly string[];
  readonly geomeans: Readonly<Record<string, number>>;
  readonly plots: readonly Plot[];
}

/** No workload may be slower than this share of v86's speed. */
const FLOOR = 1 / 3;

export function cpuReport(run: CpuRun): CpuReport {
  const names = [...run.rounds.keys()];
  const peers = names.filter((name) => name !== 'emkit');
  const of = (name: EmulatorName) => run.rounds.get(name) ?? [];
  const errors: string[] = [];
  const rows = run.ran.map((workload) => {
    const times = names.map((name) => {
      const walls = wallTimes(of(name), workload);
      return walls.length === 0 ? 'FAILED' : `${ms(median(walls))} (${ms(Math.min(...walls))})`;
    });
    const speeds = peers.map((peer) => ratio(median(ratios(of('emkit'), of(peer), workload))));
    return [workload, ...times, ...speeds, checksumCell(run, workload, errors)];
  });
  for (const [name, failed] of run.failures)
    for (const [workload, why] of failed)
      errors.push(`${name} failed${workload === '' ? '' : ` in ${workload}`}: ${why}`);
  // a guest that ends in order without having run what another emulator ran
  for (const [name, rounds] of run.rounds) {
    if ((run.failures.get(name)?.size ?? 0) > 0) continue;
    const missing = run.ran.filter((workload) => rounds.some((round) => !round.has(workload)));
    if (missing.length > 0) errors.push(`${name} did not run ${missing.join(' ')}`);
  }

  const notes: string[] = [];
  const lines: string[] = [];
  const geomeans: Record<string, number> = {};
  for (const group of GROUP_NAMES) {
    for (const peer of peers) {
      const result = groupRatio(of('emkit'), of(peer), group, run.ran);
      if (result.missing.length > 0) notes.push(`${group} emkit/${peer} is without: ${result.missing.join(' ')}`);
      lines.push(`geomean ${group} emkit/${peer} ${ratio(result.ratio)}`);
      geomeans[`${group} emkit/${peer}`] = result.ratio;
    }
  }
  if (run.ran.includes(IDLE_WORKLOAD)) notes.push(idleLine(run));
  if (peers.includes('v86')) {
    const slow = slowerThan(of('emkit'), of('v86'), run.ran, FLOOR);
    notes.push(`slower than a third of v86: ${slow.length === 0 ? 'none' : slow.join(' ')}`);
  }
  return {
    table: {
      head: [
        'workload',
        ...names.map((name) => `${name} ms (min)`),
        ...peers.map((peer) => `emkit/${peer}`),
        'checksum',
      ],
      rows,
    },
    summary: [...notes, ...lines],
    errors,
    geomeans,
    plots: [
      {
        kind: 'bars',
        title: 'Speed of emkit by workload: the time of each over emkit\u2019s',
        x: 'workload',
        y: 'times their speed',
        line: 1,
        points: run.ran
          .filter((workload) => workload !== IDLE_WORKLOAD)
          .flatMap((workload) =>
            peers.map((peer) => ({ x: workload, y: median(ratios(of('emkit'), of(peer), workload)), series: peer })),
          )
          .filter(({ y }) => !Number.isNaN(y)),
      },
    ],
  };
}

/** The one checksum, or who computed what. */
function checksumCell(run: CpuRun, workload: string, errors: string[]): string {
  const found = [...run.rounds].flatMap(([name, rounds]) =>
    [...checksums(rounds, workload)].map((sum) => ({ name, sum })),
  );
  const distinct = new Set(found.map(({ sum }) => sum));
  if (distinct.size <= 1) return [...distinct][0] ?? '-';
  errors.push(`checksums differ in ${workload}: ${found.map(({ name, sum }) => `${name} ${sum}`).join(', ')}`);
  return 'DIFFERS';
}

/** An emulator that waits by spinning shows here: the guest sleeps all the time. */
function idleLine(run: CpuRun): string {
  const parts = [...run.rounds].map(([name, rounds]) => {
    const wall = median(wallTimes(rounds, IDLE_WORKLOAD));
    const ticks = rounds.flatMap((round) => round.get(IDLE_WORKLOAD)?.ticks ?? []);
    return `${name} ${ms(median(cpuTimes(rounds, IDLE_WORKLOAD)))} of ${ms(wall)} ms (${ticks.length === 0 ? '-' : median(ticks)} ticks)`;
  });
  return `${IDLE_WORKLOAD}, CPU time of wall time: ${parts.join(', ')}`;
}
