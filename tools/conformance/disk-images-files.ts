/** The recorded files as storages in memory, unpacked when they are asked for; and the environment in which images open them, and nothing else. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createRegistry } from '@emkit/block';
import type { BlockEnvironment } from '@emkit/block';
import { luks } from '@emkit/luks';
import { qcow2 } from '@emkit/qcow2';
import { qed } from '@emkit/qed';
import { raw } from '@emkit/raw';
import { BlockError, isZero } from '@emkit/storage';
import type { Storage } from '@emkit/storage';
import { Disk } from '@emkit/storage-testbed';
import { vmdk } from '@emkit/vmdk';
import type { Manifest } from './disk-images-manifest.ts';

const CHUNK = 65536;

export class RecordedFiles {
  readonly #dir: string;
  readonly #manifest: Manifest;
  readonly #disks = new Map<string, Disk>();

  constructor(dir: string, manifest: Manifest) {
    this.#dir = dir;
    this.#manifest = manifest;
  }

  /** Of a set that was unpacked incompletely, the test would be another one. */
  get(name: string): Disk {
    const known = this.#disks.get(name);
    if (known !== undefined) return known;
    const recorded = Object.hasOwn(this.#manifest.files, name) ? this.#manifest.files[name] : undefined;
    if (recorded === undefined) throw new BlockError('not-found', `there is no file ${JSON.stringify(name)}`);
    const path = join(this.#dir, 'images', name);
    const bytes = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== recorded.sha256) throw new Error(`${name} is not the file that was recorded`);
    const disk = new Disk(0, name);
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const part = bytes.subarray(at, at + CHUNK);
      if (!isZero(part)) disk.put(at, part);
    }
    disk.resize(bytes.length);
    this.#disks.set(name, disk);
    return disk;
  }

  /** For the next image: memory stays flat. */
  forget(): void {
    this.#disks.clear();
  }

  /** Files are read-only. `opened` gets the names. */
  environment(secret: string | undefined, opened: string[]): BlockEnvironment {
    const open = (name: unknown): Storage => {
      opened.push(String(name));
      const disk = this.get(String(name));
      return {
        size: disk.size,
        name: String(name),
        read: (offset, buffer, options) => disk.read(offset, buffer, options),
        extent: (offset, length, options) => disk.extent(offset, length, options),
      };
    };
    return {
      registry: createRegistry([qcow2, vmdk, qed, luks, raw]),
      protocols: { file: { open: async (options) => open(options['filename']) } },
      guessBackingFormat: true,
      secret: (id) => {
        if (secret === undefined) throw new BlockError('key', `No secret with id '${id}'`);
        return new TextEncoder().encode(secret);
      },
    };
  }
}
