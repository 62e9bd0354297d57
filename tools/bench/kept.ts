/**
 * Results that are kept: a JSON file for each benchmark in docs/performance/results, from which `bench report` makes the tables in
 * docs/performance/README.md and the plots beside it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ROOT } from './bundle.ts';
import type { HostFacts } from './host.ts';
import { resultMarkdown, writeMarkdown } from './markdown.ts';
import type { Result } from './markdown.ts';

export const KEPT = join(ROOT, 'docs/performance');

export interface KeptResult extends Result {
  readonly benchmark: string;
  readonly what: string;
  readonly host: HostFacts;
}

export function writeJson(file: string, result: object): void {
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
}

export const keptFile = (benchmark: string, folder = KEPT): string => join(folder, 'results', `${benchmark}.json`);

/** Draws and writes everything anew; gives the names of the benchmarks. */
export async function report(folder = KEPT): Promise<string[]> {
  const { plotSvg } = await import('./plot.ts');
  const results = join(folder, 'results');
  const names: string[] = [];
  mkdirSync(join(folder, 'plots'), { recursive: true });
  for (const file of readdirSync(results).sort()) {
    if (!file.endsWith('.json')) continue;
    const kept = JSON.parse(readFileSync(join(results, file), 'utf8')) as KeptResult;
    const images: { title: string; file: string }[] = [];
    for (const [n, plot] of (kept.plots ?? []).entries()) {
      const name = `plots/${kept.benchmark}-${n + 1}.svg`;
      writeFileSync(join(folder, name), `${await plotSvg(plot)}\n`);
      images.push({ title: plot.title, file: name });
    }
    writeMarkdown(join(folder, 'README.md'), kept.benchmark, resultMarkdown(kept.what, kept.host, kept, images));
    names.push(kept.benchmark);
  }
  return names;
}
