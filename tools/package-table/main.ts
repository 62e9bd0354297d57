/** Writes the package table of README.md from the manifests and the layer list; `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { LAYERS, TEST_ONLY } from '../boundaries/layers.mjs';
import { workspacePackages } from '../workspace.ts';

const README = 'README.md';
const BEGIN = '<!-- packages:begin (npm run gen) -->';
const END = '<!-- packages:end -->';

const descriptions = new Map(workspacePackages().map((pkg) => [pkg.id, pkg.manifest.description]));
const row = (layer: string, id: string): string =>
  `| ${layer} | [\`${id}\`](packages/${id}) | ${descriptions.get(id)} |`;
const rows = [...LAYERS]
  .reverse()
  .flatMap(({ title, packages }) => packages.map((id, i) => row(i === 0 ? title : '', id)));
rows.push(...TEST_ONLY.map((id, i) => row(i === 0 ? 'for tests' : '', id)));
const table = ['| layer | package | what it does |', '|---|---|---|', ...rows].join('\n');

const text = readFileSync(README, 'utf8');
const begin = text.indexOf(BEGIN);
const end = text.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`${README} has lost its markers ${BEGIN} ... ${END}`);
const wanted = `${text.slice(0, begin + BEGIN.length)}\n${table}\n${text.slice(end)}`;

if (!process.argv.includes('--check')) writeFileSync(README, wanted);
else if (wanted !== text) {
  console.error(`${README}: the package table is stale; run: npx tsx tools/package-table/main.ts`);
  process.exitCode = 1;
}
