import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BlockImage, BlockStatus } from '@emkit/storage';
import { Values } from './command.ts';
import { isInMemory, isPlain } from './in-memory.ts';
import { createProgress } from './progress.ts';
import { runProgram } from './program.ts';
import { openSources } from './source-images.ts';
import type { Tool } from './tool.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sources-'));
  vi.stubEnv('UV_THREADPOOL_SIZE', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A clock by which every read takes so many ms. */
function clock(step: number): () => number {
  let time = 0;
  return () => (time += step);
}

function fakeTool(step = 0): Tool & { readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    program: 'emkit-img',
    print: () => {},
    say: (text) => void said.push(text),
    note: (text) => void said.push(text),
    signal: new AbortController().signal,
    progress: () => createProgress('none', { stdout: () => {}, stderr: () => {}, isTerminal: false, now: () => 0 }),
    now: clock(step),
  };
}

function file(name: string, bytes = 1 << 20): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(bytes).fill(1));
  return path;
}

async function img(...words: string[]): Promise<void> {
  const tool = fakeTool();
  expect([await runProgram(words, tool), tool.said]).toEqual([0, []]);
}

/** Formats are given, so that nothing is guessed. */
async function open(tool: Tool, format: string, sources: readonly string[], isPlainTarget = true): Promise<boolean[]> {
  const values = new Values(new Map([['format', format]]));
  const opened = await openSources(tool, { values, sources, isPlainTarget });
  const readHere = opened.map(({ node }) => node.mayBlock === true);
  for (const image of opened) await image.close();
  return readHere;
}

it('a file whose reads take no time is in memory; a slow one, a folder, a device and what is not there are not', () => {
  const path = file('a');
  symlinkSync(path, join(folder, 'link'));
  expect(['a', 'link', '.', 'missing'].map((name) => isInMemory(join(folder, name), clock(0)))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(isInMemory('/dev/null', clock(0))).toBe(false);
  expect(isInMemory(path, clock(1))).toBe(false);
  expect(isInMemory(file('empty', 0), clock(0))).toBe(true);
});

it('an image is plain when nothing of it must be decompressed, decrypted, or is in another file', async () => {
  const image = (status: Partial<BlockStatus>, more: Partial<BlockImage> = {}): BlockImage =>
    ({
      size: 1 << 20,
      status: (_offset: number, length: number) =>
        Promise.resolve({ length, data: true, zero: false, allocated: true, ...status }),
      ...more,
    }) as BlockImage;
  expect(await isPlain(image({ offset: 65536 }))).toBe(true);
  expect(await isPlain(image({ data: false, zero: true }))).toBe(true);
  expect(await isPlain(image({}))).toBe(false);
  expect(await isPlain(image({ offset: 65536, file: 'other' }))).toBe(false);
  expect(await isPlain(image({ offset: 65536 }, { backing: image({}) }))).toBe(false);
  expect(await isPlain(image({}, { size: 0 }))).toBe(true);
});

it('a source in memory is read here, and the pool has one thread to write', async () => {
  file('a');
  await img('convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'a'), join(folder, 'b'));
  vi.stubEnv('UV_THREADPOOL_SIZE', undefined);
  expect(await open(fakeTool(), 'qcow2', [join(folder, 'b')])).toEqual([true]);
  expect(process.env['UV_THREADPOOL_SIZE']).toBe('1');
});

it.each<[string, (path: string) => Promise<boolean[]>]>([
  ['the reads are slow', (path) => open(fakeTool(1), 'raw', [path])],
  ['writing is more than copying', (path) => open(fakeTool(), 'raw', [path], false)],
  ['the user has sized the pool', (path) => (vi.stubEnv('UV_THREADPOOL_SIZE', '3'), open(fakeTool(), 'raw', [path]))],
])('it is read in the pool when %s', async (_when, run) => {
  expect(await run(file('a'))).toEqual([false]);
  expect(Number(process.env['UV_THREADPOOL_SIZE'])).toBeGreaterThan(1);
});

it('compressed clusters and backing files are read in the pool, and a warning comes once', async () => {
  const [plain, packed, overlay] = [file('a'), join(folder, 'packed'), join(folder, 'overlay')];
  await img('convert', '-c', '-f', 'raw', '-O', 'qcow2', plain, packed);
  await img('create', '-q', '-f', 'qcow2', '-b', plain, '-F', 'raw', overlay);
  for (const path of [packed, overlay]) {
    vi.stubEnv('UV_THREADPOOL_SIZE', undefined);
    const tool = fakeTool();
    expect(await open(tool, 'qcow2', [path])).toEqual([false]);
    expect(Number(process.env['UV_THREADPOOL_SIZE'])).toBeGreaterThan(1);
    expect(tool.said).toEqual([]);
  }
});

it('what cannot be opened leaves nothing open, and says so as it is', async () => {
  const [good, bad] = [file('a'), file('b')];
  await img('create', '-q', '-f', 'qcow2', good, '1M');
  await expect(open(fakeTool(), 'qcow2', [good, bad])).rejects.toThrow(`Could not open '${bad}'`);
  // its lock is free again
  await img('resize', '-q', '-f', 'qcow2', good, '2M');
});
