import {
  BlockError,
  isBlockError,
  MemoryStorage,
  type BlockImage,
  type OpenOptions,
  type Resolver,
} from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { createVmdkDriver, vmdk } from './index.ts';
import { Header } from './sparse-header.ts';
import {
  MAX_COMPRESSED_GRAIN_BYTES,
  MAX_DIRECTORY_ENTRIES,
  MAX_GRAIN_BYTES,
  MAX_PARENTS,
  MAX_TABLE_ENTRIES,
} from './limits.ts';

const GRAIN = 65536;
const MIB = 1048576;

async function make(size = MIB, options: Record<string, string> = {}): Promise<MemoryStorage> {
  const file = new MemoryStorage(0, 'disk.vmdk');
  await vmdk.create?.(file, { size, options });
  return file;
}

/** Files by name, as a resolver. */
class Files implements Resolver {
  readonly files = new Map<string, MemoryStorage>();

  open({ name }: { name: string }): Promise<MemoryStorage> {
    const file = this.files.get(name);
    return file === undefined ? Promise.reject(new BlockError('not-found', name)) : Promise.resolve(file);
  }

  create(name: string): Promise<MemoryStorage> {
    const file = new MemoryStorage(0, name);
    this.files.set(name, file);
    return Promise.resolve(file);
  }
}

async function read(image: BlockImage, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length).fill(0xee);
  await image.read(offset, bytes);
  return bytes;
}

async function failure(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'none';
  } catch (error) {
    return isBlockError(error) ? error.kind : `not a BlockError: ${String(error)}`;
  }
}

function patch(file: MemoryStorage, offset: number, width: 1 | 2 | 4 | 8, value: number | bigint): MemoryStorage {
  const bytes = new Uint8Array(width);
  const view = new DataView(bytes.buffer);
  if (width === 8) view.setBigUint64(0, BigInt(value), true);
  else if (width === 4) view.setUint32(0, Number(value), true);
  else if (width === 2) view.setUint16(0, Number(value), true);
  else view.setUint8(0, Number(value));
  const copy = new MemoryStorage(file.bytes(), file.name);
  void copy.write(offset, bytes);
  return copy;
}

function u64(file: MemoryStorage, offset: number): number {
  return Number(new DataView(file.bytes().buffer).getBigUint64(offset, true));
}

const open = (file: MemoryStorage, options: OpenOptions = {}): Promise<BlockImage> => vmdk.open(file, options);

