/** What we write, qemu-img reads and finds good; what it writes, we read; random writes to both give equal disks. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
import { isZero, type BlockImage, type OpenOptions } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { vmdk } from '../src/index.ts';
import { openFile, resolverFor } from '../test/node-files.ts';
import { randomOf, Workshop } from './qemu.ts';

const SUBFORMATS = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
];
const SIZE = 3 * 1048576 + 1536;
const GRAIN = 65536;

describe('vmdk against qemu-img', () => {
  const shop = new Workshop();
  afterAll(() => shop.close());
  const resolver = resolverFor(shop.directory);
  const open = (name: string, options: OpenOptions = {}): Promise<BlockImage> =>
    vmdk.open(openFile(shop.path(name), options.readOnly === true ? 'r' : 'r+', name), { resolver, ...options });
  const create = (name: string, size: number, options: Record<string, string>): Promise<void> =>
    (vmdk.create as NonNullable<typeof vmdk.create>)(openFile(shop.path(name), 'w+', name), {
      size,
      options,
      resolver,
    });
  const contentOf = async (name: string): Promise<Uint8Array> => {
    const image = await open(name, { readOnly: true });
    const content = new Uint8Array(image.size);
    await image.read(0, content);
    await image.close();
    return content;
  };
  const qemuContentOf = (name: string): Uint8Array => {
    shop.run('qemu-img', 'convert', '-f', 'vmdk', '-O', 'raw', name, 'content.raw');
    return new Uint8Array(readFileSync(shop.path('content.raw')));
  };
  const source = content(SIZE, 7);
  writeFileSync(shop.path('source.raw'), source);

  it.each(SUBFORMATS)('%s: a conversion of theirs is read', async (subformat) => {
    shop.run('qemu-img', 'convert', '-O', 'vmdk', '-o', `subformat=${subformat}`, 'source.raw', 'theirs.vmdk');
    expect(Buffer.compare(await contentOf('theirs.vmdk'), source)).toBe(0);
    const image = await open('theirs.vmdk', { readOnly: true });
    const said = await image.info();
    const json = shop.json('info', '--output=json', 'theirs.vmdk') as Record<string, unknown>;
    expect(said.formatSpecific).toEqual(json['format-specific']);
    expect(said.clusterSize).toBe(json['cluster-size']);
  });

  it.each(SUBFORMATS)('%s: a conversion of ours is read and checked', async (subformat) => {
    await create('ours.vmdk', SIZE, { subformat });
    const image = await open('ours.vmdk');
    for (let at = 0; at < SIZE; at += GRAIN) {
      const grain = source.subarray(at, Math.min(at + GRAIN, SIZE));
      if (!isZero(grain)) await image.writeCompressed?.(at, grain);
    }
    await image.close();
    expect(shop.try('qemu-img', 'check', 'ours.vmdk').exit).toBe(0);
    expect(Buffer.compare(qemuContentOf('ours.vmdk'), source)).toBe(0);
    expect(Buffer.compare(await contentOf('ours.vmdk'), source)).toBe(0);
    const json = shop.json('info', '--output=json', 'ours.vmdk') as Record<string, unknown>;
    const again = await open('ours.vmdk', { readOnly: true });
    expect((await again.info()).formatSpecific).toEqual(json['format-specific']);
  });

  const variants: [string, number, Record<string, string>][] = [
    ...SUBFORMATS.map((subformat): [string, number, Record<string, string>] => [
      subformat,
      5 * 2 ** 30 + 512,
      { subformat },
    ]),
    ['options', 100 * 2 ** 30, { adapter_type: 'lsilogic', hwversion: '7', toolsversion: '9', zeroed_grain: 'on' }],
    ['compat6', 1048576, { adapter_type: 'legacyESX', compat6: 'on' }],
    ['an odd size', 100, {}],
    ['a stream with zeroed grains', 1048576, { subformat: 'streamOptimized', zeroed_grain: 'on' }],
    ['a split disk with zeroed grains', 1048576, { subformat: 'twoGbMaxExtentSparse', zeroed_grain: 'on' }],
    ['2 TiB', 2 * 2 ** 40, {}],
  ];
  it.each(variants)('creates the same bytes: %s', async (_, size, options) => {
    const args = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    shop.run('qemu-img', 'create', '-q', '-f', 'vmdk', ...args, 'made.vmdk', String(size));
    const parts = [
      'made.vmdk',
      'made-flat.vmdk',
      'made-s001.vmdk',
      'made-s003.vmdk',
      'made-f001.vmdk',
      'made-f003.vmdk',
    ];
    const theirs = new Map<string, string>();
    // a CID without padding moves what follows in the text
    const digest = (name: string): string => {
      const file = openFile(shop.path(name), 'r');
      const bytes = Buffer.alloc(Math.min(file.size, 1 << 20));
      void file.read(0, bytes);
      const isSparse = bytes.toString('latin1', 0, 4) === 'KDMV';
      const text = isSparse ? bytes.subarray(512, 21 * 512) : bytes;
      const isFlat = /-f/.test(name);
      return JSON.stringify({
        size: isSparse || isFlat ? file.size : 'text',
        text: isFlat
          ? ''
          : text
              .toString('latin1')
              .replace(/^CID=.*$/m, 'CID=')
              .replace(/\0+$/, ''),
        header: isSparse ? bytes.toString('hex', 0, 512) : '',
        tables: isSparse
          ? createHash('sha256')
              .update(bytes.subarray(21 * 512))
              .digest('hex')
          : '',
      });
    };
    for (const name of parts) if (existsSync(shop.path(name))) theirs.set(name, digest(name));
    shop.run('rm', ...theirs.keys());
    await create('made.vmdk', size, options);
    for (const [name, expected] of theirs) expect(digest(name), name).toBe(expected);
    shop.run('rm', ...theirs.keys());
  });

  it.each([
    ['monolithicSparse', {}],
    ['monolithicSparse', { zeroed_grain: 'on' }],
    ['monolithicFlat', {}],
    ['twoGbMaxExtentSparse', {}],
    ['twoGbMaxExtentFlat', {}],
  ] as [string, Record<string, string>][])('%s %j: random writes give equal disks', async (subformat, more) => {
    const random = randomOf(subformat.length + Object.keys(more).length);
    const size = 8 * 1048576 + 512;
    const args = Object.entries(more).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    shop.run('qemu-img', 'create', '-q', '-f', 'vmdk', '-o', `subformat=${subformat}`, ...args, 'a.vmdk', String(size));
    await create('b.vmdk', size, { subformat, ...more });
    const model = new Uint8Array(size);
    for (let round = 0; round < 6; round++) {
      const commands: string[] = [];
      // the odd rounds exchange the disks: we go on with theirs, they with ours
      const [ours, theirs] = round % 2 === 0 ? ['b.vmdk', 'a.vmdk'] : ['a.vmdk', 'b.vmdk'];
      const image = await open(ours as string);
      for (let n = 0; n < 25; n++) {
        const isAligned = random(3) === 0;
        const unit = isAligned ? GRAIN : 512;
        const offset = random(Math.floor(size / unit)) * unit;
        const length = Math.min(size - offset, (1 + random(isAligned ? 5 : 300)) * unit);
        const pattern = random(4) === 0 ? 0 : 1 + random(255);
        commands.push('-c', pattern === 0 ? `write -z ${offset} ${length}` : `write -P ${pattern} ${offset} ${length}`);
        model.fill(pattern, offset, offset + length);
        if (pattern === 0) await image.writeZeroes?.(offset, length);
        else await image.write?.(offset, new Uint8Array(length).fill(pattern));
        if (random(10) === 0) await image.flush?.();
      }
      await image.close();
      shop.run('qemu-io', '-f', 'vmdk', ...commands, theirs as string);
    }
    for (const name of ['a.vmdk', 'b.vmdk']) {
      expect(Buffer.compare(qemuContentOf(name), model), name).toBe(0);
      expect(Buffer.compare(await contentOf(name), model), name).toBe(0);
      expect(shop.try('qemu-img', 'check', name).exit, name).toBe(0);
    }
  });

  it('deltas over a parent: both make and read them, and both refuse a parent that was written to', async () => {
    const base = content(SIZE, 11);
    writeFileSync(shop.path('base.raw'), base);
    shop.run('qemu-img', 'convert', '-O', 'vmdk', 'base.raw', 'base.vmdk');
    await create('delta.vmdk', SIZE + 1048576, { backing_file: 'base.vmdk', backing_fmt: 'vmdk' });
    const model = new Uint8Array(SIZE + 1048576);
    model.set(base);
    const random = randomOf(5);
    for (let round = 0; round < 4; round++) {
      const commands: string[] = [];
      const image = round % 2 === 0 ? await open('delta.vmdk') : undefined;
      for (let n = 0; n < 20; n++) {
        const offset = random(Math.floor(model.length / 512)) * 512;
        const length = Math.min(model.length - offset, (1 + random(200)) * 512);
        const pattern = random(4) === 0 ? 0 : 1 + random(255);
        model.fill(pattern, offset, offset + length);
        commands.push('-c', pattern === 0 ? `write -z ${offset} ${length}` : `write -P ${pattern} ${offset} ${length}`);
        if (pattern === 0) await image?.writeZeroes?.(offset, length);
        else await image?.write?.(offset, new Uint8Array(length).fill(pattern));
      }
      if (image === undefined) shop.run('qemu-io', '-f', 'vmdk', ...commands, 'delta.vmdk');
      await image?.close();
    }
    expect(Buffer.compare(qemuContentOf('delta.vmdk'), model)).toBe(0);
    expect(Buffer.compare(await contentOf('delta.vmdk'), model)).toBe(0);
    expect(shop.try('qemu-img', 'check', 'delta.vmdk').exit).toBe(0);

    const parent = await open('base.vmdk');
    await parent.write?.(0, new Uint8Array(512));
    await parent.close();
    expect(shop.try('qemu-img', 'convert', '-O', 'raw', 'delta.vmdk', 'x.raw').exit).toBe(1);
    await expect(open('delta.vmdk')).rejects.toThrow(/parent was changed/);
  });

  it('a stream refuses what QEMU refuses', async () => {
    await create('stream.vmdk', SIZE, { subformat: 'streamOptimized' });
    const image = await open('stream.vmdk');
    await image.write?.(GRAIN, source.subarray(0, GRAIN));
    await expect(image.write?.(GRAIN, source.subarray(0, GRAIN))).rejects.toThrow(/allocated cluster/);
    await expect(image.write?.(0, source.subarray(0, 512))).rejects.toThrow(/whole grains/);
    await image.close();
    expect(shop.try('qemu-io', '-f', 'vmdk', '-c', `write ${GRAIN} ${GRAIN}`, 'stream.vmdk').text).toMatch(
      /write failed/,
    );
    expect(shop.try('qemu-io', '-f', 'vmdk', '-c', 'write 0 512', 'stream.vmdk').text).toMatch(/write failed/);
  });

  it('finds what their check finds', async () => {
    shop.run('qemu-img', 'create', '-q', '-f', 'vmdk', 'bad.vmdk', '4M');
    shop.run('qemu-io', '-f', 'vmdk', '-c', 'write 0 1M', 'bad.vmdk');
    const file = readFileSync(shop.path('bad.vmdk'));
    const directory = Number(file.readBigUInt64LE(56)) * 512;
    file.writeUInt32LE(0x7000000, file.readUInt32LE(directory) * 512 + 12);
    writeFileSync(shop.path('bad.vmdk'), file);
    const theirs = shop.try('qemu-img', 'check', 'bad.vmdk');
    expect(theirs.exit).toBe(1);
    const lines: string[] = [];
    const image = await open('bad.vmdk', { forCheck: true, readOnly: true });
    await expect(image.check?.({ report: (line) => lines.push(line) })).rejects.toMatchObject({
      kind: 'corrupt-image',
    });
    expect(theirs.text).toContain(lines[0]);
  });
});

/** A third holes, a third text that packs well, a third noise; cut in pieces of 4 KiB to 128 KiB. */
function content(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const random = randomOf(seed);
  for (let at = 0; at < size;) {
    const end = Math.min(size, at + (1 + random(32)) * 4096);
    const kind = random(3);
    for (let i = at; kind > 0 && i < end; i++) bytes[i] = kind === 1 ? 32 + (i % 90) : random(256);
    at = end;
  }
  return bytes;
}
