/** The raw images of the recorded conformance data: sizes, content and maps as qemu-img 7.2 saw them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { MemoryStorage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { raw } from '../src/index.ts';

const DATA = new URL('../../../../shared/conformance/disk-images/', import.meta.url);

interface Recorded {
  readonly name: string;
  readonly format: string;
  readonly info: { readonly json: Record<string, unknown> };
  readonly map: { readonly json: readonly { start: number; length: number; zero: boolean; data: boolean }[] };
  readonly read: { readonly sha256: string };
}

const present = existsSync(new URL('manifest.json', DATA));
const images = present
  ? (JSON.parse(readFileSync(new URL('manifest.json', DATA), 'utf8')) as { images: Recorded[] }).images
  : [];

describe.skipIf(!present)('recorded raw images', () => {
  it.each(images.filter(({ format }) => format === 'raw'))('$name', async (recorded) => {
    const bytes = gunzipSync(readFileSync(new URL(`images/${recorded.name}.gz`, DATA)));
    const image = await raw.open(new MemoryStorage(bytes));
    const info = await image.info();
    expect(info.virtualSize).toBe(recorded.info.json['virtual-size']);
    expect(info.dirty).toBe(recorded.info.json['dirty-flag']);
    const content = new Uint8Array(image.size);
    await image.read(0, content);
    expect(createHash('sha256').update(content).digest('hex')).toBe(recorded.read.sha256);
    for (const { start, length, zero, data } of recorded.map.json)
      if (length > 0) expect(await image.status(start, length)).toMatchObject({ length, zero, data, offset: start });
  });
});
