/** Every job on a chain of real qcow2 images over a raw base, while the guest goes on writing: the disk reads as it should, and all images check clean. */
import { qcow2 } from '@emkit/qcow2';
import { raw } from '@emkit/raw';
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import {
  createRegistry,
  openImage,
  startJob,
  type BlockEnvironment,
  type BlockNode,
  type JobRequest,
} from '../src/index.ts';

const CLUSTER = 4096;
const SIZE = 96 * CLUSTER;

interface World {
  readonly files: Map<string, MemoryStorage>;
  readonly env: BlockEnvironment;
  readonly disk: BlockNode;
  /** What the guest should read. */
  readonly model: Uint8Array;
}

/** base.img <- mid.qcow2 <- top.qcow2, each with some clusters of its own. */
async function world(): Promise<World> {
  const files = new Map<string, MemoryStorage>();
  const file = (name: string): MemoryStorage => {
    let found = files.get(name);
    if (found === undefined) files.set(name, (found = new MemoryStorage(0, name)));
    return found;
  };
  const env: BlockEnvironment = {
    registry: createRegistry([raw, qcow2]),
    protocols: { file: { open: async (options) => file(String(options['filename'])) } },
  };
  const model = new Uint8Array(SIZE);
  await file('base.img').truncate(SIZE);
  await put(file('base.img'), model, (i) => i % 3 === 0, 0x10);
  for (const [name, backing, format, mark] of [
    ['mid.qcow2', 'base.img', 'raw', 0x40],
    ['top.qcow2', 'mid.qcow2', 'qcow2', 0x80],
  ] as const) {
    const options = { backing_file: backing, backing_fmt: format, cluster_size: String(CLUSTER) };
    await qcow2.create!(file(name), { size: SIZE, options });
    const image = await openImage(name, env, { format: 'qcow2' });
    await put(image, model, (i) => i % 5 === (mark === 0x40 ? 1 : 2), mark);
    await image.close();
  }
  return { files, env, disk: await openImage('top.qcow2', env), model };
}

async function put(
  target: Pick<BlockImage, 'write'>,
  model: Uint8Array,
  chosen: (cluster: number) => boolean,
  mark: number,
): Promise<void> {
  for (let i = 0; i < SIZE / CLUSTER; i++) {
    if (!chosen(i)) continue;
    model.fill(mark + (i % 16), i * CLUSTER, (i + 1) * CLUSTER);
    await target.write!(i * CLUSTER, model.subarray(i * CLUSTER, (i + 1) * CLUSTER));
  }
}

/** Index of the first byte that differs, or -1. */
async function difference(image: BlockImage, model: Uint8Array): Promise<number> {
  const bytes = new Uint8Array(model.length);
  await image.read(0, bytes);
  return bytes.findIndex((byte, i) => byte !== model[i]);
}

async function isClean({ files }: World): Promise<boolean> {
  for (const [name, file] of files) {
    if (!name.endsWith('.qcow2')) continue;
    const image = await qcow2.open(file, { backing: 'none', forCheck: true, readOnly: true });
    const { corruptions, leaks } = await image.check!();
    await image.close();
    if (corruptions + leaks > 0) return false;
  }
  return true;
}

