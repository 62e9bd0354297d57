/**
 * Draws docs/images/terminal.svg from a real session: boots Debian's kernel as `npm start` does, types a few commands, and
 * sets what came back as text in an SVG picture.
 *
 *     npx tsx tools/picture/main.ts
 *
 * No fonts or scripts inside: the viewer's monospace font, one <text> a line.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BUNDLE, ensureBundle } from '../start/bundle.mjs';
import { startSession } from '../start/e2e/session.ts';

const FETCH = fileURLToPath(new URL('../fetch-kernel/fetch-kernel.mjs', import.meta.url));
const OUT = fileURLToPath(new URL('../../docs/images/terminal.svg', import.meta.url));
const COLUMNS = 92;
const BOOT_LINES = 6;
const COMMANDS = [
  'uname -srm',
  "grep -E 'model name|flags' /proc/cpuinfo",
  'for i in 1 2 3; do echo "hello $i"; done',
  'ls /',
];

const CHARACTER = 7.25;
const LINE = 16;
const MARGIN = 14;
const BAR = 26;

async function record(): Promise<string[]> {
  ensureBundle({ show() {}, done() {} });
  const files = JSON.parse(
    execFileSync(process.execPath, [FETCH], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const args = ['-m', '256', '-kernel', files.kernel, '-initrd', files.initramfs, '-append', 'console=ttyS0'];
  const session = startSession(process.execPath, [BUNDLE, ...args], { prompt: '/ # ' });
  try {
    const boot = (await session.expect('/ # ', 180_000)).split('\n');
    const greeting = boot.findIndex((l) => l.includes('BusyBox shell'));
    const lines = [
      '$ npm start',
      '[    0.000000] ' + (boot.find((l) => l.includes('Linux version')) ?? '').replace(/^\[[^\]]*\] /, ''),
      '  ...',
    ];
    lines.push(...boot.slice(greeting - BOOT_LINES, greeting + 2), '');
    for (const command of COMMANDS) lines.push(`/ # ${command}`, ...(await session.run(command)).split('\n'));
    lines.push('/ # ');
    session.type('\x01x');
    await session.exit;
    return lines;
  } finally {
    session.kill();
  }
}

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function colour(line: string): string {
  const prompt = /^(\$|\/ #) (.*)$/.exec(line);
  if (prompt !== null) return `<tspan class="p">${prompt[1]}</tspan> <tspan class="c">${escape(prompt[2]!)}</tspan>`;
  const stamp = /^(\[ *[\d.]+\])(.*)$/.exec(line);
  return stamp !== null ? `<tspan class="t">${stamp[1]}</tspan>${escape(stamp[2]!)}` : escape(line);
}

function draw(lines: readonly string[]): string {
  const width = Math.round(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = BAR + lines.length * LINE + 2 * MARGIN;
  const text = lines.map((line, n) => `<text x="${MARGIN}" y="${BAR + MARGIN + 11 + n * LINE}">${colour(line)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="npm start: Debian's kernel boots to a shell in the terminal">
<style>text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d5dae3;white-space:pre}.p{fill:#7fd88f}.c{fill:#fff;font-weight:600}.t{fill:#7b8798}</style>
<rect width="${width}" height="${height}" rx="8" fill="#161b22"/><path d="M0 ${BAR}h${width}" stroke="#2d3440"/>
<circle cx="18" cy="13" r="5" fill="#e5655e"/><circle cx="36" cy="13" r="5" fill="#e0b04a"/><circle cx="54" cy="13" r="5" fill="#5fb85f"/>
${text.join('\n')}
</svg>
`;
}

const untab = (line: string): string =>
  line.replace(/([^\t]*)\t/g, (_, before: string) => before.padEnd((Math.floor(before.length / 8) + 1) * 8));
const wrap = (line: string): string => {
  const text = untab(line);
  return text.length > COLUMNS ? `${text.slice(0, COLUMNS - 3)}...` : text;
};
mkdirSync(fileURLToPath(new URL('../../docs/images/', import.meta.url)), { recursive: true });
writeFileSync(OUT, draw((await record()).map(wrap)));
process.stdout.write(`wrote ${OUT}\n`);
