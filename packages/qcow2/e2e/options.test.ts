/** Against qemu-img 7.2: help, measure, resize and amend. */
import { writeFileSync } from 'node:fs';
import type { BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { qcow2 } from '../src/index.ts';
import { Bench } from './qemu.ts';

type Options = Readonly<Record<string, string>>;

const bench = new Bench();
afterAll(() => bench.done());
const MIB = 1024 * 1024;
bench.put('base.raw', new Uint8Array(3 * MIB).fill(0x5a));

const open = (name: string): Promise<BlockImage> => qcow2.open(bench.file(name), { resolver: bench.resolver });
const clean = (name: string): void => expect(bench.tryImg('check', name)).toMatchObject({ status: 0 });

async function make(options: Options, size: number): Promise<BlockImage> {
  writeFileSync(bench.path('a.qcow2'), '');
  await qcow2.create?.(bench.file('a.qcow2'), { size, options, resolver: bench.resolver });
  return open('a.qcow2');
}

it('create options have the names and the help of qemu-img', () => {
  const kinds = { string: '<str>', size: '<size>', bool: '<bool (on/off)>', number: '<num>', enum: '<str>' };
  const ours = qcow2.createOptions?.map(({ name, type, help }) => `  ${`${name}=${kinds[type]}`.padEnd(22)} - ${help}`);
  const theirs = bench
    .img('create', '-f', 'qcow2', '-o', 'help')
    .split('\n')
    .filter((line) => line.startsWith('  '));
  // the table is in the order in which create names them when it begins; help is sorted
  expect([...(ours ?? [])].sort()).toEqual([...theirs].sort());
});

describe('measure', () => {
  it.each<[Options, number]>([
    [{}, 1 << 30],
    [{ cluster_size: '512' }, 100 * MIB],
    [{ cluster_size: '2097152', refcount_bits: '64' }, 2 ** 42],
    [{ extended_l2: 'on' }, 1 << 30],
    [{ preallocation: 'full' }, 1 << 30],
    [{ compat: '0.10' }, 12345 * 512],
  ])('%j of %d bytes', async (options, size) => {
    const flags = Object.entries(options).map(([name, value]) => `${name}=${value}`);
    const theirs = bench.json(
      'measure',
      '-O',
      'qcow2',
      ...(flags.length > 0 ? ['-o', flags.join(',')] : []),
      '--size',
      String(size),
    );
    const ours = await qcow2.measure?.({ size, options }, () => Promise.resolve(0));
    expect({ required: ours?.required, 'fully-allocated': ours?.fullyAllocated }).toEqual(theirs);
  });
});

describe('resize', () => {
  it.each<Options>([
    {},
    { cluster_size: '512' },
    { cluster_size: '4096', compat: '0.10' },
    { extended_l2: 'on' },
    { cluster_size: '4096', backing_file: 'base.raw', backing_fmt: 'raw' },
    { cluster_size: '4096', compat: '0.10', backing_file: 'base.raw', backing_fmt: 'raw' },
  ])('%j grows and shrinks', async (options) => {
    const image = await make(options, 2 * MIB);
    const model = new Uint8Array(8 * MIB);
    if (options['backing_file'] !== undefined) model.fill(0x5a, 0, 2 * MIB);
    const write = async (offset: number, length: number, byte: number): Promise<void> => {
      await image.write?.(offset, new Uint8Array(length).fill(byte));
      model.fill(byte, offset, offset + length);
    };
    await write(2 * MIB - 7000, 7000, 1);
    await image.resize?.(8 * MIB);
    await write(5 * MIB + 1, 100_000, 2);
    await image.resize?.(MIB + 512, { shrink: true });
    model.fill(0, MIB + 512);
    await image.resize?.(4 * MIB, { preallocation: options['backing_file'] === undefined ? 'metadata' : 'off' });
    await write(3 * MIB, 5000, 3);
    await image.close();
    clean('a.qcow2');
    expect(Buffer.compare(bench.content('a.qcow2'), model.subarray(0, 4 * MIB))).toBe(0);
  });
});

describe('amend', () => {
  const sequences: readonly (readonly [Options, readonly Options[]])[] = [
    [{ compat: '0.10' }, [{ compat: '1.1' }, { lazy_refcounts: 'on' }, { refcount_bits: '1' }]],
    [
      { lazy_refcounts: 'on' },
      [{ lazy_refcounts: 'off' }, { refcount_bits: '64' }, { refcount_bits: '16' }, { compat: '0.10' }],
    ],
    [{ cluster_size: '512' }, [{ refcount_bits: '8' }, { refcount_bits: '32' }, { size: String(6 * MIB) }]],
    [
      { backing_file: 'base.raw', backing_fmt: 'raw', cluster_size: '4096' },
      [{ compat: '0.10' }, { size: String(5 * MIB) }],
    ],
  ];

  it.each(sequences)('%j as %j', async (options, changes) => {
    let image = await make(options, 4 * MIB);
    const model = new Uint8Array(4 * MIB);
    if (options['backing_file'] !== undefined) model.fill(0x5a, 0, 3 * MIB);
    await image.write?.(100_000, new Uint8Array(300_000).fill(9));
    model.fill(9, 100_000, 400_000);
    await image.writeZeroes?.(200_000, 100_000);
    model.fill(0, 200_000, 300_000);
    for (const change of changes) {
      await image.amend?.(change);
      await image.close();
      clean('a.qcow2');
      image = await open('a.qcow2');
    }
    const size = image.size;
    await image.write?.(900_000, new Uint8Array(9000).fill(4));
    model.fill(4, 900_000, 909_000);
    await image.close();
    clean('a.qcow2');
    const all = new Uint8Array(size);
    all.set(model);
    expect(Buffer.compare(bench.content('a.qcow2'), all)).toBe(0);
  });

  it('refuses what qemu-img refuses', async () => {
    const image = await make({ refcount_bits: '8' }, MIB);
    for (const change of [
      { compat: '0.10' },
      { cluster_size: '4096' },
      { data_file: 'x' },
      { data_file_raw: 'on' },
      { refcount_bits: '3' },
      { nothing: 'on' },
    ] satisfies Options[]) {
      await expect(image.amend?.(change), JSON.stringify(change)).rejects.toMatchObject({ name: 'BlockError' });
      const [[name, value]] = Object.entries(change) as [[string, string]];
      expect(bench.tryImg('amend', '-o', `${name}=${value}`, 'a.qcow2').status).toBe(1);
    }
    await image.close();
    clean('a.qcow2');
  });

  it('empties an image, and names another backing file', async () => {
    const image = await make({ backing_file: 'base.raw', backing_fmt: 'raw' }, 4 * MIB);
    await image.write?.(0, new Uint8Array(2 * MIB).fill(1));
    await image.makeEmpty?.();
    await image.setBackingReference?.({ name: './base.raw', format: 'raw' });
    await image.close();
    clean('a.qcow2');
    expect(bench.json('info', 'a.qcow2')).toMatchObject({ 'backing-filename': './base.raw' });
    expect(bench.content('a.qcow2')[MIB]).toBe(0x5a);
    expect(bench.file('a.qcow2').size).toBeLessThan(400_000);
  });
});
