/** The parts of an image that have packages of files of their own: snapshots, bitmaps, encryption, check and repair. Where they join. */
import {
  BlockError,
  type BitmapStore,
  type JsonValue,
  type CreateOptions,
  type OpenOptions,
  type SnapshotStore,
} from '@emkit/storage';
import type { AmendExtra } from './amend.ts';
import { CRYPT_NONE, INCOMPAT_DIRTY } from './constants.ts';
import type { Qcow2Core } from './core.ts';

export interface ImageParts {
  readonly snapshots?: SnapshotStore | undefined;
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
  if (core.header.cryptMethod !== CRYPT_NONE && options.metadataOnly !== true)
    throw new BlockError('unsupported-feature', 'encrypted images cannot be read yet', { field: 'crypt_method' });
  if (
    core.writable !== undefined &&
    (core.header.incompatibleFeatures & INCOMPAT_DIRTY) !== 0n &&
    options.forCheck !== true
  )
    throw new BlockError('unsupported-feature', 'the image is dirty and must be repaired before it is written');
  return {};
}

/** Of an image that is being created, before it has its size: `encrypt.*` and `encryption` as they were given. */
export async function createEncryption(
  _core: Qcow2Core,
  _encryption: ReadonlyMap<string, string>,
  _options: CreateOptions,
): Promise<void> {
  throw new BlockError('unsupported-feature', 'encrypted images cannot be made yet');
}

/** Bytes of the encryption header, in whole clusters. */
export async function measureEncryption(
  _encryption: ReadonlyMap<string, string>,
  _clusterSize: number,
): Promise<number> {
  return 0;
}
