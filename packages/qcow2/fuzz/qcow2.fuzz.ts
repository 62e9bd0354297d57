/** Damaged qcow2 images, opened and used in every way: `npm run fuzz -- qcow2 --seconds N --seed S`. Only a BlockError may come out. */
import { createImage, fuzzImages, openImage } from '@emkit/storage-testbed';
import type { Directory, Field, ImageSetup } from '@emkit/storage-testbed';
import { Header } from '../src/constants.ts';
import { qcow2 } from '../src/index.ts';

const SIZE = 256 * 1024;
const base = { name: 'base', content: new Uint8Array(100_000).fill(7) };
const setup = (options: Readonly<Record<string, string>>): ImageSetup => ({ driver: qcow2, size: SIZE, options });
const SETUPS: readonly ImageSetup[] = [
  setup({ cluster_size: '4096' }),
  setup({ cluster_size: '512', refcount_bits: '1' }),
  setup({ cluster_size: '4096', compat: '0.10' }),
  setup({ cluster_size: '4096', compression_type: 'zstd', refcount_bits: '64' }),
  setup({ cluster_size: '16384', extended_l2: 'on' }),
  setup({ cluster_size: '4096', data_file: 'data' }),
  setup({ cluster_size: '4096', lazy_refcounts: 'on' }),
  {
    ...setup({ cluster_size: '4096' }),
    backing: { ...base, options: { backing_file: 'base', backing_fmt: 'raw' } },
  },
];

/** qcow2 spec, "Header"; then the first entries of the clusters that hold tables in small images. */
const WORDS = [
  Header.MAGIC,
  Header.VERSION,
  Header.BACKING_FILE_SIZE,
  Header.CLUSTER_BITS,
  Header.CRYPT_METHOD,
  Header.L1_SIZE,
  Header.REFCOUNT_TABLE_CLUSTERS,
  Header.NB_SNAPSHOTS,
  Header.REFCOUNT_ORDER,
  Header.HEADER_LENGTH,
  Header.COMPRESSION_TYPE,
  112,
  116,
];
const LONGS = [
  Header.BACKING_FILE_OFFSET,
  Header.SIZE,
  Header.L1_TABLE_OFFSET,
  Header.REFCOUNT_TABLE_OFFSET,
  Header.SNAPSHOTS_OFFSET,
  Header.INCOMPATIBLE_FEATURES,
  Header.COMPATIBLE_FEATURES,
  Header.AUTOCLEAR_FEATURES,
];
const FIELDS: readonly Field[] = [
  ...WORDS.map((offset) => ({ offset, size: 4 }) as const),
  ...LONGS.map((offset) => ({ offset, size: 8 }) as const),
  ...[512, 4096, 16384].flatMap((cluster) =>
    [1, 2, 3, 4].flatMap((at) => [0, 1, 2, 3, 4].map((i) => ({ offset: at * cluster + i * 8, size: 8 }) as const)),
  ),
];

async function sample(made: ImageSetup): Promise<{ setup: ImageSetup; directory: Directory }> {
  const directory = await createImage(made);
  const image = await openImage(made, directory);
  await image.write?.(5000, new Uint8Array(20_000).fill(1));
  await image.writeZeroes?.(40_000, 20_000);
  if (made.options?.['data_file'] === undefined) {
    const unit = image.clusterSize ?? SIZE;
    await image.writeCompressed?.(unit * 8, new Uint8Array(unit).fill(3));
    await image.writeCompressed?.(unit * 9, new Uint8Array(unit).fill(4));
    // refcounts of one bit have none
    await image.snapshots?.create({ name: 'before', vmState: new Uint8Array(700).fill(9) }).catch(() => {});
    await image.write?.(9000, new Uint8Array(3000).fill(5));
  }
  await image.bitmaps?.add({ name: 'dirty' }).catch(() => {});
  await image.close();
  return { setup: made, directory };
}

export const target = {
  name: 'qcow2-image',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: readonly string[] }> {
    const samples = [];
    for (const made of SETUPS) samples.push(await sample(made));
    return fuzzImages({ seed, iterations, samples, fields: FIELDS, head: 1024 });
  },
};
