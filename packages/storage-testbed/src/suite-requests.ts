/** The suite's part about requests: read, write, zero, discard, status, bounds, resize, compressed clusters, snapshots. */
import type { BlockImage, BlockStatus } from '@emkit/storage';
import { FaultPlan } from './fault-plan.ts';
import { createImage, initialContent, openImage, rewrap, virtualSize } from './image-setup.ts';
import { fillContent } from './random.ts';
import { readAll } from './suite-images.ts';
import { TIMEOUT } from './suite-setup.ts';
import type { BlockDriverSetup } from './suite-setup.ts';
import { must, refuses, same, sameBytes } from './verdict.ts';

const NO_RANGES: readonly (readonly [offset: number, length: number])[] = [
  [-1, 1],
  [0.5, 1],
  [NaN, 1],
  [2 ** 53, 1],
  [Number.MAX_SAFE_INTEGER, 512],
  [Infinity, 1],
];

export function describeRequests(setup: BlockDriverSetup): void {
  const { test } = setup;
  const size = virtualSize(setup);
  const it = (what: string, body: () => Promise<void>): void => test.it(what, body, TIMEOUT);
  /** The body changes `wanted` as it changes the image; it is compared at the end, and after the image was opened again. */
  const withDisk = async (
    body: (image: BlockImage, wanted: Uint8Array) => Promise<Uint8Array | void>,
  ): Promise<void> => {
    const directory = await createImage(setup);
    let image = await openImage(setup, directory);
    const initial = await initialContent(setup, directory);
    const wanted = (await body(image, initial)) ?? initial;
    for (const when of ['then', 'after it was opened again']) {
      sameBytes(await readAll(image), wanted, `content ${when}`);
      const result = await image.check?.();
      same(result?.corruptions ?? 0, 0, `corruptions ${when}`);
      await image.close();
      image = await openImage(setup, directory);
    }
    await image.close();
  };
  const unitOf = (image: BlockImage): number => setup.cluster ?? image.clusterSize ?? 4096;
  const granularity = setup.granularity ?? 1;

  it('writes at the edges of clusters and of the disk', () =>
    withDisk(async (image, wanted) => {
      const unit = unitOf(image);
      let tag = 1;
      for (const at of [0, unit - granularity, unit, 2 * unit + granularity, size - unit, size - granularity]) {
        if (at < 0 || at >= size) continue;
        for (const length of [granularity, Math.max(granularity, 512), unit, 2 * unit]) {
          const part = wanted.subarray(at, Math.min(at + length, size));
          fillContent(part, tag++);
          await image.write?.(at, part);
        }
      }
      await image.write?.(size, new Uint8Array(0));
      await image.read(size, new Uint8Array(0));
    }));

  it('a write of the whole disk, and a second one', () =>
    withDisk(async (image, wanted) => {
      for (const tag of [1, 2]) {
        fillContent(wanted, tag);
        await image.write?.(0, wanted);
      }
    }));

  it('a write takes nothing from the buffer after it resolved, a read writes nothing after it', () =>
    withDisk(async (image, wanted) => {
      const bytes = new Uint8Array(4096).fill(1);
      await image.write?.(0, bytes);
      bytes.fill(2);
      await image.read(0, bytes);
      const seen = bytes.slice();
      await image.flush?.();
      sameBytes(bytes, seen, 'the buffer');
      wanted.fill(1, 0, 4096);
    }));

  it('requests that are no range of the disk are refused, and change nothing', () =>
    withDisk(async (image) => {
      const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(1);
      for (const [offset, length] of [...NO_RANGES, [size, 1], [size - 1, 2], [2 ** 50, 1]] as const) {
        const where = `${length} at ${offset}`;
        await refuses(() => image.write?.(offset, bytes(length)), ['out-of-bounds'], `write of ${where}`);
        if (image.writeZeroes !== undefined)
          await refuses(() => image.writeZeroes?.(offset, length), ['out-of-bounds'], `writeZeroes of ${where}`);
        if (image.discard !== undefined)
          await refuses(() => image.discard?.(offset, length), ['out-of-bounds'], `discard of ${where}`);
        await refuses(() => image.status(offset, length), ['out-of-bounds'], `status of ${where}`);
      }
      for (const [offset, length] of NO_RANGES)
        await refuses(() => image.read(offset, bytes(length)), ['out-of-bounds'], `read of ${length} at ${offset}`);
      await refuses(() => image.writeZeroes?.(0, NaN) ?? image.write?.(NaN, bytes(1)), ['out-of-bounds'], 'length NaN');
    }));

  it('status covers the disk in order, and tells the truth about zeroes', () =>
    withDisk(async (image, wanted) => {
      const unit = unitOf(image);
      fillContent(wanted.subarray(unit, 3 * unit), 5);
      await image.write?.(unit, wanted.subarray(unit, 3 * unit));
      await image.writeZeroes?.(2 * unit, unit);
      if (image.writeZeroes !== undefined) wanted.fill(0, 2 * unit, 3 * unit);
      for (let at = 0; at < size;) {
        const status = await image.status(at, size - at);
        checkStatus(image, status, wanted, at);
        at += status.length;
      }
      const middle = await image.status(unit + 1, 2);
      must(middle.length >= 1 && middle.length <= 2, `status of 2 bytes covers ${middle.length}`);
    }));

  it('zeroes read as zero, whatever was there', () =>
    withDisk(async (image, wanted) => {
      if (image.writeZeroes === undefined) return;
      fillContent(wanted, 3);
      await image.write?.(0, wanted);
      const unit = unitOf(image);
      for (const [offset, length, unmap] of [
        [0, unit, false],
        [unit * 2, unit, true],
        [unit * 3 + granularity, unit, true],
        [size - unit, unit, false],
      ] as const) {
        if (offset < 0 || offset + length > size) continue;
        await image.writeZeroes(offset, length, { unmap });
        wanted.fill(0, offset, offset + length);
      }
    }));

  it('what was discarded reads as before or as zeroes, and the rest as before', () =>
    withDisk(async (image, wanted) => {
      if (image.discard === undefined) return;
      fillContent(wanted, 4);
      await image.write?.(0, wanted);
      const unit = unitOf(image);
      const offset = unit;
      const length = Math.min(2 * unit + granularity, size - unit);
      await image.discard(offset, length);
      const after = await readAll(image);
      for (let i = offset; i < offset + length; i++) {
        must(after[i] === 0 || after[i] === wanted[i], `discarded byte ${i} is neither old nor zero`);
        wanted[i] = after[i] as number;
      }
    }));

  it('64 requests at once, reads beside writes', () =>
    withDisk(async (image, wanted) => {
      const step = Math.max(granularity, Math.floor(size / 64 / granularity) * granularity);
      const work: Promise<unknown>[] = [];
      for (let i = 0; i < Math.min(64, Math.floor(size / step)); i++) {
        const part = wanted.subarray(i * step, (i + 1) * step);
        fillContent(part, i + 1);
        work.push(image.write?.(i * step, part) ?? Promise.resolve());
        work.push(image.read(((i * 7) % 64) * step, new Uint8Array(step)));
      }
      await Promise.all(work);
    }));

  it('a flush that fails below fails', async () => {
    const made = await createImage(setup);
    const plan = new FaultPlan(1, { kinds: ['flush'], sticky: true });
    const directory = rewrap(made, (disk) => plan.wrap(disk));
    const image = await openImage(setup, directory);
    await image.write?.(0, new Uint8Array(512).fill(1)).catch(() => undefined);
    await refuses(() => image.flush?.(), [], 'flush');
    plan.disarm();
    await image.close().catch(() => undefined);
  });

  it('grows with zeroes, and shrinks only when told to', () =>
    withDisk(async (image, wanted) => {
      if (image.resize === undefined) return;
      const unit = Math.max(512, unitOf(image));
      fillContent(wanted, 6);
      await image.write?.(0, wanted);
      try {
        await image.resize(size + 4 * unit);
      } catch (error) {
        await refuses(() => Promise.reject(error), ['unsupported-feature'], 'resize');
        return;
      }
      same(image.size, size + 4 * unit, 'size');
      const grown = new Uint8Array(size + 4 * unit);
      grown.set(wanted);
      const now = await readAll(image);
      if (setup.fresh === 'any') grown.set(now.subarray(size), size);
      sameBytes(now, grown, 'grown');
      await refuses(() => image.resize?.(unit), ['invalid-option', 'unsupported-feature'], 'shrink');
      for (const bad of [-512, NaN, 0.5, Infinity]) await refuses(() => image.resize?.(bad), [], `resize to ${bad}`);
      try {
        await image.resize(size - unit, { shrink: true });
      } catch (error) {
        await refuses(() => Promise.reject(error), ['unsupported-feature'], 'resize');
        return grown;
      }
      await image.resize(size);
      wanted.fill(0, size - unit);
      if (setup.fresh === 'any') await image.read(size - unit, wanted.subarray(size - unit));
    }));

  it('compressed clusters read as they were, and can be overwritten', () =>
    withDisk(async (image, wanted) => {
      if (image.writeCompressed === undefined) return;
      const unit = unitOf(image);
      for (let i = 0; i < 4 && (i + 1) * unit <= size; i++) {
        const part = wanted.subarray(i * unit, (i + 1) * unit);
        if (i % 2 === 0) part.fill(i + 1);
        else fillContent(part, i);
        try {
          await image.writeCompressed(i * unit, part);
        } catch (error) {
          await refuses(() => Promise.reject(error), ['unsupported-feature', 'invalid-option'], 'writeCompressed');
          await image.write?.(i * unit, part);
        }
      }
      if (size < unit) return;
      const inside = wanted.subarray(granularity, 3 * granularity);
      fillContent(inside, 9);
      await image.write?.(granularity, inside);
    }));

  it('snapshots keep what the disk was', () =>
    withDisk(async (image, wanted) => {
      if (image.snapshots === undefined) return;
      fillContent(wanted, 7);
      await image.write?.(0, wanted);
      const before = wanted.slice();
      try {
        await image.snapshots.create({ name: 'one' });
      } catch (error) {
        await refuses(() => Promise.reject(error), ['unsupported-feature'], 'snapshot');
        return;
      }
      await image.write?.(0, new Uint8Array(Math.min(size, 8192)).fill(1));
      const disk = await image.snapshots.open('one');
      sameBytes(await readAll(disk), before, 'the snapshot');
      await refuses(() => image.snapshots?.apply('none'), ['not-found'], 'apply of one that is not there');
      await image.snapshots.apply('one');
      sameBytes(await readAll(image), before, 'the disk after apply');
      await image.snapshots.delete('one');
      same(image.snapshots.list().length, 0, 'snapshots after delete');
    }));
}

function checkStatus(image: BlockImage, status: BlockStatus, wanted: Uint8Array, at: number): void {
  const { length, zero, allocated } = status;
  must(
    Number.isInteger(length) && length > 0 && at + length <= wanted.length,
    `status at ${at} covers ${length} bytes`,
  );
  const isZero = wanted.subarray(at, at + length).every((byte) => byte === 0);
  const isBehind = !allocated && image.backing !== undefined;
  must(!zero || isZero || isBehind, `status says zero at ${at}, where there is data`);
  must(allocated || isZero || isBehind, `status says unallocated at ${at}, where there is data`);
}
