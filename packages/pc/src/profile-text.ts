/**
 * A profile for people and for their tools: the table that `-d profile` prints, and stacks of guest code for flame graphs, in the
 * "collapsed" form (one line a stack: names joined by `;`, a count) and as speedscope's file format
 * (https://www.speedscope.app/file-format-schema.json, type "sampled").
 */
import type { ProfileReport } from './profile-report.ts';

const ROWS = 30;
const percent = (part: number, whole: number): string => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`);
const count = (n: number): string =>
  n >= 1e9
    ? `${(n / 1e9).toFixed(2)}G`
    : n >= 1e7
      ? `${(n / 1e6).toFixed(1)}M`
      : n >= 1e5
        ? `${(n / 1e3).toFixed(0)}k`
        : String(n);

/** Columns aligned; the first is text. */
function table(head: readonly string[], rows: readonly (readonly string[])[], textColumns: number): string {
  const all = [head, ...rows];
  const width = head.map((_, n) => Math.max(...all.map((row) => row[n].length)));
  return all
    .map((row) =>
      row
        .map((cell, n) => (n < textColumns ? cell.padEnd(width[n]) : cell.padStart(width[n])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function formatProfile(report: ProfileReport): string {
  const { totalMs } = report;
  const parts = Object.entries(report.ms).sort((a, b) => b[1] - a[1]);
  const { compiler, translations, slow, tlb } = report;
  const exitNames = [...new Set(report.regions.flatMap((r) => Object.keys(r.exits)))].sort();
  const name = (p: { address: string; symbol?: string }): string => p.symbol ?? p.address;
  const where = (r: ProfileReport['regions'][number]): string => {
    const worst = r.coldAt.at(0);
    return worst === undefined ? '' : `${worst.why} at ${name(worst)}`;
  };
  const calls = [
    ['slow load', slow.load],
    ['slow store', slow.store],
    ['fault', slow.fault],
    ...report.helpers.slice(0, 12).map((h) => [`helper ${h.name}`, h] as const),
  ] as const;
  return [
    `profile: ${(totalMs / 1000).toFixed(2)} s in the processor, ${count(report.instructions)} instructions (${(report.instructions / Math.max(totalMs, 1) / 1000).toFixed(1)} M/s), ${count(report.interrupts)} interrupts`,
    table(
      ['time of', 'ms', 'share'],
      parts.map(([what, ms]) => [what, ms.toFixed(0), percent(ms, totalMs)]),
      1,
    ),
    `cold tier: ${count(report.coldInstructions)} instructions (${percent(report.coldInstructions, report.instructions)}) in ${count(translations.translated)} blocks translated, ${count(translations.invalidated)} invalidated, ${translations.flushes} flushes of all`,
    `hot tier: ${compiler.regions} regions in ${compiler.modules} modules, ${count(compiler.bytes)} bytes, ${compiler.ms.toFixed(0)} ms; ${compiler.live} alive, ${compiler.dropped} dropped`,
    `TLB: ${count(tlb.fills)} fills, ${count(tlb.flushes)} flushes; returns to script: ${Object.entries(report.leaves)
      .sort((a, b) => b[1] - a[1])
      .map(([why, n]) => `${why} ${count(n)}`)
      .join(', ')}`,
    '',
    table(
      ['calls out', 'count', 'ms', 'ns each'],
      calls
        .filter(([, c]) => c.count > 0)
        .map(([what, c]) => [what, count(c.count), c.ms.toFixed(0), ((c.ms * 1e6) / c.count).toFixed(0)]),
      1,
    ),
    '',
    table(
      ['region', 'address', 'ms', 'entries', ...exitNames, 'blocks', 'insns', 'made', 'most cold exits'],
      report.regions
        .slice(0, ROWS)
        .map((r) => [
          r.symbol ?? r.mode,
          r.address,
          r.ms.toFixed(0),
          count(r.entries),
          ...exitNames.map((e) => count(r.exits[e] ?? 0)),
          String(r.blocks),
          String(r.insns),
          String(r.compilations),
          where(r),
        ]),
      2,
    ),
    '',
    table(
      ['cold block', 'address', 'executions', 'insns', 'instructions', ''],
      report.coldBlocks
        .slice(0, ROWS)
        .map((b) => [
          b.symbol ?? b.mode,
          b.address,
          count(b.executions),
          String(b.insns),
          count(b.executions * b.insns),
          b.coldOnly ? 'needs script' : '',
        ]),
      2,
    ),
    '',
  ].join('\n');
}

/** For flamegraph.pl, inferno and speedscope; counts are microseconds. */
export function collapsedStacks(report: ProfileReport): string {
  return report.stacks
    .filter(({ ms }) => Math.round(ms * 1000) > 0)
    .map(({ frames, ms }) => `${frames.map((f) => f.replaceAll(/[;\s]/g, ' ')).join(';')} ${Math.round(ms * 1000)}\n`)
    .join('');
}

/** The value of a speedscope file; to be written as JSON. */
export function speedscope(report: ProfileReport, name: string): object {
  const index = new Map<string, number>();
  const frame = (text: string): number => {
    const known = index.get(text);
    if (known !== undefined) return known;
    index.set(text, index.size);
    return index.size - 1;
  };
  const samples = report.stacks.map(({ frames }) => frames.map(frame));
  const weights = report.stacks.map(({ ms }) => ms);
  return {
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    exporter: 'emkit',
    name,
    activeProfileIndex: 0,
    shared: { frames: [...index.keys()].map((text) => ({ name: text })) },
    profiles: [
      {
        type: 'sampled',
        name,
        unit: 'milliseconds',
        startValue: 0,
        endValue: weights.reduce((a, b) => a + b, 0),
        samples,
        weights,
      },
    ],
  };
}
