/** Files of a directory as storages, for tests: synchronous; flush does nothing. */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { BlockError, isZero, type Extent, type Resolver, type Storage, type WritableStorage } from '@emkit/storage';

export function openFile(path: string, mode: 'r' | 'r+' | 'w+', name = path): WritableStorage {
  if (mode !== 'w+' && !existsSync(path)) throw new BlockError('not-found', `Could not open '${path}'`);
  const fd = openSync(path, mode);
  const reading: Storage = {
    name,
    mayBlock: true,
    get size() {
      return fstatSync(fd).size;
    },
    read(offset, buffer) {
      const { size } = fstatSync(fd);
      const count = buffer.length === 0 || offset >= size ? 0 : readSync(fd, buffer, 0, buffer.length, offset);
      buffer.fill(0, count);
      return Promise.resolve();
    },
    close: () => Promise.resolve(closeSync(fd)),
    ...(/-f(lat|\d+)\./.test(name) ? { extent: (offset: number, length: number) => holes(fd, offset, length) } : {}),
  };
  if (mode === 'r') return reading as WritableStorage;
  return Object.defineProperties(
    {
      write(offset: number, buffer: Uint8Array) {
        for (let done = 0; done < buffer.length;)
          done += writeSync(fd, buffer, done, buffer.length - done, offset + done);
        return Promise.resolve();
      },
      flush: () => Promise.resolve(),
      truncate: (size: number) => Promise.resolve(ftruncateSync(fd, size)),
    },
    Object.getOwnPropertyDescriptors(reading),
  ) as unknown as WritableStorage;
}

const BLOCK = 4096;

/** What zeroes are counts as a hole: the images of the test data lost theirs when they were packed. */
function holes(fd: number, offset: number, length: number): Promise<Extent> {
  const block = new Uint8Array(BLOCK);
  let zero: boolean | undefined;
  let done = 0;
  while (done < length) {
    const count = Math.min(BLOCK - ((offset + done) % BLOCK), length - done);
    readSync(fd, block, 0, count, offset + done);
    const isHole = isZero(block.subarray(0, count));
    if (zero !== undefined && isHole !== zero) break;
    zero = isHole;
    done += count;
  }
  return Promise.resolve({ length: done, zero: zero === true, data: zero !== true });
}

export function resolverFor(directory: string): Resolver {
  return {
    open: (reference) => {
      const path = resolve(directory, reference.name);
      try {
        return Promise.resolve(openFile(path, reference.writable === true ? 'r+' : 'r', reference.name));
      } catch (error) {
        return Promise.reject(error as Error);
      }
    },
    create: (name) => Promise.resolve(openFile(resolve(directory, name), 'w+', name)),
  };
}
