/** Images on a real web server, read by ranges; in Chromium from a page of another origin. The server counts. */
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { HttpRangeStorage } from '@emkit/storage-web';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { list } from '../examples/list.ts';
import { qcow2 } from './index.ts';

interface Traffic {
  readonly requests: number;
  readonly bytes: number;
  readonly preflights: number;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** What the storage fetches at least. */
const BLOCK = 65536;
const { url, hasRecorded } = inject('imageServer');

/** One MiB of data every 2.5 GiB, so that each piece has an L2 table of its own; the last one is compressed. */
const PIECES = Array.from({ length: 24 }, (_, i) => i * 2.5 * GIB + 3 * MIB);

function content(seed: number, length = MIB): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i >> 9) * 5 + i + seed * 37;
  return bytes;
}

/** 64 GiB, of which 24 MiB are there. Returns where it is served. */
async function serveLarge(): Promise<string> {
  const image = new MemoryStorage();
  await qcow2.create!(image, { size: 64 * GIB });
  const disk = await qcow2.open(image);
  for (const [i, at] of PIECES.entries())
    if (i < PIECES.length - 1) await disk.write!(at, content(i));
    else for (let k = 0; k < MIB; k += BLOCK) await disk.writeCompressed!(at + k, content(i).subarray(k, k + BLOCK));
  await disk.close();
  const { status } = await fetch(`${url}/large.qcow2`, { method: 'PUT', body: image.bytes() as never });
  expect(status).toBe(201);
  return `${url}/large.qcow2`;
}

async function traffic(file: string): Promise<Traffic> {
  return (await (await fetch(`${file}?traffic`)).json()) as Traffic;
}

/** What `work` takes. */
async function trafficOf(file: string, work: () => Promise<void>): Promise<Traffic> {
  const before = await traffic(file);
  await work();
  const after = await traffic(file);
  return {
    requests: after.requests - before.requests,
    bytes: after.bytes - before.bytes,
    preflights: after.preflights - before.preflights,
  };
}

describe('an image on a web server', () => {
  let file: string;
  beforeAll(async () => {
    file = await serveLarge();
  });

  it('opens with two requests, and reads at several places with two each', async () => {
    let storage!: HttpRangeStorage;
    let disk!: BlockImage;
    const opened = await trafficOf(file, async () => {
      storage = await HttpRangeStorage.open(file);
      disk = await qcow2.open(storage);
    });
    expect([disk.size, storage.size > 23 * MIB]).toEqual([64 * GIB, true]);
    expect(opened.requests).toBeLessThanOrEqual(2);

    const places = [17, 0, 9, 23, 4, 12];
    const readAll = async (): Promise<void> => {
      for (const i of places) {
        const bytes = new Uint8Array(5000);
        await disk.read(PIECES[i] + 7 * BLOCK + 1000, bytes);
        expect(bytes).toEqual(content(i).subarray(7 * BLOCK + 1000, 7 * BLOCK + 6000));
      }
      const hole = new Uint8Array(5000).fill(1);
      await disk.read(PIECES[5] + 2 * GIB, hole);
      expect(hole).toEqual(new Uint8Array(5000));
    };
    const first = await trafficOf(file, readAll);
    // a table and the data for each place, nothing for the hole; and a page need not ask for leave
    expect(first.requests).toBeLessThanOrEqual(2 * places.length);
    expect(opened.bytes + first.bytes).toBeLessThanOrEqual((opened.requests + first.requests) * BLOCK);
    expect([opened.preflights, first.preflights]).toEqual([0, 0]);
    expect(await trafficOf(file, readAll)).toEqual({ requests: 0, bytes: 0, preflights: 0 });
    await disk.close();
  });

  it('reads in order with requests that grow', async () => {
    const bytes = new Uint8Array(MIB);
    const { requests } = await trafficOf(file, async () => {
      const disk = await qcow2.open(await HttpRangeStorage.open(file));
      for (let k = 0; k < MIB; k += 16384) await disk.read(PIECES[3] + k, bytes.subarray(k, k + 16384));
      await disk.close();
    });
    const wanted = content(3);
    expect(bytes.every((byte, i) => byte === wanted[i])).toBe(true);
    // 64 reads of 16 blocks
    expect(requests).toBeLessThan(12);
  });

  it('is listed by the example', async () => {
    let lines: string[] = [];
    const { requests, bytes } = await trafficOf(file, async () => {
      lines = await list(file);
    });
    expect(lines[0]).toBe(`qcow2: ${64 * GIB} bytes`);
    expect(lines[1]).toBe(`${PIECES[0]}: ${MIB} bytes, first ${String(content(0, 4))}`);
    expect(requests).toBeLessThanOrEqual(2 + 2 * PIECES.length);
    expect(bytes).toBeLessThan(6 * MIB);
  });
});

describe.skipIf(!hasRecorded)('a recorded image on a web server', () => {
  it.each(['c2097152.qcow2', 'z-zlib.qcow2', 'z-zstd.qcow2', 'extl2-16384.qcow2'])(
    '%s has its content',
    async (name) => {
      const manifest = (await (await fetch(`${url}/recorded/manifest.json`)).json()) as {
        readonly images: readonly { readonly name: string; readonly read?: { readonly sha256: string } }[];
      };
      const file = `${url}/recorded/${name}`;
      const storage = await HttpRangeStorage.open(file);
      const disk = await qcow2.open(storage);
      const all = new Uint8Array(disk.size);
      await disk.read(0, all);
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
      const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
      expect(hex).toBe(manifest.images.find((image) => image.name === name)?.read?.sha256);
      // a request takes up to 4 MiB
      const { requests, bytes } = await traffic(file);
      expect(requests).toBeLessThanOrEqual(6);
      expect(bytes).toBeLessThanOrEqual(storage.size);
      await disk.close();
    },
  );
});
