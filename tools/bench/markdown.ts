/** Puts a run's result into a Markdown file, between markers that name the benchmark; the rest of the file stays. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HostFacts } from './host.ts';
import { markdownTable } from './table.ts';
import type { Table } from './table.ts';

export interface Result {
  readonly table: Table;
  readonly summary: readonly string[];
  readonly errors: readonly string[];
  readonly plots?: readonly Plot[];
}

/** What plot.ts draws. Bars with a `line` are of ratios, from there up and down; lines have logarithmic axes. */
export interface Plot {
  readonly kind: 'bars' | 'lines';
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly line?: number;
  readonly points: readonly { readonly x: string | number; readonly y: number; readonly series: string }[];
}

export function resultMarkdown(
  what: string,
  facts: HostFacts,
  result: Result,
  images: readonly { readonly title: string; readonly file: string }[] = [],
): string {
  const lines = [
    `${what}. ${facts.date}, ${facts.machine}, ${facts.node}; ${facts.versions.join(', ')}; load average before the run ${facts.load.toFixed(1)}.`,
    '',
    markdownTable(result.table),
    '',
    ...images.flatMap(({ title, file }) => [`![${title}](${file})`, '']),
    '```text',
    ...result.summary,
    ...result.errors.map((error) => `ERROR ${error}`),
    '```',
  ];
  return lines.join('\n');
}

/** `document` with the section between the markers replaced, or added at its end. */
export function replaceSection(document: string, name: string, body: string): string {
  const begin = `<!-- bench ${name}: made by npm run bench; do not edit -->`;
  const end = `<!-- end of bench ${name} -->`;
  const section = `${begin}\n\n${body}\n\n${end}`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end, from);
  if (from >= 0 && to >= 0) return document.slice(0, from) + section + document.slice(to + end.length);
  return `${document === '' ? '' : `${document.trimEnd()}\n\n`}${section}\n`;
}

export function writeMarkdown(file: string, name: string, body: string): void {
  const document = existsSync(file) ? readFileSync(file, 'utf8') : '';
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, replaceSection(document, name, body));
}
