/** The result of `bench idle`: the share of one core that a sleeping guest costs. */
import type { IdleRun } from './idle-bench.ts';
import type { Result } from './markdown.ts';

const share = ({ wallMs, cpuMs }: { wallMs: number; cpuMs: number }): number => (100 * cpuMs) / wallMs;

export function idleReport(run: IdleRun): Result {
  const names = [...new Set(run.cases.flatMap(({ samples }) => [...samples.keys()]))];
  return {
    table: {
      head: ['guest', ...names.map((name) => `${name} %`)],
      rows: run.cases.map(({ name, samples }) => [
        name,
        ...names.map((emulator) => {
          const sample = samples.get(emulator);
          return sample === undefined ? '-' : share(sample).toFixed(1);
        }),
      ]),
    },
    summary: run.cases.map(
      ({ name, samples }) =>
        `idle ${name}: ${[...samples].map(([e, s]) => `${e} ${s.cpuMs.toFixed(0)} of ${s.wallMs.toFixed(0)} ms`).join(', ')}`,
    ),
    errors: run.failures,
    plots: [
      {
        kind: 'bars',
        title: 'Processor time of an idle guest',
        x: 'guest',
        y: '% of one core',
        points: run.cases.flatMap(({ name, samples }) =>
          [...samples].map(([series, s]) => ({ x: name, y: share(s), series })),
        ),
      },
    ],
  };
}
