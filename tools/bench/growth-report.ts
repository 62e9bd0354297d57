/** The result of `bench growth`: a row per point of each curve, and a plot per curve. */
import type { EmulatorName } from './emulators.ts';
import type { Sample } from './guest-log.ts';
import { CURVES, GUEST_CURVES } from './growth-bench.ts';
import type { Curve } from './growth-bench.ts';
import type { MarkedRun } from './marked-bench.ts';
import type { Plot, Result } from './markdown.ts';
import { ms, ratio } from './table.ts';

const TITLES: Readonly<Record<Curve, { title: string; x: string; y: string }>> = {
  ram: { title: 'Boot to the prompt by emulated RAM', x: 'RAM, MiB', y: 'ms' },
  ws: { title: 'Dependent loads, each in another page', x: 'working set, KiB', y: 'ms' },
  code: { title: 'Equal number of calls over more functions', x: 'functions with a loop', y: 'ms' },
  procs: { title: 'Equal number of switches among more processes', x: 'processes', y: 'ms' },
};

export function growthReport(
  curves: readonly Curve[],
  ram: ReadonlyMap<EmulatorName, ReadonlyMap<number, number>>,
  run: MarkedRun,
  failures: readonly string[],
): Result & { readonly points: readonly { curve: Curve; size: number; emulator: string; ms: number }[] } {
  const names = [...new Set([...ram.keys(), ...run.samples.keys()])];
  const errors = [...failures, ...[...run.failures].map(([name, why]) => `${name} failed ${why}`)];
  const sample = (name: EmulatorName, curve: Curve, size: number): Sample | undefined =>
    run.samples.get(name)?.get(`${curve}.${size}`);
  const time = (name: EmulatorName, curve: Curve, size: number): number =>
    (curve === 'ram' ? ram.get(name)?.get(size) : sample(name, curve, size)?.wallMs) ?? Number.NaN;
  const points = curves.flatMap((curve) =>
    CURVES[curve].flatMap((size) =>
      names.map((name) => ({ curve, size, emulator: name, ms: time(name, curve, size) })),
    ),
  );
  for (const curve of GUEST_CURVES)
    for (const size of CURVES[curve]) {
      const sums = new Set(names.flatMap((name) => sample(name, curve, size)?.checksum ?? []));
      if (sums.size > 1) errors.push(`checksums differ in ${curve}.${size}: ${[...sums].join(' ')}`);
    }
  const peers = names.filter((name) => name !== 'emkit');
  const rows = curves.flatMap((curve) =>
    CURVES[curve].map((size) => [
      `${curve} ${size}`,
      ...names.map((name) => ms(time(name, curve, size))),
      ...peers.map((peer) => ratio(time(peer, curve, size) / time('emkit', curve, size))),
    ]),
  );
  const plots: Plot[] = curves.map((curve) => ({
    kind: 'lines',
    ...TITLES[curve],
    points: points
      .filter((p) => p.curve === curve && !Number.isNaN(p.ms))
      .map((p) => ({ x: p.size, y: p.ms, series: p.emulator })),
  }));
  return {
    table: { head: ['point', ...names.map((n) => `${n} ms`), ...peers.map((p) => `emkit/${p}`)], rows },
    summary: curves.map((curve) => `${curve}: ${TITLES[curve].title}; ${TITLES[curve].x}`),
    errors,
    points,
    plots,
  };
}
