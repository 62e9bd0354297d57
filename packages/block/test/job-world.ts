/** A chain of real images on recorded disks, opened as a program would: base <- mid <- top, and `copy` for jobs with a target. */
import { qcow2 } from '@emkit/qcow2';
import { raw } from '@emkit/raw';
import { Directory, fillContent, Random, type Disk } from '@emkit/storage-testbed';
import { BlockError, type BlockImage, type WritableStorage } from '@emkit/storage';
import { createRegistry, openImage, type BlockEnvironment, type BlockNode } from '../src/index.ts';

export interface ChainSetup {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of the base, if it is smaller. */
  readonly baseSize?: number;
  readonly baseFormat: 'raw' | 'qcow2';
  /** For all qcow2 images of the chain. */
  readonly options: Readonly<Record<string, string>>;
  /** The base's name as the images store it: a long one makes the header longer than a sector. */
  readonly baseName?: string;
}

/** What `copy` stands on: nothing, or what the top stands on. */
export type CopyKind = 'alone' | 'over mid';

export const nameOfBase = (setup: ChainSetup): string => setup.baseName ?? 'base';

export function environment(directory: Directory): BlockEnvironment {
  const open = (options: { readonly [key: string]: unknown }): Promise<WritableStorage> => {
    const name = String(options['filename']);
    if (!directory.names().includes(name)) throw new BlockError('not-found', `there is no file ${name}`);
    return Promise.resolve(directory.storage(name));
  };
  return { registry: createRegistry([raw, qcow2]), protocols: { file: { open } } };
}

/** As the guest uses it: with the format named, and discards that reach the file. */
export function openDisk(
  setup: ChainSetup,
  name: string,
  env: BlockEnvironment,
  graph?: BlockNode['graph'],
): Promise<BlockNode> {
  const format = name === nameOfBase(setup) ? setup.baseFormat : 'qcow2';
  return openImage(name, env, { format, discard: 'unmap', graph });
}

/** The files, and what the top reads as. */
export async function makeChain(setup: ChainSetup, copy: CopyKind | undefined, seed: number): Promise<Directory> {
  const { size, baseFormat, options } = setup;
  const base = nameOfBase(setup);
  const directory = new Directory();
  const env = environment(directory);
  const random = new Random(seed);
  const make = async (name: string, bytes: number, backing?: string, format?: string): Promise<void> => {
    const below = backing === undefined ? {} : { backing_file: backing, backing_fmt: format ?? 'qcow2' };
    await qcow2.create?.(directory.storage(name), { size: bytes, options: { ...options, ...below } });
  };
  if (baseFormat === 'raw') directory.disk(base).resize(setup.baseSize ?? size);
  else await make(base, setup.baseSize ?? size);
  await scribble(base, env, random, baseFormat);
  await make('mid', size, base, baseFormat);
  await scribble('mid', env, random);
  await make('top', size, 'mid');
  await scribble('top', env, random);
  if (copy === 'alone') await make('copy', size);
  else if (copy === 'over mid') await make('copy', size, 'mid');
  return directory;
}

/** Some data and some zeroes, about a third of the image. */
async function scribble(name: string, env: BlockEnvironment, random: Random, format = 'qcow2'): Promise<void> {
  const node = await openImage(name, env, { format });
  const sectors = node.size / 512;
  for (let left = sectors / 3; left > 0;) {
    const first = random.below(sectors);
    const length = Math.min(1 + random.below(32), sectors - first);
    const bytes = new Uint8Array(length * 512);
    fillContent(bytes, random.u32());
    if (random.chance(20)) await node.writeZeroes?.(first * 512, bytes.length);
    else await node.write?.(first * 512, bytes);
    left -= length;
  }
  await node.close();
}

export async function contentOf(image: Pick<BlockImage, 'size' | 'read'>): Promise<Uint8Array> {
  const bytes = new Uint8Array(image.size).fill(0xa5);
  await image.read(0, bytes);
  return bytes;
}

/** The files of a cut. */
export const directoryOf = (names: readonly string[], disks: readonly Disk[]): Directory =>
  new Directory(disks.map((disk, i) => [names[i] as string, disk] as const));
