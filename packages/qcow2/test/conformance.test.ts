/** The recorded qcow2 images, good and damaged: whether they open, what info and map say, and every byte, as qemu-img 7.2 saw them. */
import { createHash } from 'node:crypto';
import { isBlockError, type BlockImage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { qcow2 } from '../src/index.ts';
import { isPresent, load, openImage, recorded, type MapEntry, type Recorded } from './fixtures.ts';

/** A passphrase opens these: the tests of encryption have them. */
const images = recorded().filter(({ format, image_opts }) => format === 'qcow2' && image_opts === undefined);
const CHUNK = 1024 * 1024;

/** 'refused', or the content's hash. */
async function content(name: string): Promise<string> {
  try {
    const image = await openImage(load(name));
    const hash = createHash('sha256');
    for (let at = 0; at < image.size; at += CHUNK) {
      const bytes = new Uint8Array(Math.min(CHUNK, image.size - at));
      await image.read(at, bytes);
      hash.update(bytes);
    }
    await image.close();
    return hash.digest('hex');
  } catch (error) {
    if (isBlockError(error)) return 'refused';
    throw error;
  }
}

async function info(name: string): Promise<unknown> {
  try {
    const image = await qcow2.open(load(name), { readOnly: true, metadataOnly: true });
    const { virtualSize, clusterSize, dirty, formatSpecific } = await image.info();
    return {
      'virtual-size': virtualSize,
      'cluster-size': clusterSize,
      'dirty-flag': dirty,
      'format-specific': formatSpecific,
      'backing-filename': image.backingReference?.name,
      'backing-filename-format': image.backingReference?.format,
    };
  } catch (error) {
    if (isBlockError(error)) return 'refused';
    throw error;
  }
}

const INFO_KEYS = ['virtual-size', 'cluster-size', 'dirty-flag', 'format-specific', 'backing-filename'];

function recordedInfo({ info: { exit, json } }: Recorded): unknown {
  if (exit !== 0) return 'refused';
  const pick = [...INFO_KEYS, 'backing-filename-format'].map((key) => [key, json[key]]);
  return Object.fromEntries(pick) as unknown;
}

/** The layers below are told apart by depth; only this one's parts are compared. */
async function compareMap(image: BlockImage, map: readonly MapEntry[]): Promise<void> {
  for (const { start, length, depth, present, zero, data, offset } of map) {
    for (let at = start; at < start + length;) {
      const status = await image.status(at, start + length - at);
      const place = offset === undefined ? undefined : offset + at - start;
      if (depth > 0) expect(status.allocated).toBe(false);
      else expect(status, `at ${at}`).toMatchObject({ allocated: present, data });
      // holes of the file are not in what was recorded of it here
      if (depth === 0 && !data) expect(status.zero).toBe(zero);
      if (depth === 0) expect(status.offset, `at ${at}`).toBe(place);
      at += status.length;
    }
  }
}

describe.skipIf(!isPresent)('recorded qcow2 images', () => {
  it.each(images)('$name: $what', async (image) => {
    expect(await info(image.name)).toEqual(recordedInfo(image));
    if (image.read !== undefined)
      expect(await content(image.name)).toBe(image.read.exit === 0 ? image.read.sha256 : 'refused');
    if (image.kind === 'good' && image.map?.json) await compareMap(await openImage(load(image.name)), image.map.json);
  });
});
