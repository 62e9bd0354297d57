/** Kinds of images that qemu-img does not make, but reads: it and we agree about them. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { vmdk } from '../src/index.ts';
import { cowd, descriptorText, seSparse, sparseWithoutTables, streamWithFooter } from '../test/craft.ts';
import { openFile, resolverFor } from '../test/node-files.ts';
import { Workshop } from './qemu.ts';

const noise = (size: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (Math.imul(i + seed * 7919, 2654435761) >>> 13) & 255);

describe('images of other makers', () => {
  const shop = new Workshop();
  afterAll(() => shop.close());
  const resolver = resolverFor(shop.directory);
  const open = (name: string, readOnly = true): Promise<BlockImage> =>
    vmdk.open(openFile(shop.path(name), readOnly ? 'r' : 'r+', name), { resolver });

  async function expectSame(name: string): Promise<void> {
    const image = await open(name);
    const content = new Uint8Array(image.size);
    await image.read(0, content);
    shop.run('qemu-img', 'convert', '-f', 'vmdk', '-O', 'raw', name, 'out.raw');
    const theirs = new Uint8Array(readFileSync(shop.path('out.raw')));
    expect(theirs.length).toBe(content.length);
    expect(Buffer.compare(theirs, content)).toBe(0);
    const json = JSON.parse(shop.run('qemu-img', 'info', '--output=json', name)) as Record<string, unknown>;
    expect((await image.info()).formatSpecific).toEqual(json['format-specific']);
    const map = JSON.parse(shop.run('qemu-img', 'map', '--output=json', name)) as {
      start: number;
      length: number;
      data: boolean;
      zero: boolean;
      present: boolean;
      offset?: number;
    }[];
    for (const entry of map) {
      const status = await image.status(entry.start, entry.length);
      const { data, allocated: present, offset } = status;
      if (image.backing === undefined)
        expect({ start: entry.start, data, present, offset }).toEqual({
          start: entry.start,
          data: entry.data,
          present: entry.present,
          offset: entry.offset,
        });
    }
  }

  it('a stream with its directory at the end', async () => {
    const pieces = [0, 1, 5, 600, 1023].map((grain) => ({ grain, data: noise(65536, grain) }));
    writeFileSync(shop.path('stream.vmdk'), streamWithFooter(1024 * 128, pieces));
    await expectSame('stream.vmdk');
  });

  it('the deltas of ESX 4 to 6', async () => {
    const pieces = [0, 1, 2, 7, 5000, 8191].map((grain) => ({ grain, data: noise(512, grain + 1) }));
    writeFileSync(shop.path('d-delta.vmdk'), cowd(8192, pieces));
    writeFileSync(shop.path('d.vmdk'), descriptorText('vmfsSparse', ['RW 8192 VMFSSPARSE "d-delta.vmdk"']));
    await expectSame('d.vmdk');
  });

  it('the deltas of ESX 6.5', async () => {
    const pieces = [0, 1, 9, 4096, 5000].map((grain) => ({ grain, data: noise(4096, grain + 1) }));
    const other = { zeroed: [2, 3], unmapped: [4] };
    writeFileSync(shop.path('e-sesparse.vmdk'), seSparse(8192 * 8, pieces, other));
    writeFileSync(shop.path('e.vmdk'), descriptorText('seSparse', ['RW 65536 SESPARSE "e-sesparse.vmdk"']));
    await expectSame('e.vmdk');
  });

  it('the disks of ESX', async () => {
    writeFileSync(shop.path('f-flat.vmdk'), noise(1048576, 3));
    writeFileSync(shop.path('f.vmdk'), descriptorText('vmfs', ['RW 2048 VMFS "f-flat.vmdk"']));
    await expectSame('f.vmdk');
  });

  it('a delta of ESX over its disk', async () => {
    const pieces = [0, 3, 2047].map((grain) => ({ grain, data: noise(512, grain + 50) }));
    writeFileSync(shop.path('g-delta.vmdk'), cowd(2048, pieces));
    const text = descriptorText('vmfsSparse', ['RW 2048 VMFSSPARSE "g-delta.vmdk"'], 'parentFileNameHint="f.vmdk"\n');
    writeFileSync(shop.path('g.vmdk'), text.replace('parentCID=ffffffff', 'parentCID=12345678'));
    await expectSame('g.vmdk');
  });

  it.each([true, false])('tables that do not exist yet are made; redundant ones: %s', async (isRedundant) => {
    const size = 3 * 32 * 1048576;
    writeFileSync(shop.path('n.vmdk'), sparseWithoutTables(size / 512, isRedundant));
    const image = await open('n.vmdk', false);
    await image.write?.(70_000, noise(100_000, 1));
    await image.flush?.();
    await image.write?.(65 * 1048576, noise(65536, 2));
    await image.close();
    await expectSame('n.vmdk');
    expect(shop.try('qemu-img', 'check', 'n.vmdk').exit).toBe(0);
  });
});