describe('a sparse disk', () => {
  it('keeps both copies of its tables equal', async () => {
    const file = await make();
    const image = await open(file);
    await image.write?.(3 * GRAIN + 5, new Uint8Array(GRAIN).fill(7));
    await image.close();
    const table = (directory: number): Uint8Array => {
      const at = new DataView(file.bytes().buffer).getUint32(u64(file, directory) * 512, true) * 512;
      return file.bytes().subarray(at, at + 2048);
    };
    expect(table(Header.gdOffset)).toEqual(table(Header.rgdOffset));
    expect(table(Header.gdOffset).some((byte) => byte !== 0)).toBe(true);
  });

  it('is marked as unclean while it is written, and clean once closed', async () => {
    const file = await make();
    const image = await open(file);
    expect(file.bytes()[Header.uncleanShutdown]).toBe(0);
    await image.write?.(0, new Uint8Array(512).fill(1));
    expect(file.bytes()[Header.uncleanShutdown]).toBe(1);
    const report: string[] = [];
    const crashed = await open(new MemoryStorage(file.bytes()), { forCheck: true, readOnly: true });
    await crashed.check?.({ report: (line) => report.push(line) });
    expect(report).toEqual(['The image was not closed in order']);
    await image.close();
    expect(file.bytes()[Header.uncleanShutdown]).toBe(0);
  });

  it('gets a new CID with the first write, and only then', async () => {
    const file = await make();
    const cid = async (): Promise<unknown> => (await (await open(file)).info()).formatSpecific?.data['cid'];
    const before = await cid();
    const image = await open(file);
    await image.read(0, new Uint8Array(512));
    await image.close();
    expect(await cid()).toBe(before);
    const writer = await open(file);
    await writer.write?.(0, new Uint8Array(512));
    const during = (await writer.info()).formatSpecific?.data['cid'];
    expect(during).not.toBe(before);
    await writer.write?.(0, new Uint8Array(512));
    await writer.close();
    expect(await cid()).toBe(during);
  });

  it.each(['abcdef01', '691c86c', '12345', 'f', '0'])('finds room for a new CID where %s stood', async (digits) => {
    const text = `# Disk DescriptorFile\nversion=1\nCID=${digits}\nparentCID=ffffffff\ncreateType="custom"\nRW 8 FLAT "a" 0\n`;
    const file = new MemoryStorage(
      Uint8Array.from(text, (char) => char.charCodeAt(0)),
      'd.vmdk',
    );
    const files = new Files();
    await (await files.create('a')).truncate(4096);
    const image = await open(file, { resolver: files });
    await image.write?.(0, new Uint8Array(512).fill(3));
    await image.close();
    const said = String.fromCharCode(...file.bytes());
    expect(said.replace(/^CID=[0-9a-f]+$/m, '')).toBe(text.replace(/^CID=[0-9a-f]+$/m, ''));
    expect(said).not.toBe(text);
    await open(file, { resolver: files });
  });

  it('joins neighbours into one request of the file', async () => {
    const file = await make();
    const image = await open(file);
    await image.write?.(0, new Uint8Array(512));
    const calls: string[] = [];
    const write = file.write.bind(file);
    const readFile = file.read.bind(file);
    file.write = (offset, bytes) => (calls.push(`write ${bytes.length}`), write(offset, bytes));
    file.read = (offset, bytes) => (calls.push(`read ${bytes.length}`), readFile(offset, bytes));
    await image.write?.(GRAIN, new Uint8Array(8 * GRAIN).fill(1));
    await image.write?.(2 * GRAIN + 3, new Uint8Array(4 * GRAIN).fill(2));
    await image.read(GRAIN, new Uint8Array(8 * GRAIN));
    expect(calls).toEqual([`write ${8 * GRAIN}`, `write ${4 * GRAIN}`, `read ${8 * GRAIN}`]);
  });

  it('writes entries after the data, and only when flushed', async () => {
    const file = await make();
    const image = await open(file);
    const log: string[] = [];
    const write = file.write.bind(file);
    const dataStart = u64(file, Header.overHead) * 512;
    const place = (offset: number): string => (offset >= dataStart ? 'data' : offset < 21 * 512 ? 'header' : 'table');
    file.write = (offset, bytes) => (log.push(place(offset)), write(offset, bytes));
    file.flush = () => (log.push('flush'), Promise.resolve());
    await image.write?.(0, new Uint8Array(2 * GRAIN).fill(1));
    await image.write?.(5 * GRAIN, new Uint8Array(GRAIN).fill(1));
    expect(log).toEqual(['header', 'flush', 'header', 'data', 'data']);
    log.length = 0;
    await image.flush?.();
    expect(log).toEqual(['flush', 'table', 'table', 'flush']);
    log.length = 0;
    await image.flush?.();
    expect(log).toEqual(['flush']);
  });

  it('has no place for zeroes: known ones cost an entry, others nothing', async () => {
    const file = await make(MIB, { zeroed_grain: 'on' });
    const image = await open(file);
    await image.write?.(0, new Uint8Array(4 * GRAIN).fill(1));
    await image.flush?.();
    const { size } = file;
    await image.writeZeroes?.(GRAIN, 2 * GRAIN);
    await image.writeZeroes?.(8 * GRAIN + 17, 3 * GRAIN);
    await image.close();
    expect(file.size).toBe(size);
    const again = await open(file);
    expect(await again.status(GRAIN, 2 * GRAIN)).toEqual({
      length: 2 * GRAIN,
      allocated: true,
      zero: true,
      data: false,
    });
    expect((await again.status(0, MIB)).length).toBe(GRAIN);
    expect((await read(again, 0, 4 * GRAIN)).filter((byte) => byte === 1)).toHaveLength(2 * GRAIN);
  });

  it.each(['on', 'off'])('zeroes a part of its last, short grain (zeroed_grain=%s)', async (zeroed) => {
    const image = await open(await make(GRAIN + 1024, { zeroed_grain: zeroed }));
    await image.write?.(0, new Uint8Array(GRAIN + 1024).fill(1));
    await image.writeZeroes?.(GRAIN + 100, 924);
    expect(await read(image, GRAIN, 1024)).toEqual(new Uint8Array(1024).fill(1, 0, 100));
    await image.writeZeroes?.(GRAIN, 1024);
    expect(await read(image, GRAIN - 1, 1025)).toEqual(new Uint8Array(1025).fill(1, 0, 1));
  });

  it('does not write where a damaged table points', async () => {
    const file = await make();
    const table = new DataView(file.bytes().buffer).getUint32(u64(file, Header.gdOffset) * 512, true) * 512;
    for (const sector of [1, 21, 0x7fffffff, 0xffffffff]) {
      const bad = patch(file, table, 4, sector);
      const before = bad.bytes();
      const image = await open(bad);
      expect(await failure(() => image.write?.(0, new Uint8Array(512).fill(9)) ?? Promise.resolve())).toBe(
        'corrupt-image',
      );
      expect(bad.size).toBe(before.length);
      expect(bad.bytes().subarray(21 * 512)).toEqual(before.subarray(21 * 512));
    }
    for (const value of [0x7fffffff, 1, 0xffffffff].filter((sector) => sector > 1)) {
      const image = await open(patch(file, u64(file, Header.gdOffset) * 512, 4, value));
      expect(await failure(() => image.write?.(0, new Uint8Array(512)) ?? Promise.resolve())).toBe('corrupt-image');
      expect(await read(image, 0, 512)).toEqual(new Uint8Array(512));
    }
  });

  it('that was damaged by a transfer as text is read, and not written', async () => {
    const file = patch(await make(), Header.singleEndLineChar, 4, 0x0a0a0d0a);
    expect((await open(file)).readOnly).toBe(true);
    expect(await failure(() => open(file, { readOnly: false }))).toBe('read-only');
    expect((await open(patch(file, Header.singleEndLineChar, 4, 0))).readOnly).toBe(false);
  });

  it('is full at 2 TiB, which is as far as its entries reach', async () => {
    const file = await make();
    await file.truncate(2 ** 41 - 2 * GRAIN);
    const image = await open(file);
    const grain = new Uint8Array(GRAIN).fill(4);
    await image.write?.(0, grain);
    await image.write?.(5 * GRAIN, grain);
    expect(await failure(() => image.write?.(7 * GRAIN, grain) ?? Promise.resolve())).toBe('no-space');
    await image.close();
    expect(await read(await open(file), 5 * GRAIN, GRAIN)).toEqual(grain);
  });

  it('is opened in no time, whatever its size', async () => {
    const file = await make(10 * 2 ** 40);
    const reads: number[] = [];
    const readFile = file.read.bind(file);
    file.read = (offset, bytes) => (reads.push(bytes.length), readFile(offset, bytes));
    const image = await open(file);
    expect(image.size).toBe(10 * 2 ** 40);
    await image.write?.(9 * 2 ** 40, new Uint8Array(512).fill(1));
    expect((await read(image, 9 * 2 ** 40, 1))[0]).toBe(1);
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(2 ** 18);
  });
});

