import { describeBlockDriver, type Directory } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { vmdk } from './index.ts';

const test = { describe, it };
/** Extents are part of the image, and what they say of themselves is metadata: with a resolver they are opened whatever is wanted. */
const testSplit: typeof test = {
  describe,
  it: ((name: string, ...rest: [() => Promise<void>, number?]) =>
    name === 'metadata can be read without any other file' ? undefined : it(name, ...rest)) as typeof it,
};
const few = { shadowPrograms: 3, cuts: 60, faults: 30 };
const size = 512 * 1024 + 512;

describeBlockDriver({ test, driver: vmdk, name: 'monolithicSparse', size, shadowPrograms: 6, cuts: 250, faults: 60 });
describeBlockDriver({ test, driver: vmdk, name: 'zeroed grains', size, options: { zeroed_grain: 'on' }, ...few });
describeBlockDriver({
  test: testSplit,
  driver: vmdk,
  name: 'split',
  size,
  options: { subformat: 'twoGbMaxExtentSparse' },
  ...few,
});
describeBlockDriver({
  test: testSplit,
  driver: vmdk,
  name: 'flat',
  size,
  options: { subformat: 'monolithicFlat' },
  ...few,
});

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251);
describeBlockDriver({
  test,
  driver: vmdk,
  name: 'delta',
  size,
  ...few,
  backing: { name: 'base.vmdk', content, options: {} },
  create: async (directory: Directory) => {
    const base = directory.disk('base.vmdk');
    await vmdk.create?.(base, { size: Math.ceil(content.length / 512) * 512 });
    const disk = await vmdk.open(base);
    await disk.write?.(0, content);
    await disk.close();
    await vmdk.create?.(directory.storage('image'), {
      size,
      options: { backing_file: 'base.vmdk' },
      resolver: { open: (reference) => Promise.resolve(directory.disk(reference.name)) },
    });
  },
});
