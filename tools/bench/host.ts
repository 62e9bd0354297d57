/** What the numbers were measured on. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, type as osType, release } from 'node:os';
import { ROOT } from './bundle.ts';

export interface HostFacts {
  readonly date: string;
  readonly machine: string;
  readonly node: string;
  readonly load: number;
  readonly versions: readonly string[];
}

export function hostFacts(programs: readonly { readonly name: string; readonly version: string }[]): HostFacts {
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads, ${osType()} ${release()}`,
    node: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    load: loadavg()[0],
    versions: programs.map(({ name, version }) => `${name} ${version}`),
  };
}

/** A busy machine measures its own load. */
export const isBusy = (facts: HostFacts): boolean => facts.load > availableParallelism() / 4;

/** Short commit of the working tree, or undefined outside git. */
export function gitCommit(): string | undefined {
  const git = (...args: string[]): string | undefined => {
    const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const commit = git('rev-parse', '--short', 'HEAD');
  if (commit === undefined || commit === '') return undefined;
  // results that were just stored are no change of what is measured
  const changes = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!docs/performance');
  return changes === '' ? commit : `${commit}-changed`;
}