describe('limits', () => {
  const cases: [string, number, 4 | 8, number, number][] = [
    ['entries of a table', Header.numGTEsPerGT, 4, MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES + 1],
    ['grain', Header.grainSize, 8, MAX_GRAIN_BYTES / 512, MAX_GRAIN_BYTES / 512 + 1],
    ['directory', Header.capacity, 8, MAX_DIRECTORY_ENTRIES * 65536, MAX_DIRECTORY_ENTRIES * 65536 + 1],
  ];
  it.each(cases)('%s: at the limit it opens, beyond it does not', async (_, field, width, most, more) => {
    const file = await make();
    const image = await open(patch(file, field, width, most));
    await image.read(0, new Uint8Array(512));
    for (const value of [more, width === 8 ? 2 ** 48 : 2 ** 31, 0])
      if (value !== 0 || field !== Header.capacity)
        expect(await failure(() => open(patch(file, field, width, value)))).toBe('invalid-format');
    if (width === 8) expect(await failure(() => open(patch(file, field, 8, 2n ** 64n - 1n)))).toBe('invalid-format');
  });

  it('compressed grains', async () => {
    const file = await make(64 * MIB, { subformat: 'streamOptimized' });
    await open(patch(file, Header.grainSize, 8, MAX_COMPRESSED_GRAIN_BYTES / 512));
    const more = patch(file, Header.grainSize, 8, MAX_COMPRESSED_GRAIN_BYTES / 512 + 1);
    expect(await failure(() => open(more))).toBe('invalid-format');
  });

  it('parents', async () => {
    const files = new Files();
    const base = await files.create('0');
    await vmdk.create?.(base, { size: MIB });
    for (let n = 1; n <= MAX_PARENTS + 1; n++)
      await vmdk.create?.(await files.create(String(n)), {
        size: MIB,
        options: { backing_file: String(n - 1) },
        resolver: files,
      });
    const file = (n: number): MemoryStorage => files.files.get(String(n)) as MemoryStorage;
    const image = await open(file(MAX_PARENTS), { resolver: files });
    await image.read(0, new Uint8Array(512));
    expect(await failure(() => open(file(MAX_PARENTS + 1), { resolver: files }))).toBe('invalid-format');
  });
});

