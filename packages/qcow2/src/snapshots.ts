/**
 * Internal snapshots of an open image: create, apply, delete, look at. Everything happens alone in the image.
 *
 * Crash safety: tables are copied to new places and switched to by one write of the header; counts go up before anything refers, and down
 * when nothing refers any more. What a crash leaves is old or new, with leaks and flags for a repair (see `underDirtyMark`).
 *
 * The machine state lies behind the disk, in the part of the mapping that the guest cannot reach. qcow2 spec, "Snapshots".
 */
import {
  BlockError,
  checkAborted,
  checkRange,
  type BlockStatus,
  type IoOptions,
  type SnapshotInfo,
  type SnapshotStore,
  type Storage,
} from '@emkit/storage';
import { allocateClusters, freeLater, freeUnused } from './allocation.ts';
import { commit, hasChanges } from './commit.ts';
import { COPIED_HI } from './constants.ts';
import { Qcow2Core } from './core.ts';
import { encodeString } from './header-extensions.ts';
import { MAX_HOST_OFFSET, MAX_L1_BYTES } from './limits.ts';
import { loadTable } from './load.ts';
import { alone } from './maintenance.ts';
import type { OverlapGuard } from './overlap-guard.ts';
import { readGuest } from './read.ts';
import { growL1 } from './resize.ts';
import { checkSnapshotL1, makeSnapshot, readSnapshotTable, type Snapshot } from './snapshot-table.ts';
import { addTree, fitCopiedFlags, freeTree } from './snapshot-tree.ts';
import { underDirtyMark, writeSnapshotTable } from './snapshot-write.ts';
import { guestStatus } from './status.ts';
import { viewOf } from './u64.ts';
import { writeGuest } from './write.ts';
import { unallocateGuest } from './zero.ts';

const VIEW_CACHE_BYTES = 1024 * 1024;
const MAX_NAME_BYTES = 256;

type View = Storage & { status(offset: number, length: number): Promise<BlockStatus> };
type Creation = Parameters<SnapshotStore['create']>[0];

export async function openSnapshots(core: Qcow2Core): Promise<Qcow2Snapshots> {
  const { snapshots } = await readSnapshotTable(core.file, core.header);
  return new Qcow2Snapshots(core, snapshots);
}

export class Qcow2Snapshots implements SnapshotStore {
  readonly #core: Qcow2Core;
  #snapshots: readonly Snapshot[];
  /** Called before a snapshot of another disk size is applied. */
  beforeResize: ((size: number) => Promise<void>) | undefined;

