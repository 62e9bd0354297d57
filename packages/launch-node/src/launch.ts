/**
 * Runs a bundled command with the code that V8 compiled in its last run.
 *
 * Node 22 and newer do this themselves (`module.enableCompileCache`); for Node 20 the bundle's files are loaded here as CommonJS, through
 * `vm.Script` with its code cache. A cache holds the functions that had run by the end of the run that made it, so there is one for each `part`.
 */
import { CachedFiles } from './cached-files.ts';
import { openCacheFolder } from './cache-folder.ts';

export interface LaunchOptions {
  /** Absolute path of the bundle's entry, a CommonJS file; its chunks lie beside it. */
  readonly bundle: string;
  /** Name of the command, for the cache's folder. */
  readonly name: string;
  readonly version: string;
  /** What of the command this run uses (a subcommand): letters and digits, else none. */
  readonly part?: string | undefined;
  /** `require` of a CommonJS file in the command's own package; default: one that is made, which takes a millisecond. */
  readonly require?: ((name: string) => unknown) | undefined;
}

const PART = /^[a-z][a-z0-9-]{0,31}$/;

interface CompileCacheApi {
  enableCompileCache?(folder: string): unknown;
}

/** The version of Node from which on its own cache is used. It has the function since 22.1. */
const HAS_OWN_CACHE = 22;

/** Loaded where it is needed: it takes two milliseconds. */
const nodeModule = () => process.getBuiltinModule('node:module');

/** Runs the bundle. What its first lines throw is thrown. */
export function launch({ bundle, name, version, part = '', require: given }: LaunchOptions): void {
  const require = given ?? nodeModule().createRequire(bundle);
  // the variable is Node's own for its compile cache
  const folder = process.env['NODE_DISABLE_COMPILE_CACHE'] === '1' ? undefined : openCacheFolder(name, version);
  if (folder === undefined) {
    require(bundle);
    return;
  }
  if (Number.parseInt(process.versions.node, 10) >= HAS_OWN_CACHE) {
    (nodeModule() as CompileCacheApi).enableCompileCache?.(folder);
    require(bundle);
    return;
  }
  const files = new CachedFiles(folder, PART.test(part) ? part : 'main', require);
  process.once('exit', () => files.save());
  files.load(bundle);
}
