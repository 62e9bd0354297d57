/** Images that qemu-img 7.2 made, good and damaged: the same is accepted and refused, and the same is read, said and found. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { isBlockError, type BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { vmdk } from '../src/index.ts';
import { openFile, resolverFor } from './node-files.ts';

interface Result {
  readonly exit: number;
  readonly json: Record<string, unknown> | null;
}
interface Row {
  readonly name: string;
  readonly format: string;
  readonly what: string;
  readonly files: readonly string[];
  readonly info: Result;
  readonly check?: Result;
  readonly map?: Result;
  readonly read?: { readonly exit: number; readonly sha256: string };
}

const DATA = resolve(import.meta.dirname, '../../../../shared/conformance/disk-images');
const rows = existsSync(DATA)
  ? (JSON.parse(readFileSync(join(DATA, 'manifest.json'), 'utf8')) as { images: Row[] }).images.filter(
      (row) => row.format === 'vmdk',
    )
  : [];
const directory = mkdtempSync(join(tmpdir(), 'vmdk-conformance-'));
afterAll(() => rmSync(directory, { recursive: true }));
if (rows.length > 0)
  for (const file of new Set([...rows.flatMap((row) => row.files), 'vbase.vmdk', 'src.raw']))
    writeFileSync(join(directory, file), gunzipSync(readFileSync(join(DATA, 'images', `${file}.gz`))));

function open(name: string, options: { backing?: 'none'; forCheck?: boolean } = {}): Promise<BlockImage> {
  const file = openFile(join(directory, name), 'r', name);
  return vmdk.open(file, { resolver: resolverFor(directory), ...options });
}

/** QEMU's exit code: 0, or 1 for what it refuses; a crash of it is an error to us. */
async function exitOf(work: () => Promise<unknown>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (isBlockError(error)) return 1;
    throw error;
  }
}

describe.skipIf(rows.length === 0)('vmdk images of qemu-img 7.2', () => {
  it.each(rows.map((row) => [row.name, row.what, row] as const))('%s: %s', async (_name, _what, row) => {
    let info: Record<string, unknown> = {};
    const infoExit = await exitOf(async () => {
      const image = await open(row.name, { backing: 'none' });
      const said = await image.info();
      info = {
        'virtual-size': said.virtualSize,
        filename: row.name,
        ...(said.clusterSize === undefined ? {} : { 'cluster-size': said.clusterSize }),
        format: said.format,
        'format-specific': said.formatSpecific,
        'dirty-flag': said.dirty,
        ...(image.backingReference === undefined
          ? {}
          : {
              'backing-filename': image.backingReference.name,
              'backing-filename-format': image.backingReference.format,
            }),
      };
    });
    expect(infoExit).toBe(row.info.exit < 0 ? 1 : row.info.exit);
    if (infoExit === 0) expect(info).toEqual(row.info.json);

    if (row.check !== undefined)
      expect(await exitOf(async () => (await open(row.name, { backing: 'none', forCheck: true })).check?.())).toBe(
        row.check.exit,
      );

    if (row.read !== undefined) {
      const { read } = row;
      const readExit = await exitOf(async () => {
        const image = await open(row.name);
        const content = new Uint8Array(image.size);
        await image.read(0, content);
        expect(createHash('sha256').update(content).digest('hex')).toBe(read.sha256);
      });
      expect(readExit).toBe(read.exit < 0 ? 1 : read.exit);
    }

    if (row.map?.exit === 0 && infoExit === 0) expect(await ourMap(await open(row.name))).toEqual(row.map.json);
  });
});

interface MapEntry {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  offset?: number;
}

/** As `qemu-img map --output=json`: the chain's status, neighbours merged. Holes of flat files are found by looking at 4 KiB pieces. */
async function ourMap(top: BlockImage): Promise<MapEntry[]> {
  const map: MapEntry[] = [];
  for (let at = 0; at < top.size;) {
    let image: BlockImage | undefined = top;
    let length = top.size - at;
    let entry: MapEntry | undefined;
    for (let depth = 0; image !== undefined && at < image.size; depth++) {
      const status = await image.status(at, Math.min(length, image.size - at));
      length = status.length;
      const { zero, data, offset, allocated } = status;
      entry = { start: at, length, depth, present: allocated, zero, data, ...(offset === undefined ? {} : { offset }) };
      if (allocated) break;
      image = image.backing as BlockImage | undefined;
    }
    const found = entry as MapEntry;
    const last = map.at(-1);
    const joins =
      last !== undefined &&
      last.depth === found.depth &&
      last.present === found.present &&
      last.zero === found.zero &&
      last.data === found.data &&
      (found.offset === undefined
        ? last.offset === undefined
        : last.offset !== undefined && last.offset + last.length === found.offset);
    if (joins) last.length += found.length;
    else map.push(found);
    at += found.length;
  }
  return map;
}
