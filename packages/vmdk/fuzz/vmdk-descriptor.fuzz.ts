/** Descriptors with damaged words, numbers, lines and encodings, alone and embedded. */
import { fuzzImages } from '@emkit/storage-testbed';
import { written } from './samples.ts';

const separate = await Promise.all([
  written({ subformat: 'twoGbMaxExtentSparse' }),
  written({ subformat: 'monolithicFlat' }),
  written({ subformat: 'twoGbMaxExtentFlat' }),
]);
const embedded = [await written({})];

export const target = {
  name: 'vmdk-descriptor',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
    const half = Math.ceil(iterations / 2);
    const alone = await fuzzImages({ seed, iterations: half, samples: separate, head: 512, text: 480 });
    const inside = await fuzzImages({ seed, iterations: half, samples: embedded, head: 1024, text: 1024 });
    return { inputs: alone.inputs + inside.inputs, findings: [...alone.findings, ...inside.findings] };
  },
};