  constructor(core: Qcow2Core, snapshots: readonly Snapshot[]) {
    this.#core = core;
    this.#snapshots = snapshots;
    core.guardSources.push((guard) => this.#guard(guard));
  }

  list(): readonly SnapshotInfo[] {
    return this.#snapshots.map(infoOf);
  }

  create(snapshot: Creation, options: IoOptions = {}): Promise<SnapshotInfo> {
    return this.#alone(async () => {
      checkAborted(options.signal);
      this.#checkUsable();
      checkName(snapshot.name);
      if (snapshot.vmState !== undefined && snapshot.vmState.length > 0) await this.#writeVmState(snapshot.vmState);
      const made = await this.#core.lock.run(() => this.#create(snapshot));
      if (snapshot.vmState !== undefined) await this.#dropVmState(snapshot.vmState.length);
      return infoOf(made);
    });
  }

  apply(key: string, options: IoOptions = {}): Promise<void> {
    return this.#alone(async () => {
      checkAborted(options.signal);
      this.#checkUsable();
      const snapshot = this.#find(key);
      if (snapshot.diskSize !== this.#core.size) await this.beforeResize?.(snapshot.diskSize);
      await this.#core.lock.run(() => this.#apply(snapshot));
    });
  }

  delete(key: string, options: IoOptions = {}): Promise<void> {
    return this.#alone(async () => {
      checkAborted(options.signal);
      await this.#core.lock.run(() => this.#delete(this.#find(key)));
    });
  }

  async open(key: string): Promise<View> {
    const core = this.#core;
    core.checkOpen();
    const snapshot = this.#find(key);
    const view = await this.#view(snapshot);
    const isValid = (): boolean => this.#snapshots.some((other) => other.l1TableOffset === snapshot.l1TableOffset);
    const check = (): void => {
      core.checkOpen();
      if (!isValid()) throw new BlockError('not-found', `the snapshot '${key}' was deleted`);
    };
    return {
      size: snapshot.diskSize,
      name: core.file.name,
      async read(offset, buffer, options) {
        const generation = await core.enterGate();
        try {
          check();
          checkRange(offset, buffer.length, Number.MAX_SAFE_INTEGER);
          const length = Math.max(0, Math.min(buffer.length, snapshot.diskSize - offset));
          buffer.fill(0, length);
          if (length > 0) await readGuest(view, offset, buffer.subarray(0, length), options);
        } finally {
          core.gate.leave(generation);
        }
      },
      async status(offset, length) {
        const generation = await core.enterGate();
        try {
          check();
          checkRange(offset, length, snapshot.diskSize);
          return await guestStatus(view, offset, length);
        } finally {
          core.gate.leave(generation);
        }
      },
    };
  }

  async readVmState(key: string, offset: number, buffer: Uint8Array): Promise<void> {
    const core = this.#core;
    const generation = await core.enterGate();
    try {
      const snapshot = this.#find(key);
      checkRange(offset, buffer.length, snapshot.vmStateSize);
      const start = vmStateOffset(core, snapshot.diskSize);
      const view = await this.#view(snapshot);
      if (start + snapshot.vmStateSize > (view.l1.length / 8) * core.geometry.l1Coverage)
        throw new BlockError('corrupt-image', 'the VM state is larger than what the snapshot maps');
      await readGuest(view, start + offset, buffer);
    } finally {
      core.gate.leave(generation);
    }
  }

  /** After a repair. */
  async reload(): Promise<void> {
    this.#snapshots = (await readSnapshotTable(this.#core.file, this.#core.header)).snapshots;
  }

  async #alone<T>(body: () => Promise<T>): Promise<T> {
    this.#core.checkWritable();
    return alone(this.#core, body);
  }

  #checkUsable(): void {
    if (this.#core.isIdentity)
      throw new BlockError('unsupported-feature', 'Images with an external data file have no internal snapshots');
    if (this.#core.geometry.maxRefcount < 2)
      throw new BlockError('unsupported-feature', 'Snapshots need refcounts of 2 bits at least', {
        hint: 'amend the image to larger refcount_bits',
      });
  }

  /** By ID, then by name. */
  #find(key: string): Snapshot {
    const found = this.#snapshots.find((s) => s.id === key) ?? this.#snapshots.find((s) => s.name === key);
    if (found === undefined) throw new BlockError('not-found', `Can't find snapshot '${key}'`);
    return found;
  }

  #newId(): string {
    let largest = 0;
    for (const { id } of this.#snapshots) {
      const number = /^\d{1,15}$/.test(id) ? Number(id) : 0;
      largest = Math.max(largest, number);
    }
    return String(largest + 1);
  }

  /** The image as it was, as an image of its own that is only read. */
  async #view(snapshot: Snapshot): Promise<Qcow2Core> {
    const core = this.#core;
    const l1 = await this.#l1(snapshot);
    const needed = core.geometry.l1SizeFor(snapshot.diskSize);
    if (needed * 8 > l1.length)
      throw new BlockError('corrupt-image', 'the snapshot maps less than its disk', { field: 'l1_size' });
    const view = new Qcow2Core({
      file: core.file,
      writable: undefined,
      header: {
        ...core.header,
        size: snapshot.diskSize,
        l1Size: snapshot.l1Size,
        l1TableOffset: snapshot.l1TableOffset,
      },
      headerBytes: new Uint8Array(0),
      l1,
      codecs: core.codecs,
      options: { ...core.options, l2CacheBytes: VIEW_CACHE_BYTES },
    });
    view.dataFile = core.dataFile;
    view.backing = core.backing;
    view.cipher = core.cipher;
    return view;
  }

  #l1(snapshot: Snapshot): Promise<Uint8Array> {
    checkSnapshotL1(snapshot, this.#core.geometry.clusterSize, MAX_HOST_OFFSET);
    return loadTable(this.#core.file, snapshot.l1TableOffset, snapshot.l1Size * 8);
  }

  async #create(wanted: Creation): Promise<Snapshot> {
    const core = this.#core;
    const { geometry } = core;
    const file = core.checkWritable();
    await settleLocked(core);
    const l1 = withoutCopied(core.l1);
    const clusters = Math.max(1, geometry.clustersFor(l1.length));
    const snapshot = makeSnapshot({
      l1TableOffset: 0,
      l1Size: l1.length / 8,
      id: this.#newId(),
      name: wanted.name,
      date: wanted.date ?? Date.now(),
      vmClock: wanted.vmClock ?? 0,
      vmStateSize: wanted.vmState?.length ?? 0,
      diskSize: core.size,
      icount: wanted.icount,
    });
    let made: Snapshot = snapshot;
    await underDirtyMark(core, async () => {
      const { start } = await allocateClusters(core, clusters, clusters);
      made = { ...snapshot, l1TableOffset: start * geometry.clusterSize };
      viewOf(made.fixed).setUint32(0, Math.floor(made.l1TableOffset / 2 ** 32));
      viewOf(made.fixed).setUint32(4, made.l1TableOffset % 2 ** 32);
      try {
        await addTree(core, viewOf(l1));
      } catch (error) {
        await freeUnused(core, start, clusters);
        await settleLocked(core);
        throw error;
      }
      await file.write(made.l1TableOffset, l1);
      core.guard?.add('inactive-l1', start, clusters);
      await fitCopiedFlags(core);
      await writeSnapshotTable(core, [...this.#snapshots, made], this.#snapshots);
      this.#snapshots = [...this.#snapshots, made];
      await settleLocked(core);
    });
    return made;
  }

  async #apply(snapshot: Snapshot): Promise<void> {
    const core = this.#core;
    const { geometry } = core;
    const { clusterSize } = geometry;
    if (snapshot.diskSize !== core.size && core.header.version < 3)
      throw new BlockError('unsupported-feature', 'the snapshot has another disk size, and version 2 cannot change it');
    const table = await this.#l1(snapshot);
    const entries = Math.max(geometry.l1SizeFor(snapshot.diskSize), snapshot.l1Size);
    if (entries * 8 > MAX_L1_BYTES) throw new BlockError('corrupt-image', 'Snapshot L1 table too large');
    const l1 = new Uint8Array(entries * 8);
    l1.set(withoutCopied(table));
    await settleLocked(core);
    await underDirtyMark(core, async () => {
      await addTree(core, viewOf(l1));
      const clusters = Math.max(1, geometry.clustersFor(l1.length));
      const { start } = await allocateClusters(core, clusters, clusters);
      const old = { l1: core.l1, offset: core.header.l1TableOffset };
      await commit(core, { withRefcounts: true });
      core.l1 = l1;
      core.l1View = viewOf(l1);
      core.newL1Offset = start * clusterSize;
      core.guard?.add('active-l1', start, clusters);
      core.header = { ...core.header, size: snapshot.diskSize };
      await commit(core, { withRefcounts: true });
      await freeTree(core, viewOf(old.l1));
      const oldClusters = geometry.clustersFor(old.l1.length);
      if (oldClusters > 0) freeLater(core, old.offset / clusterSize, oldClusters, true);
      await settleLocked(core);
      core.compressedEnd = 0;
      core.decompressed.clear();
      await fitCopiedFlags(core);
      await settleLocked(core);
    });
    core.onWrite?.(0, core.size);
  }

  async #delete(snapshot: Snapshot): Promise<void> {
    const core = this.#core;
    const { geometry } = core;
    const l1 = await this.#l1(snapshot);
    await settleLocked(core);
    await underDirtyMark(core, async () => {
      const rest = this.#snapshots.filter((other) => other !== snapshot);
      await writeSnapshotTable(core, rest, this.#snapshots);
      this.#snapshots = rest;
      await freeTree(core, viewOf(l1));
      freeLater(core, snapshot.l1TableOffset / geometry.clusterSize, geometry.clustersFor(l1.length), true);
      await settleLocked(core);
      await fitCopiedFlags(core);
      await settleLocked(core);
    });
  }

  async #writeVmState(state: Uint8Array): Promise<void> {
    const core = this.#core;
    const start = vmStateOffset(core, core.size);
    const entries = Math.ceil((start + state.length) / core.geometry.l1Coverage);
    if (entries * 8 > MAX_L1_BYTES) throw new BlockError('no-space', 'the VM state does not fit behind the disk');
    if (entries > core.l1.length / 8) await core.lock.run(() => growL1(core, entries));
    await writeGuest(core, start, state);
  }

  /** The snapshot keeps it; the disk's own mapping does not need it. */
  async #dropVmState(length: number): Promise<void> {
    const core = this.#core;
    if (length === 0) return;
    const start = vmStateOffset(core, core.size);
    await unallocateGuest(core, start, core.geometry.alignUp(length));
    await core.lock.run(() => settleLocked(core));
  }

  #guard(guard: OverlapGuard): void {
    const { header, geometry } = this.#core;
    const { clusterSize } = geometry;
    const bytes = this.#snapshots.reduce((sum, snapshot) => sum + snapshot.entryBytes, 0);
    if (bytes > 0) guard.add('snapshot-table', header.snapshotsOffset / clusterSize, geometry.clustersFor(bytes));
    for (const { l1TableOffset, l1Size } of this.#snapshots)
      if (l1TableOffset % clusterSize === 0 && l1Size * 8 <= MAX_L1_BYTES)
        guard.add('inactive-l1', l1TableOffset / clusterSize, geometry.clustersFor(l1Size * 8));
  }
}

