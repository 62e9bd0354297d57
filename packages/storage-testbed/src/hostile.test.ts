/** The hostile side sees what it is there for. */
import { describe, expect, it } from 'vitest';
import { AllocationGuard } from './allocation-guard.ts';
import { Disk } from './disk.ts';
import { fuzzImages } from './fuzz-images.ts';
import { HostileStorage } from './hostile-storage.ts';
import { createImage } from './image-setup.ts';
import { Mutator } from './mutator.ts';
import { toyDriver } from './toy-format.ts';
import type { ToyBug } from './toy-format.ts';

async function fuzzToy(bug?: ToyBug): Promise<readonly string[]> {
  const setup = { driver: toyDriver(bug), size: 64 * 1024 };
  const samples = [{ setup, directory: await createImage(setup) }];
  const fields = [0, 4, 8, 12, 512].map((offset) => ({ offset, size: 4 as const }));
  const { findings, opened, inputs } = await fuzzImages({
    seed: 1,
    iterations: 600,
    samples,
    fields,
    allocation: 1 << 20,
  });
  expect(opened).toBeGreaterThan(inputs / 20);
  return findings;
}

describe('fuzzImages', () => {
  it('finds nothing in a format that checks its fields', async () => {
    expect(await fuzzToy()).toEqual([]);
  });

  it('finds a count that is believed', async () => {
    expect((await fuzzToy('missing-bound')).join('\n')).toMatch(/over budget|RangeError|Invalid typed array length/);
  });
});

describe('HostileStorage', () => {
  it('ends a reader that reads for ever, and counts', async () => {
    const storage = new HostileStorage(new Disk(4096), { calls: 10, request: 1000 });
    for (let i = 0; i < 9; i++) await storage.read(0, new Uint8Array(100));
    expect(storage).toMatchObject({ bytesRead: 900, largest: 100, calls: 9, exceeded: undefined });
    await expect(storage.read(0, new Uint8Array(1001))).rejects.toThrow('over budget');
    await expect(storage.read(0, new Uint8Array(1))).rejects.toThrow('11 calls');
  });

  it('has no room for ever more', async () => {
    const storage = new HostileStorage(new Disk(), { size: 1000 });
    await storage.write(999, new Uint8Array(1));
    await expect(storage.write(1000, new Uint8Array(1))).rejects.toMatchObject({ kind: 'no-space' });
    await expect(storage.truncate(2 ** 50)).rejects.toMatchObject({ kind: 'no-space' });
  });
});

describe('AllocationGuard', () => {
  it('refuses what is over the limit, and leaves the constructors as they were', async () => {
    const original = Uint8Array;
    const guard = new AllocationGuard(1000);
    await guard.run(async () => {
      expect(new Uint8Array(1000).length).toBe(1000);
      expect(() => new Uint32Array(251)).toThrow('over budget');
    });
    expect(guard).toMatchObject({ largest: 1004, exceeded: 'Uint32Array of 1004 bytes' });
    expect(Uint8Array).toBe(original);
  });
});

describe('Mutator', () => {
  it('repeats itself from the seed, and changes the disk', () => {
    const once = (seed: number): [string, string] => {
      const disk = new Disk(Uint8Array.from({ length: 2000 }, (_, i) => (i < 100 ? 65 + (i % 26) : i)));
      const what = new Mutator(seed).mutate(disk, { text: 100, fields: [{ offset: 8, size: 8 }] });
      return [what, disk.bytes().join()];
    };
    const all = Array.from({ length: 200 }, (_, seed) => once(seed));
    expect(once(7)).toEqual(all[7]);
    expect(new Set(all.map(([what]) => what)).size).toBeGreaterThan(150);
  });
});
