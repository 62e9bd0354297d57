/** The folder of kept translations: what is read back, what is not, and what is removed. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CACHE_LIMITS, folderStore } from '../src/translation-cache.ts';

const home = mkdtempSync(join(tmpdir(), 'emkit-translations-'));
afterAll(() => rmSync(home, { recursive: true }));
let folders = 0;
const freshFolder = (): string => join(home, `deep/${++folders}`);
const bytes = (count: number): Uint8Array => new Uint8Array(count).fill(count);
const files = (folder: string): string[] => readdirSync(folder).map((name) => join(folder, name));

it('gives back what was saved last under a key, and nothing under another', async () => {
  const folder = freshFolder();
  expect(await folderStore(folder).load('a')).toBeUndefined();
  await folderStore(folder).save('a', bytes(3));
  await folderStore(folder).save('a', bytes(5));
  await folderStore(folder).save('b', bytes(7));
  expect(Uint8Array.from((await folderStore(folder).load('a'))!)).toEqual(bytes(5));
  expect(await folderStore(folder).load('c')).toBeUndefined();
  expect(files(folder)).toHaveLength(2);
});

it.skipIf(process.getuid === undefined)('folder and files are for the user alone', async () => {
  const folder = freshFolder();
  await folderStore(folder).save('a', bytes(3));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const file of files(folder)) expect(statSync(file).mode & 0o777).toBe(0o600);
});

it.skipIf(process.getuid === undefined)(
  'a folder that others may write to is not used, nor a link to a file',
  async () => {
    const folder = freshFolder();
    const store = folderStore(folder);
    await store.save('a', bytes(3));
    chmodSync(folder, 0o777);
    await expect(store.load('a')).rejects.toThrow('not yours alone');
    await expect(store.save('a', bytes(4))).rejects.toThrow('not yours alone');
    chmodSync(folder, 0o700);
    const [file] = files(folder);
    const elsewhere = join(home, 'elsewhere');
    writeFileSync(elsewhere, 'something');
    rmSync(file!);
    symlinkSync(elsewhere, file!);
    await expect(store.load('a')).rejects.toThrow('ELOOP');
  },
);

it('a file that is too large is neither written nor read', async () => {
  const folder = freshFolder();
  const limits = { ...CACHE_LIMITS, FILE_BYTES: 10 };
  await folderStore(folder, limits).save('a', bytes(11));
  expect(existsSync(folder)).toBe(false);
  await folderStore(folder).save('a', bytes(11));
  expect(await folderStore(folder, limits).load('a')).toBeUndefined();
});

it('what was used longest ago goes when the folder is full; what was not finished goes after a day', async () => {
  const folder = freshFolder();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const store = folderStore(folder, { ...CACHE_LIMITS, FOLDER_BYTES: 100 });
  const hoursAgo = (file: string, hours: number): void => {
    const time = Date.now() / 1000 - hours * 3600;
    utimesSync(file, time, time);
  };
  const known = new Set<string>();
  for (const [hours, key] of [
    [3, 'a'],
    [2, 'b'],
    [1, 'c'],
  ] as const) {
    await store.save(key, bytes(30));
    const file = files(folder).find((name) => !known.has(name))!;
    known.add(file);
    hoursAgo(file, hours);
  }
  const [torn, young] = ['x', 'y'].map((name) => join(folder, `${name}.unfinished`)) as [string, string];
  for (const file of [torn, young]) writeFileSync(file, '');
  hoursAgo(torn, 25);
  await store.load('a'); // used just now
  await store.save('d', bytes(30));
  expect(await store.load('b')).toBeUndefined();
  for (const key of ['a', 'c', 'd']) expect(await store.load(key), key).toBeDefined();
  expect([torn, young].map((file) => existsSync(file))).toEqual([false, true]);
});
