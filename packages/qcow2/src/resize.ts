/** Another virtual size: a longer L1 table, space in advance, or clusters given back. Alone: nobody else is inside. */
import { BlockError, isZero, zeroRange, writable, type Preallocation, type ResizeOptions } from '@emkit/storage';
import { allocateClusters, freeLater, ownPiece } from './allocation.ts';
import { commit } from './commit.ts';
import { COPIED_HI } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { Geometry } from './geometry.ts';
import type { Qcow2Header } from './header.ts';
import { MAX_L1_BYTES, MAX_VIRTUAL_SIZE } from './limits.ts';
import { settle, trimFile } from './maintenance.ts';
import type { ImageParts } from './parts.ts';
import { readGuest } from './read.ts';
import { TWO_32, viewOf } from './u64.ts';
import { readsZero } from './write.ts';
import { unallocateGuest, zeroGuest } from './zero.ts';

const SECTOR = 512;

/** Throws unless the format can hold a disk of this size. */
export function checkSize(
  header: Pick<Qcow2Header, 'clusterBits' | 'incompatibleFeatures' | 'refcountOrder'>,
  size: number,
): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new BlockError('invalid-option', 'Invalid image size');
  if (size > MAX_VIRTUAL_SIZE || new Geometry(header).l1SizeFor(size) * 8 > MAX_L1_BYTES)
    throw new BlockError('no-space', 'The image size is too large for file format', {
      hint: 'use larger clusters',
    });
}

export async function resizeImage(
  core: Qcow2Core,
  parts: ImageParts,
  size: number,
  options: ResizeOptions = {},
): Promise<void> {
  const preallocation = options.preallocation ?? 'off';
  checkSize(core.header, size);
  if (size % SECTOR !== 0) throw new BlockError('invalid-option', `The new size must be a multiple of ${SECTOR}`);
  if (core.header.nbSnapshots > 0 && core.header.version < 3)
    throw new BlockError('unsupported-feature', "Can't resize a version 2 image which has snapshots");
  await parts.beforeResize?.(size);
  if (size < core.size) {
    if (preallocation !== 'off')
      throw new BlockError('invalid-option', "Preallocation can't be used for shrinking an image");
    if (options.shrink !== true)
      throw new BlockError('invalid-option', 'a smaller size deletes data: it must be asked for');
    await shrink(core, size);
  } else await grow(core, size, preallocation, options);
}

async function shrink(core: Qcow2Core, size: number): Promise<void> {
  const file = core.checkWritable();
  // the size first: what is beyond it may then go in any order
  await core.updateHeader(() => ({ size }));
  await file.flush();
  // all that the L1 table maps: behind the disk there may be VM state
  const start = core.geometry.alignUp(size);
  const end = (core.l1.length / 8) * core.geometry.l1Coverage;
  if (start < end) await unallocateGuest(core, start, end - start);
  await core.lock.run(async () => {
    await commit(core);
    for (let index = core.geometry.l1SizeFor(size); index < core.l1.length / 8; index++) {
      const offset = core.l2Offset(index);
      if (offset === 0) continue;
      freeLater(core, offset / core.geometry.clusterSize, 1, true);
      core.setL1(index, 0, false);
    }
  });
  await settle(core);
  await trimFile(core);
  if (core.isIdentity) await core.dataFile.truncate?.(size);
}

async function grow(core: Qcow2Core, size: number, mode: Preallocation, options: ResizeOptions): Promise<void> {
  const old = core.size;
  const file = core.checkWritable();
  const entries = core.geometry.l1SizeFor(size);
  if (entries > core.l1.length / 8) await core.lock.run(() => growL1(core, entries));
  await clearBeyond(core, old, size);
  if (core.isIdentity) await writable(core.dataFile).truncate(size);
  if (mode !== 'off') await preallocate(core, core.geometry.alignUp(old), core.geometry.alignUp(size), mode, options);
  // a backing file that goes on where the disk ended must not show, not even if the power goes before the end
  const { backing } = core;
  if (backing !== undefined && backing.size > old)
    await zeroGuest(core, old, core.geometry.alignUp(Math.min(size, backing.size)) - old);
  await core.lock.run(() => commit(core, { ...options, withRefcounts: true }));
  await core.updateHeader(() => ({ size }));
  await file.flush(options);
}