describe('a stream', () => {
  it('is written in whole grains, by a codec of the caller too', async () => {
    const done: string[] = [];
    const driver = createVmdkDriver({
      deflate: (data) => (done.push('deflate'), data.slice(0, 4)),
      inflate: (data, output) => (done.push('inflate'), output.fill(data[0] as number), Promise.resolve(output.length)),
    });
    const file = await make(MIB, { subformat: 'streamOptimized' });
    const image = await driver.open(file);
    await image.writeCompressed?.(2 * GRAIN, new Uint8Array(GRAIN).fill(9));
    await image.close();
    const again = await driver.open(file);
    expect(await read(again, 2 * GRAIN - 2, 4)).toEqual(Uint8Array.of(0, 0, 9, 9));
    const status = { length: GRAIN, allocated: true, data: true, zero: false, compressed: true };
    expect(await again.status(2 * GRAIN, GRAIN)).toEqual(status);
    expect(done).toEqual(['deflate', 'inflate']);
  });

  it('with a grain that is no zlib, or too short, or beyond the end, is corrupt there', async () => {
    const file = await make(MIB, { subformat: 'streamOptimized' });
    const image = await open(file);
    await image.write?.(0, new Uint8Array(GRAIN).fill(5));
    await image.write?.(GRAIN, new Uint8Array(GRAIN).fill(6));
    await image.close();
    const grain = u64(file, Header.overHead) * 512;
    const bad = [
      patch(file, grain + 8, 4, 0),
      patch(file, grain + 8, 4, 0xffffffff),
      patch(file, grain + 8, 4, 2 * GRAIN),
      patch(file, grain + 12, 8, 0xffffffffffffffffn),
      patch(file, grain + 16, 8, 0n),
    ];
    for (const damaged of bad) {
      const disk = await open(damaged);
      expect(await failure(() => read(disk, 0, 512))).toBe('corrupt-image');
      expect((await read(disk, GRAIN, 512))[0]).toBe(6);
    }
  });

  it('inflates into the grain and no further', async () => {
    const bomb = createVmdkDriver({
      deflate: () => Uint8Array.from(BOMB),
      inflate: () => 0,
    });
    const file = await make(MIB, { subformat: 'streamOptimized' });
    const image = await bomb.open(file);
    await image.write?.(0, new Uint8Array(GRAIN).fill(1));
    await image.close();
    const disk = await open(file);
    expect(await read(disk, 0, GRAIN)).toEqual(new Uint8Array(GRAIN).fill(65));
  });
});

/** 256 KiB of "A" in zlib's format: stored, to have it in few lines, would not do; so fixed codes of matches of 258. */
const BOMB = ((): number[] => {
  const bits: number[] = [1, 1, 0];
  const code = (value: number, length: number): void => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  code(0x30 + 65, 8);
  // length 258 is symbol 285, distance 1 is symbol 0
  for (let n = 0; n < 1016; n++) {
    code(0xc0 + 285 - 280, 8);
    code(0, 5);
  }
  code(0, 7);
  const bytes = [0x78, 0x9c];
  for (let at = 0; at < bits.length; at += 8)
    bytes.push(bits.slice(at, at + 8).reduce((sum, bit, i) => sum | (bit << i), 0));
  return [...bytes, 0, 0, 0, 0];
})();

