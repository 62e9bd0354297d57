/** The result of `bench boot` from the samples. */
import type { BootRun } from './boot-bench.ts';
import type { BootSample } from './boot-log.ts';
import { median } from './ratios.ts';
import type { Plot } from './markdown.ts';
import { ms, ratio } from './table.ts';
import type { Table } from './table.ts';

export interface BootReport {
  readonly table: Table;
  /** `boot emkit/PEER X.XX`, a speed ratio: above 1, emkit is the faster. */
  readonly summary: readonly string[];
  readonly errors: readonly string[];
  readonly ratios: Readonly<Record<string, number>>;
  readonly plots: readonly Plot[];
}

export function bootReport(run: BootRun): BootReport {
  const rows = [...run.rounds].map(([name, samples]) => {
    const column = (key: keyof BootSample): number[] => samples.map((sample) => sample[key]);
    const prompts = column('promptMs');
    if (prompts.length === 0) return [name, '-', 'FAILED', '-', '-'];
    return [
      name,
      ms(median(column('firstLineMs'))),
      ms(median(prompts)),
      ms(Math.min(...prompts)),
      ms(median(column('cpuMs'))),
    ];
  });
  const found: Record<string, number> = {};
  for (const [ours, own] of run.rounds) {
    if (!ours.startsWith('emkit')) continue;
    for (const [name, samples] of run.rounds) {
      if (name === ours || name === 'emkit-warm') continue;
      const complete = !run.failures.has(ours) && !run.failures.has(name);
      found[`${ours}/${name}`] = complete
        ? median(own.map((sample, n) => samples[n].promptMs / sample.promptMs))
        : Number.NaN;
    }
  }
  return {
    table: { head: ['emulator', 'first line ms', 'prompt ms', 'min', 'CPU ms'], rows },
    summary: Object.entries(found).map(([pair, value]) => `boot ${pair} ${ratio(value)}`),
    errors: [...run.failures].map(([name, why]) => `${name} failed: ${why}`),
    ratios: found,
    plots: [
      {
        kind: 'bars',
        title: 'Boot to the prompt',
        x: 'emulator',
        y: 'ms',
        points: [...run.rounds]
          .filter(([, samples]) => samples.length > 0)
          .map(([name, samples]) => ({ x: name, y: median(samples.map((s) => s.promptMs)), series: name })),
      },
    ],
  };
}
