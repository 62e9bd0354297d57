/** Against qemu-img and qemu-io 7.2: what we write they read and find clean, what they write we read, and both make the same of one program. */
import { writeFileSync } from 'node:fs';
import type { BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { qcow2 } from '../src/index.ts';
import { Bench, random } from './qemu.ts';

type Options = Readonly<Record<string, string>>;

const bench = new Bench();
afterAll(() => bench.done());

const SIZE = 2 * 1024 * 1024;
const base = Uint8Array.from({ length: 1_300_000 }, (_, i) => (i * 31 + (i >> 9)) & 255);
bench.put('base.raw', base.subarray(0, 1_300_000 - (1_300_000 % 512)));
const BACKED = { backing_file: 'base.raw', backing_fmt: 'raw' };

const VARIANTS: readonly Options[] = [
  {},
  { cluster_size: '512', refcount_bits: '1' },
  { cluster_size: '2097152', refcount_bits: '64' },
  { cluster_size: '4096', compat: '0.10' },
  { cluster_size: '16384', extended_l2: 'on' },
  { cluster_size: '4096', compression_type: 'zstd', refcount_bits: '8' },
  { cluster_size: '8192', lazy_refcounts: 'on' },
  { cluster_size: '4096', preallocation: 'metadata' },
  { preallocation: 'full' },
  { preallocation: 'falloc', extended_l2: 'on' },
  { cluster_size: '4096', data_file: 'data.raw' },
  { data_file: 'data.raw', data_file_raw: 'on' },
  { ...BACKED, cluster_size: '4096' },
  { ...BACKED, cluster_size: '512', compat: '0.10' },
  { ...BACKED, cluster_size: '32768', extended_l2: 'on' },
];
const text = (options: Options): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
const cases = VARIANTS.map((options) => [text(options) || 'defaults', options] as const);

async function create(name: string, options: Options, size = SIZE): Promise<void> {
  writeFileSync(bench.path(name), '');
  await qcow2.create?.(bench.file(name), { size, options, resolver: bench.resolver });
}

function createWithQemu(name: string, options: Options, size = SIZE): void {
  bench.img('create', '-q', '-f', 'qcow2', ...(text(options) === '' ? [] : ['-o', text(options)]), name, String(size));
}

const open = (name: string): Promise<BlockImage> => qcow2.open(bench.file(name), { resolver: bench.resolver });

async function read(image: BlockImage): Promise<Uint8Array> {
  const bytes = new Uint8Array(image.size);
  await image.read(0, bytes);
  return bytes;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

interface Part {
  readonly start: number;
  readonly length: number;
  readonly [key: string]: unknown;
}

/** A map without offsets, neighbours of one kind as one. */
function layout(map: unknown): unknown {
  const parts: { text: string; length: number }[] = [];
  for (const { length, depth, present, zero, data } of map as readonly Part[]) {
    // parts of a cluster that are holes in the file are data that is zero: qemu-img says so if there are many
    const text = JSON.stringify({ depth, present, zero: data ? undefined : zero, data });
    const last = parts[parts.length - 1];
    if (last?.text === text) last.length += length;
    else parts.push({ text, length });
  }
  return parts;
}

interface Step {
  readonly kind: 'write' | 'zero' | 'unmap' | 'discard';
  readonly offset: number;
  readonly length: number;
  readonly byte: number;
}

/** Sector requests that either of the two tools can do. */
function program(seed: number, steps: number): Step[] {
  const below = random(seed);
  return Array.from({ length: steps }, () => {
    const sectors = 1 + below(below(4) === 0 ? 300 : 24);
    const offset = below(SIZE / 512 - sectors) * 512;
    const kind = (['write', 'write', 'write', 'zero', 'unmap', 'discard'] as const)[below(6)] ?? 'write';
    return { kind, offset, length: sectors * 512, byte: 1 + below(255) };
  });
}

function command({ kind, offset, length, byte }: Step): string {
  if (kind === 'write') return `write -q -P ${byte} ${offset} ${length}`;
  if (kind === 'discard') return `discard -q ${offset} ${length}`;
  return `write -q -z ${kind === 'unmap' ? '-u ' : ''}${offset} ${length}`;
}

async function perform(image: BlockImage, { kind, offset, length, byte }: Step): Promise<void> {
  if (kind === 'write') await image.write?.(offset, new Uint8Array(length).fill(byte));
  else if (kind === 'discard') await image.discard?.(offset, length);
  else await image.writeZeroes?.(offset, length, { unmap: kind === 'unmap' });
}

describe.each(cases)('%s', (_, options) => {
  it('a new image is what qemu-img makes', async () => {
    await create('ours.qcow2', options);
    createWithQemu('theirs.qcow2', options);
    const [ours, theirs] = ['ours.qcow2', 'theirs.qcow2'].map((name) => {
      const { filename, 'actual-size': actual, ...info } = bench.json('info', name) as Record<string, unknown>;
      return [filename === undefined, actual === undefined, info];
    });
    expect(ours).toEqual(theirs);
    const maps = ['ours.qcow2', 'theirs.qcow2'].map((name) => bench.json('map', name));
    // where clusters are there in advance, the map shows holes of the two files
    if (options['preallocation'] === undefined && options['data_file_raw'] === undefined)
      expect(maps[0]).toEqual(maps[1]);
    expect(bench.tryImg('check', 'ours.qcow2')).toMatchObject({ status: 0 });
    const sizes = ['ours.qcow2', 'theirs.qcow2'].map(
      (name) => (bench.json('check', name) as Record<string, number>)['image-end-offset'],
    );
    expect(sizes[0]).toBe(sizes[1]);
  });

  it('one program of writes, zeroes and discards gives the same disk', async () => {
    const steps = program(VARIANTS.indexOf(options) + 1, 60);
    createWithQemu('theirs.qcow2', options);
    bench.io('theirs.qcow2', ...steps.map(command));
    const theirs = bench.content('theirs.qcow2');
    const reread = await open('theirs.qcow2');
    expect(same(await read(reread), theirs)).toBe(true);
    await reread.close();

    await create('ours.qcow2', options);
    const image = await open('ours.qcow2');
    for (const step of steps) await perform(image, step);
    const before = await read(image);
    await image.close();
    expect(bench.tryImg('check', 'ours.qcow2')).toMatchObject({ status: 0 });
    const ours = bench.content('ours.qcow2');
    expect(same(ours, before)).toBe(true);
    expect(same(ours, theirs)).toBe(true);
    // what is allocated and what is zero, too; places differ, and holes of the two files
    const maps = ['ours.qcow2', 'theirs.qcow2'].map((name) => layout(bench.json('map', name)));
    if (options['preallocation'] === undefined && options['data_file_raw'] === undefined)
      expect(maps[0]).toEqual(maps[1]);
  });

  it('goes on where qemu-io ended, and the other way round', async () => {
    const [first, second, third] = [11, 12, 13].map((seed) => program(seed, 25).filter((s) => s.kind !== 'discard'));
    createWithQemu('both.qcow2', options);
    bench.io('both.qcow2', ...(first ?? []).map(command));
    const image = await open('both.qcow2');
    const model = await read(image);
    for (const step of second ?? []) {
      await perform(image, step);
      model.fill(step.kind === 'write' ? step.byte : 0, step.offset, step.offset + step.length);
    }
    await image.close();
    expect(bench.tryImg('check', 'both.qcow2')).toMatchObject({ status: 0 });
    bench.io('both.qcow2', ...(third ?? []).map(command));
    for (const step of third ?? [])
      model.fill(step.kind === 'write' ? step.byte : 0, step.offset, step.offset + step.length);
    expect(same(bench.content('both.qcow2'), model)).toBe(true);
    const again = await open('both.qcow2');
    expect(same(await read(again), model)).toBe(true);
    await again.close();
  });
});

describe('compression', () => {
  const data = Uint8Array.from({ length: SIZE }, (_, i) => (i % 97 < 60 ? (i >> 12) & 255 : (i * 2654435761) >>> 24));

  it.each([
    ['zlib', '65536'],
    ['zlib', '2097152'],
    ['zlib', '512'],
    ['zstd', '65536'],
    ['zstd', '2097152'],
  ])('%s with clusters of %s', async (compression_type, cluster_size) => {
    await create('ours.qcow2', { compression_type, cluster_size });
    const image = await open('ours.qcow2');
    const size = Number(cluster_size);
    const writes: Promise<void>[] = [];
    for (let at = 0; at < SIZE; at += size)
      writes.push(image.writeCompressed?.(at, data.subarray(at, at + size)) ?? Promise.resolve());
    await Promise.all(writes);
    await image.close();
    expect(bench.tryImg('check', 'ours.qcow2')).toMatchObject({ status: 0 });
    expect(same(bench.content('ours.qcow2'), data)).toBe(true);
    bench.put('data.raw', data);
    bench.img(
      'convert',
      '-c',
      '-O',
      'qcow2',
      '-o',
      text({ compression_type, cluster_size }),
      'data.raw',
      'theirs.qcow2',
    );
    const theirs = await open('theirs.qcow2');
    expect(same(await read(theirs), data)).toBe(true);
    await theirs.close();
    // with the largest clusters the empty tables alone are larger than this disk
    if (size < SIZE) expect(bench.file('ours.qcow2').size).toBeLessThan(SIZE);
  });
});
