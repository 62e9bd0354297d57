/**
 * Assembles src/guest.asm into src/gen/guest.ts. Needs `nasm` (apt-get install nasm) when the source has changed.
 *     node packages/demo-guest/tools/generate.mjs [--check]
 * With --check nothing is written: exit 1 when the committed file is not what nasm makes of the source. The file names
 * the source's hash, so that a stale one is seen also where no assembler is.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('..', import.meta.url));
const target = join(here, 'src/gen/guest.ts');
const sourceHash = createHash('sha256')
  .update(readFileSync(join(here, 'src/guest.asm')))
  .digest('hex');
const scratch = mkdtempSync(join(tmpdir(), 'emkit-guest-'));
const binary = join(scratch, 'guest.bin');
const nasm = spawnSync('nasm', ['-f', 'bin', '-o', binary, join(here, 'src/guest.asm')], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (nasm.error !== undefined) {
  const fresh = readFileSync(target, 'utf8').includes(sourceHash);
  console.log(`nasm is not installed (apt-get install nasm); src/gen/guest.ts is ${fresh ? 'up to date' : 'stale'}`);
  process.exit(fresh ? 0 : 1);
}
if (nasm.status !== 0) process.exit(1);
const bytes = readFileSync(binary);
rmSync(scratch, { recursive: true });
const lines = bytes
  .toString('base64')
  .match(/.{1,120}/g)
  .map((line) => `  '${line}',`);
const text = [
  '// node packages/demo-guest/tools/generate.mjs',
  `// guest.asm: sha256 ${sourceHash}`,
  `/** guest.asm assembled: ${bytes.length} bytes, base64. Generated, do not edit. */`,
  'export const GUEST_BASE64: string = [',
  ...lines,
  "].join('');",
  '',
].join('\n');
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('src/gen/guest.ts is stale: run node packages/demo-guest/tools/generate.mjs');
    process.exit(1);
  }
  console.log('src/gen/guest.ts is up to date');
} else {
  writeFileSync(target, text);
  console.log(`${target}: ${bytes.length} bytes`);
}
