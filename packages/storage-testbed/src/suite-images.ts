/** The suite's part about images as a whole: create, probe, open, close, options, read-only, references. */
import { BlockError, MemoryStorage } from '@emkit/storage';
import type { AbortSignal, BlockImage, OpenOptions, Storage } from '@emkit/storage';
import { Directory } from './directory.ts';
import { createImage, IMAGE, initialContent, openImage, rewrap, virtualSize } from './image-setup.ts';
import { Random, fillContent } from './random.ts';
import { Recorder, WriteLog } from './recorder.ts';
import { TIMEOUT } from './suite-setup.ts';
import type { BlockDriverSetup } from './suite-setup.ts';
import { must, refuses, same, sameBytes } from './verdict.ts';

export const ABORTED: AbortSignal = {
  aborted: true,
  reason: 'test',
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
};

export async function readAll(disk: Storage): Promise<Uint8Array> {
  const all = new Uint8Array(disk.size).fill(0xa5);
  await disk.read(0, all);
  return all;
}

export function describeImages(setup: BlockDriverSetup): void {
  const { test, driver } = setup;
  const it = (what: string, body: () => Promise<void>): void => test.it(what, body, TIMEOUT);
  const withImage = async (body: (image: BlockImage, directory: Directory) => Promise<void>): Promise<void> => {
    const directory = await createImage(setup);
    const image = await openImage(setup, directory);
    await body(image, directory);
    await image.close();
  };

  it('a new image has its size, reads as what is behind it, and is clean', () =>
    withImage(async (image, directory) => {
      same(image.size, virtualSize(setup), 'size');
      same(image.driver, driver.name, 'driver');
      same(image.readOnly, false, 'readOnly');
      const info = await image.info();
      same(info.format, driver.name, 'info: format');
      same(info.virtualSize, virtualSize(setup), 'info: virtualSize');
      sameBytes(await readAll(image), await initialContent(setup, directory), 'content');
      const result = await image.check?.();
      same(result?.corruptions ?? 0, 0, 'corruptions');
      same(result?.leaks ?? 0, 0, 'leaks');
    }));

  it('probe knows its own images and is quiet about others', async () => {
    const disk = (await createImage(setup)).disk(IMAGE);
    const head = new Uint8Array(Math.min(2048, disk.size));
    disk.get(0, head);
    must(driver.probe(head) > 0, 'its own image is not recognised');
    const noise = new Uint8Array(2048);
    for (let seed = 1; seed <= 20; seed++) {
      fillContent(noise, seed);
      const score = driver.probe(noise);
      must(setup.opensAnything === true || score === 0, `noise is recognised with ${score}`);
    }
    for (let length = 0; length < Math.min(128, head.length); length++) driver.probe(head.subarray(0, length));
  });

  if (setup.opensAnything !== true)
    it('what is not an image, or is cut short, is refused or opened, never worse', async () => {
      await refuses(() => driver.open(new MemoryStorage()), [], 'an empty file');
      await refuses(() => driver.open(new MemoryStorage(new Uint8Array(65536))), [], 'zeroes');
      const random = new Random(1);
      const made = await createImage(setup);
      const { size } = made.disk(IMAGE);
      for (let i = 0; i < 40; i++) {
        const directory = rewrap(made);
        directory.disk(IMAGE).resize(i < 20 ? i * 8 : random.below(size));
        await openImage(setup, directory).then(
          (image) => image.close(),
          async (error: unknown) => refuses(() => Promise.reject(error), [], 'a truncated image'),
        );
      }
    });

  it('unknown options are refused', async () => {
    const directory = await createImage(setup);
    const open = (): Promise<BlockImage> =>
      openImage(setup, directory, { driverOptions: { ...setup.openOptions?.driverOptions, 'no-such-option': '1' } });
    await refuses(open, ['invalid-option'], 'open');
    if (driver.create === undefined || setup.create !== undefined) return;
    const options = { ...setup.options, 'no-such-option': '1' };
    const size = virtualSize(setup);
    const { secret } = setup;
    const more = secret === undefined ? {} : { secret };
    await refuses(
      () => driver.create?.(new MemoryStorage(), { size, options, resolver: new Directory(), ...more }),
      ['invalid-option'],
      'create',
    );
  });

  if (driver.create !== undefined)
    it('sizes that are none are refused', async () => {
      for (const size of [-1, NaN, Infinity, 0.5, 2 ** 63]) {
        const { secret, options = {} } = setup;
        const more = secret === undefined ? {} : { secret };
        const create = (): unknown =>
          driver.create?.(new MemoryStorage(), { size, options, resolver: new Directory(), ...more });
        await refuses(create, [], `create with size ${size}`);
      }
    });

  it('a read-only image changes no byte', async () => {
    const made = await createImage(setup);
    for (const options of [{ readOnly: true }, { readOnly: true, forCheck: true }] satisfies Partial<OpenOptions>[]) {
      const log = new WriteLog();
      const directory = rewrap(made, (disk, name) => new Recorder(disk, log, name));
      const image = await openImage(setup, directory, options);
      same(image.readOnly, true, 'readOnly');
      sameBytes(await readAll(image), await initialContent(setup, made), 'content');
      const bytes = new Uint8Array(512);
      await refuses(() => image.write?.(0, bytes) ?? readOnly(), ['read-only'], 'write');
      await refuses(() => image.writeZeroes?.(0, 512) ?? readOnly(), ['read-only'], 'writeZeroes');
      await refuses(() => image.discard?.(0, 512) ?? readOnly(), ['read-only'], 'discard');
      await refuses(() => image.resize?.(image.size + 65536) ?? readOnly(), ['read-only'], 'resize');
      await refuses(() => image.snapshots?.create({ name: 'x' }) ?? readOnly(), ['read-only'], 'snapshot');
      await image.flush?.();
      await image.check?.();
      await image.info();
      await image.close();
      same(log.entries.filter((e) => e.kind !== 'flush').length, 0, 'changes of the storage');
    }
  });

  it('over a storage that only reads, an image is read-only', async () => {
    const directory = await createImage(setup);
    const disk = directory.disk(IMAGE);
    const reader: Storage = { size: disk.size, read: (offset, buffer) => disk.read(offset, buffer) };
    const { secret, openOptions } = setup;
    const image = await driver.open(reader, { resolver: directory, ...(secret ? { secret } : {}), ...openOptions });
    same(image.readOnly, true, 'readOnly');
    sameBytes(await readAll(image), await initialContent(setup, directory), 'content');
    await image.close();
  });

  it('close leaves the storage open, ends the image, and may be called again', async () => {
    const directory = await createImage(setup);
    const image = await openImage(setup, directory);
    await image.write?.(0, new Uint8Array(512).fill(7));
    await image.close();
    await refuses(() => image.read(0, new Uint8Array(1)), ['closed'], 'read');
    await refuses(() => image.write?.(0, new Uint8Array(1)) ?? closed(), ['closed', 'read-only'], 'write');
    await refuses(() => image.flush?.() ?? closed(), ['closed'], 'flush');
    await refuses(() => image.status(0, 1), ['closed'], 'status');
    await image.close();
    const again = await openImage(setup, directory);
    const bytes = new Uint8Array(512);
    await again.read(0, bytes);
    sameBytes(bytes, new Uint8Array(512).fill(7), 'what was written before');
    await again.close();
  });

  it('a signal that is aborted ends open and requests', () =>
    withImage(async (image, directory) => {
      const bytes = new Uint8Array(512);
      await refuses(() => image.read(0, bytes, { signal: ABORTED }), ['aborted'], 'read');
      await refuses(() => image.write?.(0, bytes, { signal: ABORTED }), ['aborted'], 'write');
      const other = rewrap(directory);
      await refuses(() => openImage(setup, other, { signal: ABORTED }), ['aborted'], 'open');
      await image.write?.(0, bytes.fill(3));
      await image.read(0, bytes);
      same(bytes[511], 3, 'a request after the aborted ones');
    }));

  it('metadata can be read without any other file', async () => {
    const directory = await createImage(setup);
    const alone = new Directory(directory.fork());
    const options: Partial<OpenOptions> = { readOnly: true, backing: 'none', metadataOnly: true, forCheck: true };
    const image = await openImage(setup, alone, options);
    same((await image.info()).virtualSize, virtualSize(setup), 'info: virtualSize');
    await image.check?.();
    await image.close();
    same(alone.opened.length, 0, 'files opened');
  });

  if (setup.backing !== undefined) describeBacking(setup);
}

