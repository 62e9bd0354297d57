/** Raw images beside qemu-img and qemu-io: sizes, windows, resizes and refusals agree. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStorage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { raw } from '../src/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'emkit-raw-'));
afterAll(() => rmSync(dir, { recursive: true }));
const path = (name: string) => join(dir, name);
const refuses = (...args: string[]) => spawnSync('qemu-img', args).status !== 0;
const ours = (promise: Promise<unknown>) =>
  promise.then(
    () => false,
    () => true,
  );

describe('beside qemu-img', () => {
  it.each(['0', '1', '511', '512', '1000', '1049089'])('creates %s bytes as it does', async (size) => {
    for (const preallocation of ['off', 'falloc', 'full', 'metadata', 'bogus']) {
      const options = { preallocation };
      const file = path('created.raw');
      const theirs = refuses('create', '-f', 'raw', '-o', `preallocation=${preallocation}`, file, size);
      const memory = new MemoryStorage();
      expect(await ours(raw.create!(memory, { size: Number(size), options }))).toBe(theirs);
      if (!theirs) expect(memory.size).toBe(statSync(file).size);
    }
  });

  it('resizes as it does', async () => {
    const content = Uint8Array.from({ length: 5000 }, (_, i) => (i % 250) + 1);
    for (const size of [100, 512, 4999, 5000, 5120, 5121, 100_000])
      for (const preallocation of ['off', 'falloc', 'full'] as const)
        for (const shrink of [true, false]) {
          const file = path('resized.raw');
          writeFileSync(file, content);
          const flags = [`--preallocation=${preallocation}`, ...(shrink ? ['--shrink'] : [])];
          const theirs = refuses('resize', '-f', 'raw', ...flags, file, String(size));
          const memory = new MemoryStorage(content);
          const image = await raw.open(memory);
          expect(await ours(image.resize!(size, { preallocation, shrink })), `${size} ${flags.join(' ')}`).toBe(theirs);
          if (!theirs) expect(Buffer.from(memory.bytes()).equals(readFileSync(file))).toBe(true);
        }
  });

  it('opens the windows that it opens', async () => {
    const file = path('window.raw');
    const content = Uint8Array.from({ length: 8192 }, (_, i) => (i * 7) % 251);
    writeFileSync(file, content);
    for (const offset of [0, 1, 512, 4096, 8192, 8193])
      for (const size of [undefined, 0, 100, 512, 4096, 8192]) {
        const spec = `driver=raw,offset=${offset}${size === undefined ? '' : `,size=${size}`}`;
        const out = path('converted.raw');
        const args = ['convert', '--image-opts', `${spec},file.driver=file,file.filename=${file}`, '-O', 'raw', out];
        const theirs = refuses(...args);
        const driverOptions = { offset: String(offset), ...(size === undefined ? {} : { size: String(size) }) };
        const opened = raw.open(new MemoryStorage(content), { driverOptions });
        expect(await ours(opened), spec).toBe(theirs);
        if (theirs) continue;
        const image = await opened;
        const bytes = new Uint8Array(image.size);
        await image.read(0, bytes);
        expect(Buffer.from(bytes).equals(readFileSync(out)), spec).toBe(true);
      }
  });

  it('reads what qemu-io wrote, and it reads what was written here', async () => {
    const file = path('io.raw');
    writeFileSync(file, new Uint8Array(1001));
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 7 100 300', '-c', 'write -z 200 50', file]);
    const memory = new MemoryStorage(readFileSync(file));
    const image = await raw.open(memory);
    const bytes = new Uint8Array(300);
    await image.read(100, bytes);
    expect(bytes).toEqual(new Uint8Array(300).fill(7).fill(0, 100, 150));
    await image.write!(900, new Uint8Array(100).fill(9));
    await image.close();
    writeFileSync(file, memory.bytes());
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'read -P 9 900 100', '-c', 'read -P 7 250 150', file]);
  });
});
