/** CommonJS files of one folder, compiled with V8's code cache where there is one. For Node 20; see launch.ts. */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname as folderOf, join } from 'node:path';
import { Script } from 'node:vm';
import { LIMITS } from './limits.ts';

interface LoadedModule {
  exports: unknown;
}
type Wrapper = (
  exports: unknown,
  require: (name: string) => unknown,
  module: LoadedModule,
  filename: string,
  dirname: string,
) => void;

export class CachedFiles {
  readonly #folder: string;
  readonly #part: string;
  readonly #require: (name: string) => unknown;
  readonly #modules = new Map<string, LoadedModule>();
  /** Scripts without a cache that V8 takes, by the file that is to hold it. */
  readonly #uncached = new Map<string, { readonly script: Script; readonly source: Buffer }>();

  /** `require`: for everything that is not a relative path. */
  constructor(folder: string, part: string, require: (name: string) => unknown) {
    this.#folder = folder;
    this.#part = part;
    this.#require = require;
  }

  /** The exports of a file, which runs at its first load. A cycle sees what there is so far, as in Node. */
  load(file: string): unknown {
    const known = this.#modules.get(file);
    if (known !== undefined) return known.exports;
    const loaded: LoadedModule = { exports: {} };
    this.#modules.set(file, loaded);
    const dirname = folderOf(file);
    try {
      const run = this.#compile(file);
      run(loaded.exports, (name) => this.#resolve(dirname, name), loaded, file, dirname);
    } catch (error) {
      this.#modules.delete(file);
      throw error;
    }
    return loaded.exports;
  }

  /** Writes what was compiled in this run. Never throws: a full disk costs the next run its quick start, no more. */
  save(): void {
    try {
      for (const [cache, { script, source }] of this.#uncached) {
        const unfinished = `${cache}.${process.pid}`;
        writeFileSync(unfinished, cacheFile(source, script.createCachedData()), { mode: 0o600 });
        renameSync(unfinished, cache);
      }
    } catch {
      return;
    }
  }

  #resolve(dirname: string, name: string): unknown {
    return name.startsWith('./') ? this.load(join(dirname, name)) : this.#require(name);
  }

  #compile(file: string): Wrapper {
    const source = readFileSync(file);
    const cache = join(this.#folder, `${this.#part}-${basename(file)}`);
    const cachedData = readCache(cache, source);
    // joined as bytes: as strings they were copied twice more, and with them half of the young heap was full
    const text = Buffer.concat([WRAPPER_START, source, WRAPPER_END]).toString();
    const script = new Script(text, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
    if (script.cachedDataRejected !== false) this.#uncached.set(cache, { script, source });
    return script.runInThisContext() as Wrapper;
  }
}

const WRAPPER_START = Buffer.from('(function (exports, require, module, __filename, __dirname) { ');
const WRAPPER_END = Buffer.from('\n})');
const LENGTH_BYTES = 4;

/**
 * A cache's file: the length of the source, the source, V8's data, and V8's data once more. V8 compares only the length of the source, and npm gives all files it unpacks one
 * time, so the source itself tells whose data it is; and V8 ends the process over torn data, which two copies show. Comparing is memcmp's work; a checksum in
 * JavaScript took 2 ms of each start.
 */
function cacheFile(source: Buffer, data: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(source.length);
  return Buffer.concat([length, source, data, data]);
}

/** V8's data for this source; undefined: there is none, or not whole. */
function readCache(file: string, source: Buffer): Buffer | undefined {
  const all = readFile(file);
  if (all === undefined || all.length <= LENGTH_BYTES || all.readUInt32LE() !== source.length) return undefined;
  const start = LENGTH_BYTES + source.length;
  const middle = start + (all.length - start) / 2;
  if (middle <= start || !Number.isInteger(middle)) return undefined;
  const data = all.subarray(start, middle);
  return source.equals(all.subarray(LENGTH_BYTES, start)) && data.equals(all.subarray(middle)) ? data : undefined;
}

function readFile(file: string): Buffer | undefined {
  try {
    const fd = openSync(file, 'r');
    try {
      const { size } = fstatSync(fd);
      return size > LIMITS.CACHE_FILE_BYTES ? undefined : readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
