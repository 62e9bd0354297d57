/**
 * The parent of a delta: found by `parentFileNameHint`, opened through the resolver, and matched by its CID. Virtual Disk Format 5.0
 * "Delta Links", `CID` and `parentCID`.
 */
import {
  BlockError,
  type BlockImage,
  type IoOptions,
  type Reference,
  type Resolver,
  type Storage,
} from '@emkit/storage';
import { isAbsolute, relativeTo } from './names.ts';

/** Opens a disk of this format over a file of which the resolver gave the plain bytes. */
export type OpenDisk = (file: Storage, resolver: Resolver) => Promise<BlockImage>;

export interface Parent {
  readonly disk: Storage;
  close(): Promise<void>;
}

/** A storage that is an open image already is the disk; any other is a file with the parent in it, and is opened here. */
export async function openParent(
  reference: Reference,
  resolver: Resolver,
  openDisk: OpenDisk,
  options?: IoOptions,
): Promise<Parent> {
  const file = await resolver.open(reference, options);
  const close = async (): Promise<void> => void (await file.close?.());
  if (isImage(file)) return { disk: file, close };
  try {
    const disk = await openDisk(file, beside(resolver, reference.name));
    return {
      disk,
      async close() {
        await disk.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The resolver for names in a file called `base`: all names that it is asked for stay relative to the first image. */
export function beside(resolver: Resolver, base: string): Resolver {
  const rename = (reference: Reference): Reference =>
    isAbsolute(reference.name) ? reference : { ...reference, name: relativeTo(base, reference.name) };
  return { open: (reference, options) => resolver.open(rename(reference), options) };
}

function isImage(storage: Storage): storage is BlockImage {
  return typeof (storage as Partial<BlockImage>).driver === 'string';
}

/** The CID of an open disk; undefined: it is not one of ours, or does not say. */
export async function cidOf(disk: Storage, options?: IoOptions): Promise<number | undefined> {
  if (!isImage(disk) || disk.driver !== 'vmdk') return undefined;
  const data = (await disk.info(options)).formatSpecific?.data;
  const cid = data?.['cid'];
  return typeof cid === 'number' ? cid : undefined;
}

/** Throws unless the parent is the disk that the delta was made over. A disk that has no CID cannot be matched: that is its opener's decision. */
export async function checkParent(disk: Storage, parentCid: number, options?: IoOptions): Promise<void> {
  const cid = await cidOf(disk, options);
  if (cid === undefined || cid === parentCid) return;
  throw new BlockError(
    'invalid-format',
    `the parent was changed after the snapshot was made: its CID is ${cid.toString(16)}, expected was ${parentCid.toString(16)}`,
    { field: 'parentCID', hint: 'a parent must not be written to while it has children' },
  );
}
