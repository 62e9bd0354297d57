/// <reference types="node" />
import { execSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { disassemble } from './src/disasm/att.ts';
const out = execSync(process.argv[2], { maxBuffer: 1 << 28 }).toString();
const lines = out.split('\n').map(l => /^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(.*))?$/.exec(l)).filter(Boolean);
let bad = 0, n = 0; const seen = new Map();
for (let k = 0; k < lines.length; k++) {
  const m = lines[k]; if (m[3] === undefined) continue;
  let hex = m[2].trim(); if (lines[k+1] && lines[k+1][3] === undefined) hex += ' ' + lines[k+1][2].trim();
  const bytes = Uint8Array.from(hex.split(' ').map(x => parseInt(x, 16)));
  let want = m[3].replace(/\s*<.*>/, '').replace(/\s*#.*$/, '').trim();
  const d = disassemble(bytes, parseInt(m[1], 16), (Number(process.argv[3] ?? 32)) as 32);
  n++;
  const norm = (s) => s.replace(/\s+/g, ' ').trim();
  if (norm(d.text) !== norm(want) || d.length !== bytes.length) { bad++; const key = norm(want).split(' ')[0]; seen.set(key, (seen.get(key) ?? 0) + 1); if (seen.get(key) <= 2 && bad < 3000) console.log(hex, '|', want, '|', d.text, d.length === bytes.length ? '' : 'LENGTH ' + d.length); }
}
console.log(n, 'lines', bad, 'differ');
