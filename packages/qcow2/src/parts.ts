/** The parts of an image that have files of their own: snapshots, bitmaps, encryption, check and repair. Where they join. */
import {
  BlockError,
  isBlockError,
  type BitmapStore,
  type CreateOptions,
  type JsonValue,
  type OpenOptions,
} from '@emkit/storage';
import type { AmendExtra } from './amend.ts';
import { openBitmaps, type Qcow2Bitmaps } from './bitmaps.ts';
import { CRYPT_NONE } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { isMarkedDirty } from './snapshot-write.ts';
import { openSnapshots, Qcow2Snapshots } from './snapshots.ts';

// The ciphers are as large as all else here together: they are loaded when an image has or gets any.
export async function createEncryption(
  core: Qcow2Core,
  encryption: ReadonlyMap<string, string>,
  options: CreateOptions,
): Promise<void> {
  if (encryption.size > 0) await (await import('./encryption.ts')).createEncryption(core, encryption, options);
}

/** Bytes of the encryption header, in whole clusters. */
export async function measureEncryption(encryption: ReadonlyMap<string, string>, clusterSize: number): Promise<number> {
  return encryption.size === 0 ? 0 : (await import('./encryption.ts')).measureEncryption(encryption, clusterSize);
}

export interface ImageParts {
  readonly snapshots?: Qcow2Snapshots | undefined;
  readonly bitmaps?: BitmapStore | undefined;
  /** "bitmaps" and "encrypt" of the format-specific information. */
  readonly info?: (() => { bitmaps?: JsonValue; encrypt?: JsonValue }) | undefined;
  /** Before the size changes; throws if it cannot. */
  readonly beforeResize?: ((size: number) => Promise<void>) | undefined;
  readonly amendEncryption?:
    ((options: Readonly<Record<string, string>>, extra: AmendExtra) => Promise<void>) | undefined;
  /** Before the image is closed, with nobody inside. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** When the tables are loaded; `core.writable` says whether anything may be changed. */
export async function openParts(core: Qcow2Core, options: OpenOptions): Promise<ImageParts> {
  const isDirty = isMarkedDirty(core);
  const forCheck = options.forCheck === true;
  if (core.writable !== undefined && isDirty) {
    if (forCheck) core.keepsDirty = true;
    else await repairDirty(core, options);
  }
  const encryption =
    core.header.cryptMethod === CRYPT_NONE
      ? undefined
      : await (await import('./encryption.ts')).openEncryption(core, options);
  const snapshots = await tolerant(forCheck, () => openSnapshots(core));
  const bitmaps = await tolerant(forCheck, () => openBitmaps(core, core.writable !== undefined && !forCheck));
  const store = snapshots ?? new Qcow2Snapshots(core, []);
  const beforeResize = (size: number): Promise<void> => bitmaps?.beforeResize(size) ?? Promise.resolve();
  store.beforeResize = beforeResize;
  return {
    snapshots: store,
    bitmaps,
    info: () => extraInfo(bitmaps, encryption?.info()),
    beforeResize,
    amendEncryption: encryption?.amend,
    close: () => bitmaps?.close() ?? Promise.resolve(),
  };
}

function extraInfo(
  bitmaps: Qcow2Bitmaps | undefined,
  encrypt: JsonValue | undefined,
): { bitmaps?: JsonValue; encrypt?: JsonValue } {
  const list = bitmaps?.info();
  return { ...(list === undefined ? {} : { bitmaps: list }), ...(encrypt === undefined ? {} : { encrypt }) };
}

/** For a check, a table that cannot be read is a finding and no reason to refuse. */
async function tolerant<T>(forCheck: boolean, body: () => Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if (forCheck && isBlockError(error) && (error.kind === 'invalid-format' || error.kind === 'corrupt-image'))
      return undefined;
    throw error;
  }
}

/** Not closed in order: refcounts and flags are made right before anything is written. */
async function repairDirty(core: Qcow2Core, options: OpenOptions): Promise<void> {
  const { checkCore } = await import('./check-core.ts');
  const result = await checkCore(core, { repair: 'all', signal: options.signal });
  if (result.checkErrors > 0) throw new BlockError('corrupt-image', 'Could not repair dirty image');
  if (result.corruptions > 0) core.keepsDirty = true;
}
