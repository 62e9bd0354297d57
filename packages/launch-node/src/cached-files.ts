/** CommonJS files of one folder, compiled with V8's code cache where there is one. For Node 20; see launch.ts. */
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
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
  readonly #uncached = new Map<string, vm.Script>();

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
    const dirname = path.dirname(file);
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
      for (const [cache, script] of this.#uncached) {
        const unfinished = `${cache}.${process.pid}`;
        fs.writeFileSync(unfinished, withChecksum(script.createCachedData()), { mode: 0o600 });
        fs.renameSync(unfinished, cache);
      }
    } catch {
      return;
    }
  }

  #resolve(dirname: string, name: string): unknown {
    return name.startsWith('./') ? this.load(path.join(dirname, name)) : this.#require(name);
  }

  #compile(file: string): Wrapper {
    const source = fs.readFileSync(file);
    const cache = this.#cacheFile(file, source);
    const cachedData = readCache(cache);
    const text = `(function (exports, require, module, __filename, __dirname) { ${source.toString()}\n})`;
    const script = new vm.Script(text, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
    if (script.cachedDataRejected !== false) this.#uncached.set(cache, script);
    return script.runInThisContext() as Wrapper;
  }

  /** V8 compares only the length of the source, and npm gives all files it unpacks one time: the content is part of the name. */
  #cacheFile(file: string, source: Buffer): string {
    const content = checksum(source).toString(16);
    return path.join(this.#folder, `${this.#part}-${path.basename(file)}-${source.length}-${content}`);
  }
}

const CHECKSUM_BYTES = 4;
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** V8 does not check what it reads, and ends the process over a torn file. */
function withChecksum(data: Buffer): Buffer {
  const end = Buffer.alloc(CHECKSUM_BYTES);
  end.writeUInt32LE(checksum(data));
  return Buffer.concat([data, end]);
}

function readCache(file: string): Buffer | undefined {
  try {
    const { size } = fs.statSync(file);
    if (size <= CHECKSUM_BYTES || size > LIMITS.CACHE_FILE_BYTES) return undefined;
    const all = fs.readFileSync(file);
    const data = all.subarray(0, -CHECKSUM_BYTES);
    return all.readUInt32LE(data.length) === checksum(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** FNV-1a over words of 32 bits. Not zlib's CRC: loading zlib would cost some milliseconds of each start. */
function checksum(data: Buffer): number {
  const bytes = data.byteOffset % 4 === 0 ? data : new Uint8Array(data);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let sum = FNV_START ^ bytes.length;
  for (let at = 0; at < words.length; at++) sum = Math.imul(sum ^ (words[at] as number), FNV_PRIME);
  for (let at = words.length * 4; at < bytes.length; at++) sum = Math.imul(sum ^ (bytes[at] as number), FNV_PRIME);
  return sum >>> 0;
}
