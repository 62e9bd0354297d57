/** Zeroing, discarding and unallocating: changes of the mapping without data. Freed clusters come back after the next commit. */
import { type IoOptions, type ZeroOptions, zeroRange, writable } from '@emkit/storage';
import { freeEntry, makeRoom, ownPiece } from './allocation.ts';
import { markDirty } from './commit.ts';
import { COMPRESSED_HI, COPIED_HI, ZERO_LO } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { entryType, hostOffset, UNALLOCATED } from './l2-entry.ts';
import { checkRun } from './read.ts';
import type { Piece } from './table-cache.ts';
import { lockRange, readsZero, writeGuest } from './write.ts';

/** What becomes of a cluster. */
type Change = 'zero' | 'zero-unmap' | 'discard' | 'unallocate';

const ZERO_CHUNK = 1024 * 1024;

/** Inside the gate. The range is within the disk. */
export async function zeroGuest(
  core: Qcow2Core,
  offset: number,
  length: number,
  options: ZeroOptions = {},
): Promise<void> {
  const unit = core.geometry.subclusterSize;
  const end = offset + length;
  // without zero clusters: unallocated ones read as zero where no backing file shows through
  const canMark = core.header.version >= 3 || !core.hasBacking;
  const isEnd = end === core.size;
  const first = Math.ceil(offset / unit) * unit;
  const last = isEnd ? Math.ceil(end / unit) * unit : end - (end % unit);
  if (!canMark || first > last) {
    // within one unit, or no way to say "zero"
    if (!canMark || !(await zeroWholeUnit(core, offset, end, options)))
      await writeZeroBytes(core, offset, length, options);
    return;
  }
  if (offset < first && !(await zeroWholeUnit(core, offset, Math.min(first, end), options)))
    await writeZeroBytes(core, offset, Math.min(first, end) - offset, options);
  if (first < last) {
    if (core.isDataFileRaw)
      await zeroRange(writable(core.dataFile), first, Math.min(last, end) - first, options.signal);
    const rest = await changeRange(core, first, last, changeFor(core, options));
    for (const [start, stop] of rest) await writeZeroBytes(core, start, stop - start, options);
  }
  if (end > last && last >= offset && !(await zeroWholeUnit(core, Math.max(last, offset), end, options)))
    await writeZeroBytes(core, Math.max(last, offset), end - Math.max(last, offset), options);
}

function changeFor(core: Qcow2Core, options: ZeroOptions): Change {
  if (core.header.version < 3) return 'unallocate';
  return options.unmap === true ? 'zero-unmap' : 'zero';
}

/** Part of a unit, the rest of which reads as zero already: then all of it can be marked. False: it must be written. */
async function zeroWholeUnit(core: Qcow2Core, offset: number, end: number, options: ZeroOptions): Promise<boolean> {
  const unit = core.geometry.subclusterSize;
  const start = offset - (offset % unit);
  const stop = Math.ceil(end / unit) * unit;
  if (core.isDataFileRaw) return false;
  await lockRange(core, start, stop);
  try {
    // with the lock: the rest is somebody else's to write until then
    core.checkWritable();
    if (!(await readsZero(core, start, offset - start)) || !(await readsZero(core, end, stop - end))) return false;
    await makeRoom(core);
    await markDirty(core);
    const rest: [number, number][] = [];
    changePiece(core, await ownPiece(core, start), start, stop, changeFor(core, options), rest);
    return rest.length === 0;
  } finally {
    core.lock.unlock();
  }
}

async function writeZeroBytes(core: Qcow2Core, offset: number, length: number, options: IoOptions): Promise<void> {
  const zeroes = new Uint8Array(Math.min(length, ZERO_CHUNK));
  for (let done = 0; done < length; done += zeroes.length)
    await writeGuest(core, offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)), options);
}

/** Inside the gate. A hint: only whole clusters; without zero clusters nothing that would let a backing file show through. */
export async function discardGuest(core: Qcow2Core, offset: number, length: number): Promise<void> {
  if (core.header.version < 3 && core.hasBacking) return;
  const { clusterSize } = core.geometry;
  const end = offset + length;
  const first = core.geometry.alignUp(offset);
  const last = end === core.size ? core.geometry.alignUp(end) : end - (end % clusterSize);
  if (first >= last) return;
  // the raw file is the disk: what is given back must read as zeroes there too
  if (core.isDataFileRaw) await zeroRange(writable(core.dataFile), first, Math.min(last, end) - first);
  await changeRange(core, first, last, 'discard');
}

/** Inside the gate, or alone. Cluster-aligned. */
export async function unallocateGuest(core: Qcow2Core, offset: number, length: number): Promise<void> {
  await changeRange(core, offset, core.geometry.alignUp(offset + length), 'unallocate');
}

