/** The recorded disk images: unpacked into memory, with a resolver over their neighbours. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { BlockError, MemoryStorage, type BlockImage, type Resolver, type Storage } from '@emkit/storage';
import { qcow2 } from '../src/index.ts';

export const DIRECTORY = resolve(import.meta.dirname, '../../../../shared/conformance/disk-images');
export const isPresent = existsSync(`${DIRECTORY}/manifest.json`);

export interface Recorded {
  readonly name: string;
  readonly format: string;
  readonly kind: string;
  readonly what: string;
  readonly image_opts?: string;
  readonly info: { readonly exit: number; readonly json: Record<string, unknown> };
  readonly map?: { readonly exit: number; readonly json: readonly MapEntry[] | null };
  readonly check?: { readonly exit: number | string };
  readonly read?: { readonly exit: number | string; readonly sha256: string | null; readonly bytes: number | null };
}

export interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

export function recorded(): readonly Recorded[] {
  if (!isPresent) return [];
  const manifest = JSON.parse(readFileSync(`${DIRECTORY}/manifest.json`, 'utf8')) as { images: Recorded[] };
  return manifest.images;
}

export function load(name: string): MemoryStorage {
  const path = `${DIRECTORY}/images/${name}.gz`;
  if (!existsSync(path)) throw new BlockError('not-found', `${name} does not exist`);
  return new MemoryStorage(gunzipSync(readFileSync(path)), name);
}

const MAX_DEPTH = 16;

/** Opens what images name: raw files as they are, others as qcow2. */
export function neighbours(depth = 0): Resolver {
  return {
    async open(reference): Promise<Storage> {
      if (depth >= MAX_DEPTH) throw new BlockError('refused', 'the backing chain is too long');
      const file = load(reference.name);
      if (reference.kind !== 'backing' || reference.format === 'raw') return file;
      return openImage(file, depth + 1);
    },
  };
}

export function openImage(file: Storage, depth = 0): Promise<BlockImage> {
  return qcow2.open(file, { readOnly: true, resolver: neighbours(depth) });
}
