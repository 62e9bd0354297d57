/** Damaged QED images, opened and used in every way: `npm run fuzz -- qed --seconds N --seed S`. Only a BlockError may come out. */
import { createImage, fuzzImages, openImage } from '@emkit/storage-testbed';
import type { Directory, Field, ImageSetup } from '@emkit/storage-testbed';
import { qed } from '../src/index.ts';

const CLUSTER = 4096;
const SIZE = 128 * 1024;
const SMALL = { driver: qed, size: SIZE, options: { cluster_size: String(CLUSTER), table_size: '1' } };
const SETUPS: readonly ImageSetup[] = [
  SMALL,
  {
    ...SMALL,
    backing: {
      name: 'base',
      content: new Uint8Array(100_000).fill(7),
      options: { backing_file: 'base', backing_fmt: 'raw' },
    },
  },
  { driver: qed, size: SIZE, options: {} },
];

/** QED spec, "Header", then the first entries of the L1 table and of the first L2 table, where they stand in the small images. */
const HEADER: readonly Field[] = [
  ...[0, 4, 8, 12, 56, 60].map((offset) => ({ offset, size: 4 }) as const),
  ...[16, 24, 32, 40, 48].map((offset) => ({ offset, size: 8 }) as const),
];
const ENTRIES: readonly Field[] = [1, 3, 4, 5].flatMap((cluster) =>
  [0, 1, 2, 3].map((index) => ({ offset: cluster * CLUSTER + index * 8, size: 8 }) as const),
);

async function sample(setup: ImageSetup): Promise<{ setup: ImageSetup; directory: Directory }> {
  const directory = await createImage(setup);
  const image = await openImage(setup, directory);
  await image.write!(5000, new Uint8Array(20_000).fill(1));
  await image.writeZeroes!(65_536, 8192);
  await image.write!(100_000, new Uint8Array(512).fill(2));
  await image.close();
  return { setup, directory };
}

export const target = {
  name: 'qed',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: readonly string[] }> {
    const samples = await Promise.all(SETUPS.map(sample));
    return fuzzImages({ seed, iterations, samples, fields: [...HEADER, ...ENTRIES], head: 8 * CLUSTER });
  },
};