describe('a delta', () => {
  async function chain(): Promise<Files> {
    const files = new Files();
    const base = await files.create('base/base.vmdk');
    await vmdk.create?.(base, { size: MIB, resolver: files });
    const disk = await open(base);
    await disk.write?.(0, new Uint8Array(MIB).fill(1));
    await disk.close();
    const options = { backing_file: 'base/base.vmdk', backing_fmt: 'vmdk' };
    await vmdk.create?.(await files.create('top.vmdk'), { size: MIB + GRAIN, options, resolver: files });
    return files;
  }

  it('shows its parent, and zeroes past its end', async () => {
    const files = await chain();
    const image = await open(files.files.get('top.vmdk') as MemoryStorage, { resolver: files });
    expect(image.backingReference).toEqual({ kind: 'parent', name: 'base/base.vmdk', format: 'vmdk' });
    await image.write?.(GRAIN + 10, Uint8Array.of(7));
    expect(await read(image, GRAIN + 9, 3)).toEqual(Uint8Array.of(1, 7, 1));
    expect(await read(image, MIB - 1, 2)).toEqual(Uint8Array.of(1, 0));
    await image.writeZeroes?.(2 * GRAIN + 1, 2 * GRAIN);
    expect(await read(image, 2 * GRAIN, 2)).toEqual(Uint8Array.of(1, 0));
    expect(await read(image, 4 * GRAIN, 2)).toEqual(Uint8Array.of(0, 1));
    await image.close();
  });

  it('does not open over a parent that was written to', async () => {
    const files = await chain();
    const base = await open(files.files.get('base/base.vmdk') as MemoryStorage);
    await base.write?.(0, new Uint8Array(1));
    await base.close();
    const top = files.files.get('top.vmdk') as MemoryStorage;
    expect(await failure(() => open(top, { resolver: files }))).toBe('invalid-format');
    const given = await open(files.files.get('base/base.vmdk') as MemoryStorage);
    expect(await failure(() => open(top, { backing: given }))).toBe('invalid-format');
    const image = await open(top, { backing: 'none' });
    image.setBacking?.(given);
    expect(await failure(() => read(image, 0, 1))).toBe('invalid-format');
  });

  it('finds files of its parent beside the parent', async () => {
    const files = new Files();
    const base = await files.create('far/base.vmdk');
    const inFar: Resolver = { open: (r) => files.open(r), create: (name) => files.create(`far/${name}`) };
    await vmdk.create?.(base, { size: MIB, options: { subformat: 'twoGbMaxExtentSparse' }, resolver: inFar });
    await vmdk.create?.(await files.create('top.vmdk'), {
      size: MIB,
      options: { backing_file: 'far/base.vmdk' },
      resolver: files,
    });
    const image = await open(files.files.get('top.vmdk') as MemoryStorage, { resolver: files });
    expect(await read(image, 0, 1)).toEqual(Uint8Array.of(0));
  });
});

describe('extents', () => {
  it('of all kinds stand side by side, each with its access', async () => {
    const files = new Files();
    const flat = await files.create('flat');
    await flat.write(512, new Uint8Array(1024).fill(1));
    const text = `version=1\nCID=1\nparentCID=ffffffff\ncreateType="custom"\n#\nRW 2 FLAT "flat" 1\nRDONLY 1 FLAT "flat" 2\nRW 3 ZERO\nNOACCESS 1 FLAT "flat" 0\n`;
    const image = await open(new MemoryStorage(Uint8Array.from(text, (char) => char.charCodeAt(0))), {
      resolver: files,
    });
    expect(image.size).toBe(7 * 512);
    expect(await read(image, 0, 6 * 512)).toEqual(new Uint8Array(6 * 512).fill(1, 0, 3 * 512));
    await image.write?.(512, new Uint8Array(512).fill(2));
    expect((await read(image, 1024, 1))[0]).toBe(2);
    for (const offset of [1023, 1024, 3 * 512, 6 * 512])
      expect(await failure(() => image.write?.(offset, new Uint8Array(2)) ?? Promise.resolve())).toBe('read-only');
    expect(await failure(() => read(image, 6 * 512, 1))).toBe('refused');
    expect((await image.info()).formatSpecific?.data['extents']).toHaveLength(4);
  });
});
