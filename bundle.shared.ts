/**
 * One recipe for the commands in apps/: workspace packages from their sources, what only some runs need in chunks that load when they do.
 *
 * Rolldown and not the packages' tsup: it keeps what one module re-exports and another imports late out of the first chunk
 * (docs/adr/0014).
 */
import { readFileSync } from 'node:fs';
import type { RolldownOptions } from 'rolldown';

export interface CommandBundle {
  /** Output name to source file. */
  readonly input: Readonly<Record<string, string>>;
  /** Begins the name of each chunk. */
  readonly prefix: string;
  readonly banner?: string;
}

/** Workspace packages from their sources. */
export const SOURCES = { conditionNames: ['@emkit/source', 'import', 'module', 'default'] };
/** Less to parse at each start; names stay, so that an error report names our functions. */
export const LESS_TEXT = { compress: true, mangle: false, codegen: true } as const;

/** Late entries that load a module before it goes into the common chunk. */
const COMMON_SHARE = 6;

/** Of the app in the current folder. What its package.json has npm install beside it stays outside; everything else is bundled. */
export function commandBundle({ input, prefix, banner }: CommandBundle): RolldownOptions {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
    string,
    Record<string, string> | undefined
  >;
  const installed = Object.keys({ ...manifest['dependencies'], ...manifest['optionalDependencies'] });
  return {
    input: { ...input },
    platform: 'node',
    external: (id) => installed.some((name) => id === name || id.startsWith(`${name}/`)),
    resolve: SOURCES,
    output: {
      dir: 'dist',
      // CommonJS, since only that can be run from V8's code cache in Node 20 (docs/adr/0016)
      format: 'cjs',
      dynamicImportInCjs: false,
      cleanDir: true,
      entryFileNames: '[name].cjs',
      chunkFileNames: `${prefix}-[name]-[hash].cjs`,
      ...(banner === undefined ? {} : { banner }),
      // what most parts of a command load is one file: each costs its share of a millisecond
      codeSplitting: {
        groups: [{ name: 'common', minShareCount: COMMON_SHARE }],
        includeDependenciesRecursively: false,
      },
      comments: { legal: true, annotation: false, jsdoc: false },
      minify: LESS_TEXT,
    },
  };
}
