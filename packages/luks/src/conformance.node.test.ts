/** The recorded LUKS image of the conformance data, where that data is there. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { MemoryStorage } from '@emkit/storage';
import { luks } from './index.ts';

const directory = new URL('../../../../shared/conformance/disk-images/', import.meta.url);
interface Entry {
  readonly name: string;
  readonly format: string;
  readonly info: { readonly json: Record<string, unknown> };
  readonly read: { readonly sha256: string };
}

it.skipIf(!existsSync(directory))('agrees with qemu-img about the recorded image', async () => {
  const manifest = JSON.parse(readFileSync(new URL('manifest.json', directory), 'utf8')) as { images: Entry[] };
  const entry = manifest.images.find((image) => image.format === 'luks');
  if (entry === undefined) throw new Error('the data has no LUKS image');
  const bytes = gunzipSync(readFileSync(new URL(`images/${entry.name}.gz`, directory)));
  const image = await luks.open(new MemoryStorage(bytes), { secret: () => new TextEncoder().encode('tiger') });
  const data = new Uint8Array(image.size);
  await image.read(0, data);
  expect(createHash('sha256').update(data).digest('hex')).toBe(entry.read.sha256);
  const info = await image.info();
  expect(info.virtualSize).toBe(entry.info.json['virtual-size']);
  expect(info.formatSpecific).toEqual(entry.info.json['format-specific']);
});
