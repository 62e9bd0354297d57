/**
 * The files of one image, by name: what its resolver gives, and a record of what was asked for. Names from images are `Map` keys and
 * nothing else. With `wrap` every file is given out behind a recorder or a fault plan.
 */
import { BlockError } from '@emkit/storage';
import type { Reference, Resolver, WritableStorage } from '@emkit/storage';
import { Disk } from './disk.ts';

export class Directory implements Resolver {
  readonly #disks = new Map<string, Disk>();
  readonly #given = new Map<string, WritableStorage>();
  readonly #wrap: ((disk: Disk, name: string) => WritableStorage) | undefined;
  /** Every reference that was asked for. */
  readonly opened: Reference[] = [];

  constructor(
    disks: Iterable<readonly [name: string, disk: Disk]> = [],
    wrap?: (disk: Disk, name: string) => WritableStorage,
  ) {
    this.#wrap = wrap;
    for (const [name, disk] of disks) this.#add(name, disk);
  }

  /** The file itself, without what wraps it; made if it is not there. */
  disk(name: string): Disk {
    this.storage(name);
    return this.#disks.get(name) as Disk;
  }

  /** As the resolver gives it; made if it is not there. */
  storage(name: string): WritableStorage {
    return this.#given.get(name) ?? this.#add(name, new Disk(0, name));
  }

  names(): string[] {
    return [...this.#disks.keys()];
  }

  /** Forks of all files. */
  fork(): [name: string, disk: Disk][] {
    return [...this.#disks].map(([name, disk]) => [name, disk.fork()]);
  }

  open(reference: Reference): Promise<WritableStorage> {
    this.opened.push(reference);
    const storage = this.#given.get(reference.name);
    if (storage !== undefined) return Promise.resolve(storage);
    return Promise.reject(new BlockError('not-found', `there is no file ${JSON.stringify(reference.name)}`));
  }

  create(name: string): Promise<WritableStorage> {
    const old = this.#disks.get(name);
    if (old === undefined) return Promise.resolve(this.storage(name));
    const storage = this.storage(name);
    return storage.truncate(0).then(() => storage);
  }

  #add(name: string, disk: Disk): WritableStorage {
    const storage = this.#wrap?.(disk, name) ?? disk;
    this.#disks.set(name, disk);
    this.#given.set(name, storage);
    return storage;
  }
}