/** What an earlier, longer disk may have left behind the end. */
async function clearBeyond(core: Qcow2Core, old: number, size: number): Promise<void> {
  const next = core.geometry.alignUp(old);
  if (next > old && !(await readsZero(core, old, next - old))) {
    const rest = new Uint8Array(next - old);
    await readGuest(core, old, rest);
    if (!isZero(rest)) await zeroGuest(core, old, next - old);
  }
  if (next < size) await unallocateGuest(core, next, size - next);
}

/** With the lock. */
export async function growL1(core: Qcow2Core, entries: number): Promise<void> {
  const { geometry, header } = core;
  const clusters = geometry.clustersFor(entries * 8);
  const { start } = await allocateClusters(core, clusters, clusters);
  const l1 = new Uint8Array(entries * 8);
  l1.set(core.l1);
  const oldClusters = geometry.clustersFor(header.l1Size * 8);
  if (oldClusters > 0) freeLater(core, header.l1TableOffset / geometry.clusterSize, oldClusters, true);
  core.l1 = l1;
  core.l1View = viewOf(l1);
  core.newL1Offset = start * geometry.clusterSize;
  core.guard?.add('active-l1', start, clusters);
  await commit(core, { withRefcounts: true });
}

/** Maps every cluster of a range that has nothing; with `falloc` and `full` the file gets its space too. */
async function preallocate(
  core: Qcow2Core,
  start: number,
  end: number,
  mode: Preallocation,
  options: ResizeOptions,
): Promise<void> {
  const { geometry } = core;
  const { clusterSize } = geometry;
  for (let at = start; at < end;) {
    const index = core.entryIndex(at) % geometry.pieceEntries;
    const wanted = Math.min(geometry.pieceEntries - index, (end - at) / clusterSize);
    const place = await core.lock.run(async () => {
      const piece = await ownPiece(core, at);
      const run = core.isIdentity
        ? { start: at / clusterSize, count: wanted }
        : await allocateClusters(core, 1, wanted);
      for (let i = 0; i < run.count; i++) {
        const entry = (index + i) * geometry.entrySize;
        const host = (run.start + i) * clusterSize;
        piece.view.setUint32(entry, (COPIED_HI | Math.floor(host / TWO_32)) >>> 0);
        piece.view.setUint32(entry + 4, host % TWO_32);
      }
      core.l2.markDirty(piece, index * geometry.entrySize, (index + run.count) * geometry.entrySize);
      core.isDataPending = true;
      if (core.l2.isCrowded) await commit(core, { ...options, withRefcounts: true });
      return run;
    });
    if (mode !== 'metadata' || !isFreshRange(core, place.start))
      await fillSpace(core, place.start * clusterSize, place.count * clusterSize, mode);
    at += place.count * clusterSize;
  }
}

/** Preallocated clusters are read: those that were used before must be cleared. They are taken from the file's end, as a rule. */
function isFreshRange(core: Qcow2Core, start: number): boolean {
  return core.isIdentity || start * core.geometry.clusterSize >= core.file.size;
}

const ZERO_CHUNK = 1024 * 1024;

async function fillSpace(core: Qcow2Core, offset: number, length: number, mode: Preallocation): Promise<void> {
  const file = writable(core.dataFile);
  if (mode !== 'full') {
    if (mode === 'falloc' && file.writeZeroes !== undefined) await file.writeZeroes(offset, length, { unmap: false });
    else await zeroRange(file, offset, length);
    return;
  }
  const zeroes = new Uint8Array(Math.min(length, ZERO_CHUNK));
  for (let done = 0; done < length; done += zeroes.length)
    await file.write(offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)));
}
