/** Tables as aligned text and as Markdown. The first column is text, the others are numbers. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const widths = ({ head, rows }: Table, least: number): number[] =>
  head.map((title, n) => Math.max(least, title.length, ...rows.map((row) => row[n].length)));

const pad = (cells: readonly string[], width: readonly number[]): string[] =>
  cells.map((cell, n) => (n === 0 ? cell.padEnd(width[n]) : cell.padStart(width[n])));

export function textTable(table: Table): string {
  const width = widths(table, 0);
  return [table.head, ...table.rows].map((row) => pad(row, width).join('  ').trimEnd()).join('\n');
}

export function markdownTable(table: Table): string {
  const width = widths(table, 3);
  const rule = width.map((n, column) => (column === 0 ? '-'.repeat(n) : `${'-'.repeat(n - 1)}:`));
  return [pad(table.head, width), rule, ...table.rows.map((row) => pad(row, width))]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** A time in ms, to the tenth where that is a notable part. */
export const ms = (value: number): string =>
  Number.isNaN(value) ? '-' : value < 100 ? value.toFixed(1) : value.toFixed(0);
export const ratio = (value: number): string => (Number.isNaN(value) ? 'n/a' : value.toFixed(2));