/** The guest: writes odd places until it is told to stop. */
function guest({ disk, model }: World): () => Promise<void> {
  let isOn = true;
  const work = (async () => {
    for (let n = 0; isOn && n < 400; n++) {
      const at = (n * 7919 * 512) % (SIZE - 1024);
      const bytes = new Uint8Array(700).fill((n % 250) + 1);
      model.set(bytes, at);
      await disk.write!(at, bytes);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  return async () => {
    isOn = false;
    await work;
  };
}

async function target(w: World): Promise<BlockNode> {
  w.files.set('new.qcow2', new MemoryStorage(0, 'new.qcow2'));
  await qcow2.create!(w.files.get('new.qcow2')!, { size: SIZE, options: { cluster_size: String(CLUSTER) } });
  return openImage('new.qcow2', w.env, { format: 'qcow2', graph: w.disk.graph });
}

async function run(request: JobRequest): Promise<void> {
  const job = startJob(request, { bufferSize: 4 * CLUSTER, parallel: 2 });
  await job.done;
}

describe('a job on qcow2 images, while the guest writes', () => {
  it('stream: the top stands alone', async () => {
    const w = await world();
    const stop = guest(w);
    await run({ type: 'stream', node: w.disk });
    await stop();
    expect(w.disk.backingReference).toBe(undefined);
    expect(await difference(w.disk, w.model)).toBe(-1);
    await w.disk.close();
    const alone = await qcow2.open(w.files.get('top.qcow2')!);
    expect(await difference(alone, w.model)).toBe(-1);
    await alone.close();
    expect(await isClean(w)).toBe(true);
  });

  it('commit into the base, as qemu-img does', async () => {
    const w = await world();
    const base = w.disk.children.get('backing')!.children.get('backing')!;
    await run({ type: 'commit', node: w.disk, base, automatic: true, keepChain: true });
    expect(await difference(w.disk, w.model)).toBe(-1);
    await w.disk.close();
    expect(Buffer.compare(w.files.get('base.img')!.bytes(), w.model)).toBe(0);
    expect(await isClean(w)).toBe(true);
  });

  it('mirror: the target is the disk as it is in the end', async () => {
    const w = await world();
    const copy = await target(w);
    const stop = guest(w);
    const job = startJob({
      type: 'mirror',
      node: w.disk,
      target: copy,
      sync: 'full',
      targetIsZero: true,
      keepSource: true,
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await stop();
    while (job.status !== 'ready') await new Promise((resolve) => setTimeout(resolve, 1));
    await job.complete();
    expect(await difference(copy, w.model)).toBe(-1);
    await copy.close();
    await w.disk.close();
    expect(await isClean(w)).toBe(true);
  });

  it('backup: the target is the disk as it was in the beginning', async () => {
    const w = await world();
    const before = w.model.slice();
    const copy = await target(w);
    const done = run({ type: 'backup', node: w.disk, target: copy, sync: 'full' });
    const stop = guest(w);
    await done;
    await stop();
    expect(await difference(copy, before)).toBe(-1);
    expect(await difference(w.disk, w.model)).toBe(-1);
    await copy.close();
    await w.disk.close();
    expect(await isClean(w)).toBe(true);
  });

  it.each([4, 32])('backup, compressed into clusters %i times as large', async (times) => {
    const w = await world();
    w.files.set('new.qcow2', new MemoryStorage(0, 'new.qcow2'));
    const options = { cluster_size: String(times * CLUSTER) };
    await qcow2.create!(w.files.get('new.qcow2')!, { size: SIZE, options });
    const copy = await openImage('new.qcow2', w.env, { format: 'qcow2', graph: w.disk.graph });
    const before = w.model.slice();
    // buffers smaller than a cluster of the target
    await run({ type: 'backup', node: w.disk, target: copy, sync: 'full', compressed: true });
    expect(await difference(copy, before)).toBe(-1);
    await copy.close();
    await w.disk.close();
    expect(await isClean(w)).toBe(true);
  });

  it('cut short at any time, the disk reads as before and nothing is corrupt', async () => {
    for (const wait of [0, 1, 3, 10]) {
      for (const kind of ['stream', 'commit'] as const) {
        const w = await world();
        const request: JobRequest =
          kind === 'stream'
            ? { type: 'stream', node: w.disk }
            : { type: 'commit', node: w.disk, automatic: true, keepChain: true };
        const job = startJob(request, { bufferSize: CLUSTER, parallel: 1 });
        for (let turn = 0; turn < wait; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
        await job.cancel();
        await job.done.catch(() => undefined);
        expect([kind, wait, await difference(w.disk, w.model)]).toEqual([kind, wait, -1]);
        await w.disk.close();
        expect([kind, wait, await isClean(w)]).toEqual([kind, wait, true]);
      }
    }
  });
});
