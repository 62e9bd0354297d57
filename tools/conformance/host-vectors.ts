/**
 * Suite `host-vectors`: single instructions of extensions that the recorded data lacks (AVX and what came with it), run on
 * this machine's own CPU by host-vectors/hostgen.c and then on the emulated one. Needs a C compiler, Linux on x86-64 and, per group,
 * a CPU that has the extension; a group that cannot be run here is named with the reason, and counts neither way.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const HOST_GROUPS = ['avx', 'avx2', 'fma', 'f16c', 'aes', 'vaes', 'sha', 'bmi', 'adx', 'sse'] as const;
type HostGroup = (typeof HOST_GROUPS)[number];

const HERE = dirname(fileURLToPath(import.meta.url));
const FOLDER = join(HERE, '../../.cache/conformance');
const NO_FEATURE = 3;
const NO_32_BIT_CODE = 4;
const MAX_OUTPUT = 1 << 30;

/** The generator, compiled; or why it cannot be. */
export function buildHostGenerator(): { readonly program: string } | { readonly missing: string } {
  if (process.platform !== 'linux' || process.arch !== 'x64') return { missing: 'needs Linux on an x86-64 CPU' };
  const program = join(FOLDER, 'hostgen');
  mkdirSync(FOLDER, { recursive: true });
  const { error, status, stderr } = spawnSync(
    'gcc',
    ['-O2', '-Wall', '-o', program, join(HERE, 'host-vectors/hostgen.c')],
    { encoding: 'utf8' },
  );
  if (error !== undefined) return { missing: 'gcc is not installed' };
  if (status !== 0) throw new Error(`hostgen.c does not compile:\n${stderr}`);
  return { program };
}

/** Records of one group as a file in memory, or why this CPU cannot make them. */
export function recordOnHost(
  program: string,
  mode: 32 | 64,
  group: HostGroup,
  seed: number,
  count: number,
): Uint8Array | string {
  const { status, signal, stdout, stderr } = spawnSync(program, [String(mode), group, String(seed), String(count)], {
    maxBuffer: MAX_OUTPUT,
  });
  if (status === NO_FEATURE) return `this CPU lacks ${group === 'sse' ? 'avx' : group}`;
  if (status === NO_32_BIT_CODE) return 'the kernel here runs no 32-bit code';
  if (status !== 0)
    throw new Error(`hostgen ${mode} ${group}: ${signal ?? `exit code ${status}`} ${stderr.toString()}`);
  return stdout;
}