function readOnly(): Promise<never> {
  return refusal('read-only');
}

function closed(): Promise<never> {
  return refusal('closed');
}

/** For a method that is absent: that is a refusal too. */
async function refusal(kind: 'read-only' | 'closed'): Promise<never> {
  throw new BlockError(kind, 'no such method');
}

function describeBacking(setup: BlockDriverSetup): void {
  const { test, backing, driver } = setup;
  const it = (what: string, body: () => Promise<void>): void => test.it(what, body, TIMEOUT);

  it('a backing file is opened by the resolver only', async () => {
    const directory = await createImage(setup);
    const { secret, openOptions } = setup;
    const options = { ...(secret ? { secret } : {}), ...openOptions };
    await refuses(() => driver.open(directory.disk(IMAGE), options), ['refused'], 'open without a resolver');
    const image = await openImage(setup, directory);
    same(image.backingReference?.name, backing?.name, 'backingReference');
    must(image.backing !== undefined, 'backing is undefined');
    await image.close();
  });

  it('a backing file can be left out, or be given', async () => {
    const directory = await createImage(setup);
    const without = await openImage(setup, directory, { backing: 'none' });
    sameBytes(await readAll(without), new Uint8Array(virtualSize(setup)), 'content without it');
    await without.close();
    same(directory.opened.length, 0, 'files opened');
    const content = new Uint8Array(virtualSize(setup) + 4096).fill(9);
    const given = await openImage(setup, directory, { backing: new MemoryStorage(content) });
    sameBytes(await readAll(given), content.subarray(0, virtualSize(setup)), 'content over another');
    await given.close();
  });

  it('a backing file is never written', async () => {
    const log = new WriteLog();
    const directory = rewrap(await createImage(setup), (disk, name) => new Recorder(disk, log, name));
    const image = await openImage(setup, directory);
    await image.write?.(1, new Uint8Array(1000).fill(5));
    await image.writeZeroes?.(5000, 3000);
    await image.close();
    const index = log.disks.findIndex(({ name }) => name === backing?.name);
    same(log.entries.filter((e) => e.disk === index).length, 0, 'changes of the backing file');
  });
}
