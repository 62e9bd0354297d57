/** The result of `bench programs`: a row per program, and the geometric mean of the speed ratios. */
import type { EmulatorName } from './emulators.ts';
import type { Sample } from './guest-log.ts';
import { asRounds } from './marked-bench.ts';
import type { MarkedRun } from './marked-bench.ts';
import type { Result } from './markdown.ts';
import { checksums, geomean, median, ratios, wallTimes } from './ratios.ts';
import { ms, ratio } from './table.ts';

/** `native`: the same programs on this machine's own processor, for what they print. */
export function programsReport(
  run: MarkedRun,
  native: ReadonlyMap<string, Sample>,
): Result & { readonly ratios: Readonly<Record<string, number>> } {
  const names = [...run.samples.keys()];
  const rounds = new Map(names.map((name) => [name, asRounds(run.samples.get(name)!)]));
  const own = rounds.get('emkit') ?? [];
  const peers = names.filter((name) => name !== 'emkit');
  const nativeRounds = asRounds(native);
  const programs = [...new Set([...rounds.values(), nativeRounds].flat().flatMap((round) => [...round.keys()]))];
  const errors = [...run.failures].map(([name, why]) => `${name} failed ${why}`);
  const found: Record<string, number> = {};
  const of = (name: EmulatorName) => rounds.get(name) ?? [];
  const rows = programs.map((program) => {
    const sums = new Set([...rounds.values(), nativeRounds].flatMap((list) => [...checksums(list, program)]));
    if (sums.size > 1) {
      const who = [...rounds, ['native', nativeRounds] as const].map(
        ([name, list]) => `${name} ${[...checksums(list, program)].join('/') || '-'}`,
      );
      errors.push(`outputs differ in ${program}: ${who.join(', ')}`);
    }
    const times = names.map((name) => {
      const walls = wallTimes(of(name), program);
      return walls.length === 0 ? 'FAILED' : `${ms(median(walls))} (${ms(Math.min(...walls))})`;
    });
    const speeds = peers.map((peer) => {
      const speed = median(ratios(own, of(peer), program));
      found[`${program} emkit/${peer}`] = speed;
      return ratio(speed);
    });
    return [program, ...times, ms(median(wallTimes(nativeRounds, program))), ...speeds, [...sums].join(' ')];
  });
  const summary = peers.map((peer) => {
    const used = programs.map((program) => found[`${program} emkit/${peer}`]).filter((value) => !Number.isNaN(value));
    const missing = programs.length - used.length;
    const value = geomean(used);
    found[`geomean emkit/${peer}`] = value;
    return `geomean programs emkit/${peer} ${ratio(value)}${missing === 0 ? '' : `, without ${missing} that cannot be compared`}`;
  });
  return {
    table: {
      head: ['program', ...names.map((n) => `${n} ms (min)`), 'native ms', ...peers.map((p) => `emkit/${p}`), 'output'],
      rows,
    },
    summary,
    errors,
    ratios: found,
    plots: peers.map((peer) => ({
      kind: 'bars' as const,
      title: `Programs in a Debian guest: speed of emkit, ${peer} = 1`,
      x: 'program',
      y: `times ${peer}'s speed`,
      points: programs.map((program) => ({ x: program, y: found[`${program} emkit/${peer}`], series: peer })),
      line: 1,
    })),
  };
}
