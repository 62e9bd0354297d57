/** As `qcow2.fuzz.ts`, aimed at snapshot tables, bitmap directories and tables, inactive L1 tables and refcount structures of images that have them. */
import { createImage, fuzzImages, openImage } from '@emkit/storage-testbed';
import type { Directory, Field, ImageSetup } from '@emkit/storage-testbed';
import { Extension } from '../src/constants.ts';
import { parseHeader } from '../src/header.ts';
import { findExtension } from '../src/header-extensions.ts';
import { qcow2 } from '../src/index.ts';
import { getU64, viewOf } from '../src/u64.ts';

const SIZE = 256 * 1024;
const secret = (): Uint8Array => Uint8Array.of(1, 2, 3);
const setup = (options: Readonly<Record<string, string>>): ImageSetup => ({ driver: qcow2, size: SIZE, options });
const SETUPS: readonly ImageSetup[] = [
  setup({ cluster_size: '4096' }),
  setup({ cluster_size: '512', refcount_bits: '4' }),
  setup({ cluster_size: '4096', compat: '0.10' }),
  setup({ cluster_size: '16384', extended_l2: 'on' }),
  { ...setup({ cluster_size: '4096', encryption: 'on' }), secret, openOptions: { secret } },
];

interface Sample {
  readonly setup: ImageSetup;
  readonly directory: Directory;
}

async function sample(made: ImageSetup): Promise<Sample> {
  const directory = await createImage(made);
  const image = await openImage(made, directory);
  await image.write?.(5000, new Uint8Array(20_000).fill(1));
  await image.snapshots?.create({ name: 'first', vmState: new Uint8Array(700).fill(9) });
  await image.write?.(9000, new Uint8Array(3000).fill(5));
  await image.snapshots?.create({ name: 'second' });
  for (const name of ['one', 'two']) await image.bitmaps?.add({ name, granularity: 512 }).catch(() => {});
  await image.write?.(100_000, new Uint8Array(3000).fill(5));
  await image.close();
  return { setup: made, directory };
}

/** The first words of every table of the image, and of where bitmap tables point. */
function fieldsOf({ directory }: Sample): Field[] {
  const disk = directory.disk('image');
  const word = (at: number): number => {
    const bytes = new Uint8Array(8);
    disk.get(at, bytes);
    return getU64(viewOf(bytes), 0);
  };
  const head = new Uint8Array(Math.min(disk.size, 65536));
  disk.get(0, head);
  const header = parseHeader(head);
  const tables = [header.snapshotsOffset, header.refcountTableOffset, header.l1TableOffset];
  tables.push(word(header.snapshotsOffset), word(header.refcountTableOffset));
  const bitmaps = findExtension(header.extensions, Extension.BITMAPS);
  if (bitmaps !== undefined) {
    const bitmapDirectory = getU64(viewOf(bitmaps), 16);
    tables.push(bitmapDirectory, word(bitmapDirectory));
  }
  return tables
    .filter((at) => at > 0 && at < disk.size)
    .flatMap((at) =>
      Array.from({ length: 12 }, (_, i) => [
        { offset: at + i * 8, size: 8 } as const,
        { offset: at + i * 8 + 4, size: 4 } as const,
        { offset: at + i * 8 + 2, size: 2 } as const,
      ]).flat(),
    );
}

export const target = {
  name: 'qcow2-parts',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: readonly string[] }> {
    const samples: Sample[] = [];
    for (const made of SETUPS) samples.push(await sample(made));
    return fuzzImages({ seed, iterations, samples, fields: samples.flatMap(fieldsOf), head: 1024 });
  },
};
