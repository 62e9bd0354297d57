/** Sparse extents of all kinds with damaged headers, tables and grains. */
import { fuzzImages, type Field } from '@emkit/storage-testbed';
import { CowdHeader } from '../src/cowd-header.ts';
import { SeSparseHeader } from '../src/sesparse-header.ts';
import { Header } from '../src/sparse-header.ts';
import { DELTA_TEXT, DELTAS, given, stream, text, written } from './samples.ts';

const wide = new Set<number>([
  Header.capacity,
  Header.grainSize,
  Header.descriptorOffset,
  Header.descriptorSize,
  Header.rgdOffset,
  Header.gdOffset,
  Header.overHead,
]);
const HEADER: Field[] = Object.values(Header).map((offset) => ({
  offset,
  size: wide.has(offset) ? 8 : offset === Header.compressAlgorithm ? 2 : offset >= Header.uncleanShutdown ? 1 : 4,
}));
/** Where `create` puts directories and the first entries of tables. */
const TABLES: Field[] = [21, 22, 26, 27].flatMap((sector) =>
  [0, 4, 8, 28].map((at): Field => ({ offset: sector * 512 + at, size: 4 })),
);

const hosted = await Promise.all([
  written({}),
  written({ zeroed_grain: 'on' }),
  written({ subformat: 'streamOptimized' }),
  stream(),
]);
const cowd = await given(text(DELTA_TEXT.cowd), { extent: DELTAS.cowd() });
const seSparse = await given(text(DELTA_TEXT.sesparse), { extent: DELTAS.sesparse() });

export const target = {
  name: 'vmdk-image',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
    const runs = [
      await fuzzImages({
        seed,
        iterations: Math.ceil(iterations / 2),
        samples: hosted,
        fields: [...HEADER, ...TABLES],
        head: 16384,
      }),
      await fuzzImages({
        seed,
        iterations: Math.ceil(iterations / 4),
        samples: [cowd],
        targets: ['extent'],
        fields: Object.values(CowdHeader).map((offset) => ({ offset, size: 4 })),
        head: 4096,
      }),
      await fuzzImages({
        seed,
        iterations: Math.ceil(iterations / 4),
        samples: [seSparse],
        targets: ['extent'],
        fields: Object.values(SeSparseHeader).map((offset) => ({ offset, size: 8 })),
        head: 8192,
      }),
    ];
    return {
      inputs: runs.reduce((sum, { inputs }) => sum + inputs, 0),
      findings: runs.flatMap(({ findings }) => findings),
    };
  },
};