/** Changes whole units [start, end), a piece of a table at a time. Gives ranges that must be written instead: parts of compressed clusters. */
async function changeRange(
  core: Qcow2Core,
  start: number,
  end: number,
  change: Change,
): Promise<[start: number, end: number][]> {
  const { geometry } = core;
  const rest: [number, number][] = [];
  const pieceCoverage = geometry.pieceEntries * geometry.clusterSize;
  for (let at = start; at < end;) {
    const stop = Math.min(end, (Math.floor(at / pieceCoverage) + 1) * pieceCoverage);
    if (core.l2Offset(Math.floor(at / geometry.l1Coverage)) === 0 && !needsTable(core, change)) {
      // nothing there to be changed, not in the rest of the table either
      at = Math.min(end, (Math.floor(at / geometry.l1Coverage) + 1) * geometry.l1Coverage);
      continue;
    }
    const free = await lockRange(core, at, stop);
    try {
      core.checkWritable();
      await makeRoom(core);
      await markDirty(core);
      const discards = changePiece(core, await ownPiece(core, at), at, free, change, rest);
      // with the lock, so that nobody writes there meanwhile
      for (const cluster of discards) await core.dataFile.discard?.(cluster, geometry.clusterSize);
    } finally {
      core.lock.unlock();
    }
    at = free;
  }
  return rest;
}

/** Whether clusters without an L2 table must get one. */
function needsTable(core: Qcow2Core, change: Change): boolean {
  if (change === 'unallocate') return false;
  if (change === 'discard') return core.hasBacking;
  return true;
}

/** Gives the clusters of an external data file that are not needed any more. */
function changePiece(
  core: Qcow2Core,
  piece: Piece,
  start: number,
  end: number,
  change: Change,
  rest: [number, number][],
): number[] {
  const { geometry } = core;
  const discards: number[] = [];
  const { clusterSize, entrySize } = geometry;
  let changedFrom = -1;
  let changedTo = 0;
  for (let at = start; at < end;) {
    const next = Math.min(end, (Math.floor(at / clusterSize) + 1) * clusterSize);
    const entry = (core.entryIndex(at) % geometry.pieceEntries) * entrySize;
    checkRun(core, core.map(piece, at, next - at), at);
    const isWhole = at % clusterSize === 0 && next - at === clusterSize;
    let isChanged: boolean;
    if (isWhole) {
      const isGiven = change === 'discard' && core.isIdentity && (piece.view.getUint32(entry) & COPIED_HI) !== 0;
      isChanged = changeCluster(core, piece.view, entry, change);
      if (isGiven && isChanged) discards.push(at);
    } else if ((piece.view.getUint32(entry) & COMPRESSED_HI) !== 0) {
      rest.push([at, next]);
      isChanged = false;
    } else isChanged = zeroSubclusters(core, piece.view, entry, at, next);
    if (isChanged) {
      if (changedFrom < 0) changedFrom = entry;
      changedTo = entry + entrySize;
    }
    at = next;
  }
  if (changedFrom >= 0) core.l2.markDirty(piece, changedFrom, changedTo);
  return discards;
}

/** True: the entry is another now. */
function changeCluster(core: Qcow2Core, view: DataView, entry: number, change: Change): boolean {
  const { isExtended } = core.geometry;
  const hi = view.getUint32(entry);
  const lo = view.getUint32(entry + 4);
  const isCompressed = (hi & COMPRESSED_HI) !== 0;
  const hasHost = !isCompressed && (hostOffset(hi, lo) !== 0 || (core.isIdentity && (hi & COPIED_HI) !== 0));
  const zeroes = isExtended ? view.getUint32(entry + 8) : 0;
  const allocated = isExtended ? view.getUint32(entry + 12) : 0;
  let isZero: boolean;
  let keepsHost = false;
  if (change === 'unallocate') isZero = false;
  else if (change === 'discard') {
    const type = isExtended ? UNALLOCATED : entryType(view, entry, 0, false, core.isIdentity);
    const isPresent = isCompressed || hasHost || type !== UNALLOCATED;
    if (!isPresent && !core.hasBacking) return false;
    isZero = true;
    // version 2 has no zero clusters; it comes here only where no backing file can show through
    if (core.header.version < 3) isZero = false;
  } else {
    isZero = true;
    keepsHost = change === 'zero' && hasHost;
  }
  const newHi = keepsHost ? hi : 0;
  const newLo = ((keepsHost ? lo & ~ZERO_LO : 0) | (isZero && !isExtended ? ZERO_LO : 0)) >>> 0;
  const newZeroes = isExtended && isZero ? 0xffffffff : 0;
  if (newHi === hi && newLo === lo && newZeroes === zeroes && allocated === 0) return false;
  if (!keepsHost) freeEntry(core, hi, lo, core.options.passDiscardRequest);
  view.setUint32(entry, newHi);
  view.setUint32(entry + 4, newLo);
  if (isExtended) {
    view.setUint32(entry + 8, newZeroes);
    view.setUint32(entry + 12, 0);
  }
  return true;
}

/** Part of a cluster with extended entries: only for zeroing. */
function zeroSubclusters(core: Qcow2Core, view: DataView, entry: number, start: number, end: number): boolean {
  const { clusterSize, subclusterSize } = core.geometry;
  const first = (start % clusterSize) / subclusterSize;
  const last = first + (end - start) / subclusterSize;
  const mask = ((last === 32 ? 0xffffffff : 2 ** last - 1) - (2 ** first - 1)) >>> 0;
  const zeroes = view.getUint32(entry + 8);
  const allocated = view.getUint32(entry + 12);
  if ((zeroes & mask) >>> 0 === mask) return false;
  view.setUint32(entry + 8, (zeroes | mask) >>> 0);
  view.setUint32(entry + 12, (allocated & ~mask) >>> 0);
  return true;
}
