/**
 * The fuzz target of a format in one call: damages images, opens them, and uses them in every way. Only a `BlockError` may come out; reads, calls,
 * time and the size of each allocation are bounded. Repeatable from the seed.
 */
import { isBlockError } from '@emkit/storage';
import type { BlockImage } from '@emkit/storage';
import { AllocationGuard } from './allocation-guard.ts';
import { Directory } from './directory.ts';
import { HostileStorage } from './hostile-storage.ts';
import type { HostileCaps } from './hostile-storage.ts';
import { IMAGE, openImage } from './image-setup.ts';
import type { ImageSetup } from './image-setup.ts';
import { Mutator } from './mutator.ts';
import type { MutationHints } from './mutator.ts';
import type { Random } from './random.ts';

export interface FuzzImageOptions extends MutationHints {
  readonly seed: number;
  readonly iterations: number;
  /** Good images, each with the setup that opens it; the file that is damaged is `image`, or one of `targets`. */
  readonly samples: readonly { readonly setup: ImageSetup; readonly directory: Directory }[];
  readonly targets?: readonly string[];
  readonly caps?: HostileCaps;
  /** Bytes of one allocation. @default 32 MiB */
  readonly allocation?: number;
  /** For one image. @default 3000 */
  readonly milliseconds?: number;
}

export interface FuzzOutcome {
  readonly inputs: number;
  readonly findings: readonly string[];
  /** Images that opened in spite of the damage: if none do, the fuzzing is shallow. */
  readonly opened: number;
}

const DEFAULT_ALLOCATION = 32 << 20;

export async function fuzzImages(options: FuzzImageOptions): Promise<FuzzOutcome> {
  const { seed, iterations, samples, targets = [IMAGE], milliseconds = 3000 } = options;
  const findings: string[] = [];
  let opened = 0;
  for (let i = 0; i < iterations; i++) {
    const mutator = new Mutator(seed * 1_000_003 + i);
    const { random } = mutator;
    const { setup, directory: good } = random.pick(samples);
    const damaged = new Directory(good.fork());
    const what = mutator.mutate(damaged.disk(random.pick(targets)), options);
    const watched: HostileStorage[] = [];
    const directory = new Directory(damaged.fork(), (disk) => {
      const storage = new HostileStorage(disk, options.caps);
      watched.push(storage);
      return storage;
    });
    const guard = new AllocationGuard(options.allocation ?? DEFAULT_ALLOCATION);
    const begun = Date.now();
    let finding: string | undefined;
    try {
      if (await guard.run(() => use(setup, directory, random))) opened++;
    } catch (error) {
      finding = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    const time = Date.now() - begun;
    finding ??= guard.exceeded ?? watched.find(({ exceeded }) => exceeded !== undefined)?.exceeded;
    if (time > milliseconds) finding ??= `took ${time} ms`;
    if (finding !== undefined) findings.push(`seed ${seed}, input ${i} (${what}): ${finding}`);
    if (findings.length >= 10) return { inputs: i + 1, findings, opened };
  }
  return { inputs: iterations, findings, opened };
}

/** Whether it opened. Anything but a `BlockError` is thrown. */
async function use(setup: ImageSetup, directory: Directory, random: Random): Promise<boolean> {
  const head = new Uint8Array(Math.min(2048, directory.disk(IMAGE).size));
  directory.disk(IMAGE).get(0, head);
  setup.driver.probe(head);
  const isForCheck = random.chance(25);
  const readOnly = random.chance(30);
  const image = await attempt(() => openImage(setup, directory, { forCheck: isForCheck, readOnly }));
  if (image === undefined) return false;
  await attempt(() => image.info());
  await attempt(() => image.check?.());
  for (let i = 0; i < 12; i++) await attempt(() => request(image, random));
  if (!readOnly && random.chance(40)) await attempt(() => image.check?.({ repair: random.pick(['leaks', 'all']) }));
  for (let i = 0; i < 4; i++) await attempt(() => request(image, random));
  await attempt(() => image.close());
  return true;
}

/** Small requests at the ends, in the middle and just beyond; sizes may be anything up to 2^53. */
async function request(image: BlockImage, random: Random): Promise<unknown> {
  const { size } = image;
  const anywhere = Math.floor(random.below(2 ** 30) * (size / 2 ** 30));
  const start = random.pick([0, Math.max(0, size - 4096), anywhere, anywhere, Math.min(size, random.below(65536))]);
  const length = Math.min(random.pick([1, 512, 4096, 65536]), size - start);
  const bytes = new Uint8Array(Math.max(0, length)).fill(random.below(3));
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return image.read(start, bytes);
    case 3:
    case 4:
    case 5:
      return image.write?.(start, bytes);
    case 6:
      return length > 0 ? image.status(start, random.pick([length, size - start])) : undefined;
    case 7:
      return image.writeZeroes?.(start, length, { unmap: random.chance(50) });
    case 8:
      return image.discard?.(start, length);
    case 9:
      return image.flush?.();
    case 10:
      return useSnapshots(image, random);
    default:
      return random.chance(50)
        ? image.resize?.(random.pick([0, 512, size + 65536, Math.floor(size / 2)]), { shrink: true })
        : useBitmaps(image, random);
  }
}

async function useSnapshots(image: BlockImage, random: Random): Promise<void> {
  const { snapshots } = image;
  if (snapshots === undefined) return;
  const [first] = snapshots.list();
  switch (first === undefined ? 0 : random.below(4)) {
    case 0:
      await snapshots.create({ name: `n${random.below(4)}` });
      return;
    case 1:
      await snapshots.apply(first?.id ?? '');
      return;
    case 2:
      await snapshots.delete(first?.id ?? '');
      return;
    default: {
      const disk = await snapshots.open(first?.id ?? '');
      await disk.read(0, new Uint8Array(Math.min(disk.size, 65536)));
      await snapshots.readVmState(first?.id ?? '', 0, new Uint8Array(Math.min(first?.vmStateSize ?? 0, 4096)));
    }
  }
}

/** Dirty ranges come from the image: only the first ones are looked at. */
async function useBitmaps(image: BlockImage, random: Random): Promise<void> {
  const { bitmaps } = image;
  if (bitmaps === undefined) return;
  const [first] = bitmaps.list();
  if (first === undefined) return bitmaps.add({ name: 'b' });
  if (random.chance(30)) return bitmaps.remove(first.name);
  let count = 0;
  for (const range of await bitmaps.dirtyRanges(first.name)) if (range[0] < 0 || ++count > 1000) break;
}

async function attempt<T>(work: () => Promise<T> | T | undefined): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isBlockError(error)) return undefined;
    throw error;
  }
}
