/** The qed images of the recorded conformance data, good and damaged: info, map, check and content as qemu-img 7.2 saw them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { BlockError, MemoryStorage } from '@emkit/storage';
import type { BlockImage, Reference, Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { qed } from '../src/index.ts';

const DATA = new URL('../../../../shared/conformance/disk-images/', import.meta.url);

interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

interface Recorded {
  readonly name: string;
  readonly format: string;
  readonly kind: string;
  readonly info: { readonly exit: number; readonly json: Record<string, unknown> };
  readonly map: { readonly exit: number; readonly json: readonly MapEntry[] };
  readonly check: { readonly exit: number; readonly json: Record<string, number | undefined> };
  readonly read: { readonly exit: number; readonly sha256: string };
}

const present = existsSync(new URL('manifest.json', DATA));
const images = present
  ? (JSON.parse(readFileSync(new URL('manifest.json', DATA), 'utf8')) as { images: Recorded[] }).images
  : [];
const load = (name: string) => new MemoryStorage(gunzipSync(readFileSync(new URL(`images/${name}.gz`, DATA))));

/** Read only, as qemu-img opens for these commands. */
async function openChain(name: string): Promise<BlockImage> {
  const resolver = {
    open: ({ name: other }: Reference): Promise<Storage> =>
      other.endsWith('.qed') ? openChain(other) : Promise.resolve(load(other)),
  };
  return qed.open(load(name), { readOnly: true, resolver });
}

const refused = (promise: Promise<unknown>) => expect(promise).rejects.toBeInstanceOf(BlockError);

describe.skipIf(!present)('recorded qed images', () => {
  it.each(images.filter(({ format, kind }) => format === 'qed' && kind !== 'qemu-refuses'))(
    '$name',
    async (recorded) => {
      const bare = () => qed.open(load(recorded.name), { readOnly: true, backing: 'none' });
      if (recorded.info.exit !== 0) return refused(bare());
      await compareInfo(await bare(), recorded);
      await compareCheck(
        await qed.open(load(recorded.name), { readOnly: true, backing: 'none', forCheck: true }),
        recorded,
      );
      const image = await openChain(recorded.name);
      const content = new Uint8Array(image.size);
      if (recorded.read.exit !== 0) return refused(image.read(0, content));
      await image.read(0, content);
      expect(createHash('sha256').update(content).digest('hex')).toBe(recorded.read.sha256);
      await compareMap(image, recorded.map.json);
    },
  );

  it('opens what the specification allows, though QEMU refuses it', async () => {
    const image = await qed.open(load('q4096-1.qed'), { readOnly: true });
    expect([image.size, image.clusterSize]).toEqual([4195840, 4096]);
    expect(await image.check!()).toMatchObject({ corruptions: 0, leaks: 0 });
  });
});

async function compareInfo(image: BlockImage, recorded: Recorded): Promise<void> {
  const info = await image.info();
  const { json } = recorded.info;
  expect(info.virtualSize).toBe(json['virtual-size']);
  expect(info.clusterSize).toBe(json['cluster-size']);
  expect(info.dirty).toBe(json['dirty-flag']);
  expect(image.backingReference?.name).toBe(json['backing-filename']);
  expect(image.backingReference?.format).toBe(json['backing-filename-format']);
}

async function compareCheck(image: BlockImage, recorded: Recorded): Promise<void> {
  const result = await image.check!();
  const { json } = recorded.check;
  expect({
    corruptions: result.corruptions,
    leaks: result.leaks,
    'check-errors': result.checkErrors,
    'total-clusters': result.totalClusters,
    'allocated-clusters': result.allocatedClusters,
    'fragmented-clusters': result.fragmentedClusters,
  }).toEqual({
    corruptions: json['corruptions'] ?? 0,
    leaks: json['leaks'] ?? 0,
    'check-errors': json['check-errors'],
    'total-clusters': json['total-clusters'],
    'allocated-clusters': json['allocated-clusters'] ?? 0,
    'fragmented-clusters': json['fragmented-clusters'] ?? 0,
  });
}

async function compareMap(image: BlockImage, map: readonly MapEntry[]): Promise<void> {
  for (const { start, length, depth, present, zero, data, offset } of map) {
    const status = await image.status(start, length);
    if (depth > 0) {
      expect(status).toMatchObject({ length, allocated: false });
      continue;
    }
    expect(status, `at ${start}`).toMatchObject({ length, allocated: present, zero, data });
    expect(status.offset).toBe(offset);
  }
}
