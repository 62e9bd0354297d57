/**
 * Time of our own per request, in memory: random 4 KiB reads, rewrites, and allocating writes.
 * `npx tsx --conditions=@emkit/source packages/qcow2/bench/random-io.ts`
 */
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { qcow2 } from '../src/index.ts';

const SIZE = 1024 * 1024 * 1024;
const USED = 64 * 1024 * 1024;
const BLOCK = 4096;
const REQUESTS = 200_000;

/** Takes and gives nothing: what remains is the time of the format's code. */
class NullStorage extends MemoryStorage {
  #isDeaf = false;

  deafen(): void {
    this.#isDeaf = true;
  }

  override read(offset: number, buffer: Uint8Array): Promise<void> {
    return this.#isDeaf && buffer.length === BLOCK ? Promise.resolve() : super.read(offset, buffer);
  }

  override write(offset: number, buffer: Uint8Array): Promise<void> {
    return this.#isDeaf && buffer.length === BLOCK ? Promise.resolve() : super.write(offset, buffer);
  }
}

function offsets(range: number): () => number {
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * (range / BLOCK)) * BLOCK;
  };
}

async function time(name: string, requests: number, depth: number, request: () => Promise<void>): Promise<void> {
  const start = performance.now();
  const worker = async (): Promise<void> => {
    for (let i = 0; i < requests / depth; i++) await request();
  };
  await Promise.all(Array.from({ length: depth }, worker));
  const us = ((performance.now() - start) * 1000) / requests;
  console.log(`${name.padEnd(44)} depth ${String(depth).padStart(2)}  ${us.toFixed(2).padStart(7)} us`);
}

async function make(options: Readonly<Record<string, string>>): Promise<{ file: NullStorage; image: BlockImage }> {
  const file = new NullStorage();
  await qcow2.create?.(file, { size: SIZE, options });
  return { file, image: await qcow2.open(file) };
}

for (const options of [{}, { cluster_size: '4096' }, { extended_l2: 'on' }]) {
  const label = JSON.stringify(options);
  const { file, image } = await make(options);
  const chunk = new Uint8Array(1024 * 1024).fill(1);
  for (let at = 0; at < USED; at += chunk.length) await image.write?.(at, chunk);
  await image.flush?.();
  file.deafen();
  const buffer = new Uint8Array(BLOCK);
  for (const depth of [1, 64]) {
    const next = offsets(USED);
    await time(`${label} read`, REQUESTS, depth, () => image.read(next(), buffer));
    await time(`${label} rewrite`, REQUESTS, depth, () => image.write?.(next(), buffer) ?? Promise.resolve());
  }
  const next = offsets(SIZE);
  await time(`${label} allocating write`, 20_000, 1, () => image.write?.(next(), buffer) ?? Promise.resolve());
  await image.close();
}
