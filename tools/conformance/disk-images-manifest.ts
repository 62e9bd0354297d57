/** The manifest of a folder of recorded disk images: what qemu-img said about each. The folder's README explains the fields. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonValue } from '@emkit/storage';

/** The exit code of a program; negative: the signal that ended it. */
export type Exit = number | 'timeout';
export type Fields = { readonly [key: string]: JsonValue };

export interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

export interface Content {
  readonly exit: Exit;
  readonly sha256: string | null;
  readonly bytes: number | null;
}

export interface RecordedImage {
  readonly name: string;
  readonly format: string;
  readonly kind: 'good' | 'damaged' | 'qemu-refuses';
  readonly what: string;
  readonly files: readonly string[];
  readonly info: { readonly exit: Exit; readonly json: Fields | null };
  readonly map: { readonly exit: Exit; readonly json: readonly MapEntry[] | null };
  readonly check?: { readonly exit: Exit; readonly json: Fields | null } | null;
  readonly read?: Content | null;
  readonly snapshots?: { readonly [name: string]: Content };
  readonly image_opts?: string;
  readonly objects?: readonly string[];
}

export interface Manifest {
  readonly files: { readonly [name: string]: { readonly bytes: number; readonly sha256: string } };
  readonly images: readonly RecordedImage[];
}

export function loadManifest(dir: string): Manifest {
  return JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest;
}

/** Formats that the recorded set has, and emkit does not. */
export const OPTIONAL_FORMATS: readonly string[] = ['vdi', 'vpc', 'vhdx', 'parallels', 'qcow'];
