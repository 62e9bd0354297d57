/**
 * Suite `coverage`: which instruction forms of the decoder's tables exist for each CPUID feature, which the processor model
 * `max` has, and which occur in vectors from outside, without #UD: recorded ones (native-vectors) and this CPU's own (host-vectors).
 * The table goes into docs/conformance.md, between its markers.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALL_FEATURES, cpuModel, DECODE_OK, decode, decodeFeatures, FEATURE_NAMES, Insn, OPCODES } from '@emkit/x86';
import { IP, readVectors } from './nvec.ts';

const DOCUMENT = join(dirname(fileURLToPath(import.meta.url)), '../../docs/conformance.md');
const BEGIN = '<!-- coverage: made by npm run conformance -- coverage; do not edit -->';
const END = '<!-- end of coverage -->';
/** As `decode` takes the mode: 32-bit code with VEX, 64-bit code. */
const MODES = { 32: 1 | 2, 64: 4 } as const;
const UNDEFINED_OPCODE = 6;
const LISTED = 25;

/** Row ids that occur in a file of vectors, and run. */
export function formsIn(file: Uint8Array): Set<number> {
  const seen = new Set<number>();
  const insn = new Insn();
  const all = decodeFeatures(ALL_FEATURES);
  for (const v of readVectors(file)) {
    if (v.exception === UNDEFINED_OPCODE) continue;
    // up to where it ended: branches go forward or out
    const end = v.final.words[IP] - v.initial.words[IP];
    for (let at = 0; at < v.code.length; at += insn.length) {
      if (decode(insn, v.code, at, v.code.length, MODES[v.mode], all) !== DECODE_OK) break;
      seen.add(insn.row.id);
      if (at + insn.length === end) break;
    }
  }
  return seen;
}

export interface Occurrences {
  readonly recorded32: ReadonlySet<number>;
  readonly recorded64: ReadonlySet<number>;
  readonly host: ReadonlySet<number>;
}

/** Markdown: a row per feature, in CPUID's order, general instructions first. */
export function coverageTable(found: Occurrences): string {
  const present = decodeFeatures(cpuModel('max').features);
  const lines = [
    '| feature | forms | in `-cpu max` | recorded, 32-bit code | recorded, 64-bit code | by the host | in no vector |',
    '|---|--:|---|--:|--:|--:|---|',
  ];
  let untested = 0;
  for (let feature = 0; feature <= FEATURE_NAMES.length; feature++) {
    const rows = OPCODES.rows.filter((row) => row.feature === feature);
    if (rows.length === 0) continue;
    const count = (set: ReadonlySet<number>): number => rows.filter((row) => set.has(row.id)).length;
    const missing = rows.filter((r) => ![found.recorded32, found.recorded64, found.host].some((s) => s.has(r.id)));
    untested += missing.length;
    // by name where no form of the mnemonic occurs
    const tested = new Set(rows.filter((row) => !missing.includes(row)).map((row) => row.mnemonic));
    const names = [...new Set(missing.map((row) => row.mnemonic))].filter((name) => !tested.has(name));
    const others = missing.filter((row) => !names.slice(0, LISTED).includes(row.mnemonic)).length;
    const listed = [...names.slice(0, LISTED), ...(others > 0 ? [`(${others} other forms)`] : [])];
    const name = feature === 0 ? '(none)' : FEATURE_NAMES[feature - 1][2];
    lines.push(
      `| ${[name, rows.length, present[feature] === 1 ? 'yes' : 'no', count(found.recorded32), count(found.recorded64), count(found.host), listed.join(' ')].join(' | ')} |`,
    );
  }
  lines.push('', `${OPCODES.rows.length} forms, ${untested} of them in no vector.`);
  return lines.join('\n');
}

/** The document with the table between the markers; they must be there. */
export function withTable(document: string, table: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/conformance.md has lost the markers of the coverage table');
  return `${document.slice(0, from)}${BEGIN}\n\n${table}\n\n${document.slice(to)}`;
}

export function writeCoverage(found: Occurrences): void {
  writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), coverageTable(found)));
}