/** The machine state begins where the L1 entry after the disk's last one maps. */
const vmStateOffset = (core: Qcow2Core, diskSize: number): number =>
  core.geometry.l1SizeFor(diskSize) * core.geometry.l1Coverage;

async function settleLocked(core: Qcow2Core): Promise<void> {
  do await commit(core, { withRefcounts: true });
  while (hasChanges(core));
}

function withoutCopied(l1: Uint8Array): Uint8Array {
  const copy = l1.slice();
  const view = viewOf(copy);
  for (let at = 0; at + 8 <= copy.length; at += 8) view.setUint32(at, (view.getUint32(at) & ~COPIED_HI) >>> 0);
  return copy;
}

function checkName(name: string): void {
  const { length } = encodeString(name);
  if (length === 0 || length > MAX_NAME_BYTES - 1)
    throw new BlockError('invalid-option', `a snapshot's name has 1 to ${MAX_NAME_BYTES - 1} bytes`);
}

const infoOf = (snapshot: Snapshot): SnapshotInfo => ({
  id: snapshot.id,
  name: snapshot.name,
  vmStateSize: snapshot.vmStateSize,
  date: snapshot.date,
  vmClock: snapshot.vmClock,
  icount: snapshot.icount,
  diskSize: snapshot.diskSize,
});
