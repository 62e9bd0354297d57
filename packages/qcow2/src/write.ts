/**
 * Writing the virtual disk: in place where the cluster is this image's own, else into new clusters that are entered into the L2 table when
 * the data has been written. Writes to one cluster that change its mapping go one after the other; all others run side by side.
 */
import { writable, type IoOptions } from '@emkit/storage';
import { allocateClusters, freeEntry, freeUnused, makeRoom, ownPiece, type TakenClusters } from './allocation.ts';
import { markDirty } from './commit.ts';
import { COMPRESSED_HI, COPIED_HI } from './constants.ts';
import type { DataCipher, Qcow2Core } from './core.ts';
import type { Claim } from './in-flight.ts';
import { COMPRESSED, entryType, hostOffset, NORMAL, UNALLOCATED, ZERO_ALLOC, ZERO_PLAIN } from './l2-entry.ts';
import { MAX_COPY_BYTES } from './limits.ts';
import { checkRun, readGuest } from './read.ts';
import type { Piece } from './table-cache.ts';
import { TWO_32 } from './u64.ts';

/** Where a piece of a write goes. */
interface Plan {
  /** Guest range in whole clusters. */
  readonly start: number;
  readonly end: number;
  /** Where `start` stands. */
  readonly host: number;
  /** The clusters were there already. */
  readonly isReuse: boolean;
  /** They read as zero on disk as long as nobody has written to them. */
  readonly isFresh: boolean;
  /** Guest bytes that are entered as data: the write's own and what is copied around it. */
  readonly dataStart: number;
  readonly dataEnd: number;
  readonly claim: Claim;
}

/** Inside the gate. The range is within what the L1 table maps. */
export async function writeGuest(
  core: Qcow2Core,
  offset: number,
  bytes: Uint8Array,
  options?: IoOptions,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = offset + done;
    const found = core.l2Piece(at);
    const piece = found instanceof Promise ? await found : found;
    const run = core.map(piece, at, bytes.length - done, true);
    checkRun(core, run, at);
    if (run.type === NORMAL && run.isCopied) {
      const length = run.length;
      await writeHost(core, run.host, at, bytes.subarray(done, done + length), options);
      done += length;
    } else done += await writeNew(core, at, bytes.subarray(done), options);
  }
}

/** Guest data to a place in the data file. Throws where it cannot go there. */
export function writeHost(
  core: Qcow2Core,
  host: number,
  offset: number,
  bytes: Uint8Array,
  options?: IoOptions,
): Promise<void> {
  core.checkOverlap(host, bytes.length);
  const file = core.dataFile;
  if (file.write === undefined) throw core.corruption('the data file cannot be written');
  return core.cipher === undefined
    ? file.write(host, bytes, options)
    : writeEncrypted(core, core.cipher, host, offset, bytes, options);
}

async function writeEncrypted(
  core: Qcow2Core,
  cipher: DataCipher,
  host: number,
  offset: number,
  bytes: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> {
  const file = writable(core.dataFile);
  const head = host % 512;
  const tail = -(head + bytes.length) & 511;
  const sectors = new Uint8Array(head + bytes.length + tail);
  // the cipher works on sectors: what surrounds the data is read first, and nobody else may change it meanwhile
  const claim = await claimSectors(core, offset - head, offset + bytes.length + tail);
  try {
    if (head !== 0 || tail !== 0) {
      await file.read(host - head, sectors);
      await cipher.decrypt(sectors, offset - head, host - head);
    }
    sectors.set(bytes, head);
    await cipher.encrypt(sectors, offset - head, host - head);
    return await file.write(host - head, sectors, options);
  } finally {
    claim.release();
  }
}

async function claimSectors(core: Qcow2Core, start: number, end: number): Promise<Claim> {
  for (;;) {
    const other = core.sectors.overlapping(start, end);
    if (other === undefined) return core.sectors.claim(start, end);
    await other.done;
  }
}

/** Takes the lock when nobody changes the mapping of the cluster at `offset`; gives the end of the range that is free of others. */
export function lockRange(core: Qcow2Core, offset: number, end: number): number | Promise<number> {
  const { geometry } = core;
  if (
    !core.lock.isLocked &&
    core.inFlight.overlapping(geometry.alignDown(offset), geometry.alignUp(end)) === undefined
  ) {
    void core.lock.lock();
    return end;
  }
  return waitForRange(core, offset, end);
}

async function waitForRange(core: Qcow2Core, offset: number, end: number): Promise<number> {
  const { geometry } = core;
  const start = geometry.alignDown(offset);
  for (;;) {
    const wait = core.lock.lock();
    if (wait !== undefined) await wait;
    const other = core.inFlight.overlapping(start, geometry.alignUp(end));
    if (other === undefined) return end;
    if (other.start > offset) return Math.min(end, geometry.alignDown(other.start));
    core.lock.unlock();
    await other.done;
  }
}

/** Writes the first part of `bytes` to clusters that are not yet this image's own; gives its length, 0 if they have become so meanwhile. */
async function writeNew(
  core: Qcow2Core,
  offset: number,
  bytes: Uint8Array,
  options: IoOptions | undefined,
): Promise<number> {
  const locked = lockRange(core, offset, offset + bytes.length);
  const end = locked instanceof Promise ? await locked : locked;
  let plan: Plan | undefined;
  try {
    core.checkWritable();
    const room = makeRoom(core);
    if (room !== undefined) await room;
    const found = ownPiece(core, offset);
    const piece = found instanceof Promise ? await found : found;
    const planned = makePlan(core, piece, offset, end);
    plan = planned instanceof Promise ? await planned : planned;
  } finally {
    core.lock.unlock();
  }
  if (plan === undefined) return 0;
  const length = Math.min(end, plan.dataEnd) - offset;
  try {
    await transfer(core, plan, offset, bytes.subarray(0, length), options);
    const entering = enter(core, plan);
    if (entering !== undefined) await entering;
  } catch (error) {
    if (!plan.isReuse && !core.isIdentity) await giveBack(core, plan);
    throw error;
  } finally {
    plan.claim.release();
  }
  return length;
}

async function giveBack(core: Qcow2Core, plan: Plan): Promise<void> {
  const { clusterSize } = core.geometry;
  await core.lock.run(() => freeUnused(core, plan.host / clusterSize, (plan.end - plan.start) / clusterSize));
}

/** Finds or takes the clusters. With the lock. undefined: the mapping has changed to one that can be written in place. */
function makePlan(
  core: Qcow2Core,
  piece: Piece,
  offset: number,
  end: number,
): Plan | Promise<Plan | undefined> | undefined {
  const { geometry } = core;
  const { clusterSize, subclusterSize } = geometry;
  const start = geometry.alignDown(offset);
  const run = core.map(piece, offset, end - offset, true);
  checkRun(core, run, offset);
  if (run.type === NORMAL && run.isCopied) return undefined;
  const { type, isCopied, host, length } = run;
  const hasOwn = isCopied && type !== COMPRESSED && type !== UNALLOCATED && type !== ZERO_PLAIN;
  if (hasOwn) {
    // the place is there: only the state of the (sub)clusters changes
    const marking = markDirty(core);
    if (marking !== undefined) return marking.then(() => makePlan(core, piece, offset, end));
    const dataEnd = Math.min(Math.ceil((offset + length) / subclusterSize) * subclusterSize, start + clusterSize);
    const isOneCluster = geometry.isExtended;
    const planEnd = isOneCluster ? start + clusterSize : geometry.alignUp(offset + length);
    return {
      start,
      end: planEnd,
      host: host - (offset - start),
      isReuse: true,
      isFresh: false,
      dataStart: offset - (offset % subclusterSize),
      dataEnd: isOneCluster ? dataEnd : planEnd,
      claim: core.inFlight.claim(start, planEnd),
    };
  }
  const first = core.entryIndex(offset) % geometry.pieceEntries;
  // what is like the first is as little this image's own
  let clusters = geometry.clustersFor(offset - start + length);
  const wanted = Math.min(geometry.clustersFor(end - start), geometry.pieceEntries - first);
  while (clusters < wanted && needsNewCluster(core, piece, first + clusters)) clusters++;
  if (core.isIdentity) {
    const place = { start: start / clusterSize, count: clusters, isFresh: false };
    return newPlan(core, piece, place, offset, end);
  }
  const place = allocateClusters(core, 1, clusters);
  return place instanceof Promise
    ? place.then((later) => newPlan(core, piece, later, offset, end))
    : newPlan(core, piece, place, offset, end);
}

function newPlan(core: Qcow2Core, piece: Piece, place: TakenClusters, offset: number, end: number): Plan {
  const { geometry } = core;
  const { clusterSize, subclusterSize } = geometry;
  const start = geometry.alignDown(offset);
  const first = core.entryIndex(offset) % geometry.pieceEntries;
  core.checkOverlap(place.start * clusterSize, place.count * clusterSize);
  const planEnd = start + place.count * clusterSize;
  // a cluster that holds data already is copied whole, so that all of it is in one place
  const headUnit = hasContent(core, piece, first) ? clusterSize : subclusterSize;
  const tailUnit = hasContent(core, piece, first + place.count - 1) ? clusterSize : subclusterSize;
  const dataEnd = Math.min(end, planEnd);
  return {
    start,
    end: planEnd,
    host: place.start * clusterSize,
    isReuse: false,
    isFresh: place.isFresh && core.cipher === undefined,
    dataStart: headUnit === clusterSize ? start : offset - (offset % subclusterSize),
    dataEnd: Math.ceil(dataEnd / tailUnit) * tailUnit,
    claim: core.inFlight.claim(start, planEnd),
  };
}

/** The cluster cannot be written in place, nor has it a place of its own. */
function needsNewCluster(core: Qcow2Core, piece: Piece, index: number): boolean {
  const at = index * core.geometry.entrySize;
  const hi = piece.view.getUint32(at);
  if ((hi & COMPRESSED_HI) !== 0 || (hi & COPIED_HI) === 0) return true;
  return !core.isIdentity && hostOffset(hi, piece.view.getUint32(at + 4)) === 0;
}

/** With extended entries: some of it is data or compressed. Without: the unit is a cluster anyway. */
function hasContent(core: Qcow2Core, piece: Piece, index: number): boolean {
  if (!core.geometry.isExtended) return false;
  const at = index * core.geometry.entrySize;
  return (piece.view.getUint32(at) & COMPRESSED_HI) !== 0 || piece.view.getUint32(at + 12) !== 0;
}

/** The data, and around it what was there. */
function transfer(
  core: Qcow2Core,
  plan: Plan,
  offset: number,
  bytes: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> {
  const isWhole = offset === plan.dataStart && offset + bytes.length === plan.dataEnd;
  return isWhole
    ? writeHost(core, plan.host + offset - plan.start, offset, bytes, options)
    : transferWithEdges(core, plan, offset, bytes, options);
}

async function transferWithEdges(
  core: Qcow2Core,
  plan: Plan,
  offset: number,
  bytes: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> {
  const place = (at: number): number => plan.host + at - plan.start;
  const end = offset + bytes.length;
  const head = offset - plan.dataStart;
  const tail = plan.dataEnd - end;
  const headSkipped = plan.isFresh && (head === 0 || (await readsZero(core, plan.dataStart, head)));
  const tailSkipped = plan.isFresh && (tail === 0 || (await readsZero(core, end, tail)));
  const from = headSkipped ? offset : plan.dataStart;
  const to = tailSkipped ? end : plan.dataEnd;
  if (to - from <= MAX_COPY_BYTES || core.cipher !== undefined) {
    const all = new Uint8Array(to - from);
    all.set(bytes, offset - from);
    // past the end of the disk there is nothing to be read
    await Promise.all([
      from < offset ? readOld(core, from, all.subarray(0, offset - from)) : undefined,
      end < to ? readOld(core, end, all.subarray(end - from)) : undefined,
    ]);
    return writeHost(core, place(from), from, all, options);
  }
  const before = new Uint8Array(offset - from);
  const after = new Uint8Array(to - end);
  await Promise.all([readOld(core, from, before), readOld(core, end, after)]);
  if (before.length > 0) await writeHost(core, place(from), from, before, options);
  await writeHost(core, place(offset), offset, bytes, options);
  if (after.length > 0) await writeHost(core, place(end), end, after, options);
}

/** What the guest saw there so far. */
async function readOld(core: Qcow2Core, offset: number, buffer: Uint8Array): Promise<void> {
  await readGuest(core, offset, buffer);
}

/** Whether a range within one cluster reads as zeroes for certain, without reading any data. */
export async function readsZero(core: Qcow2Core, offset: number, length: number): Promise<boolean> {
  for (let at = offset; at < offset + length;) {
    const found = core.l2Piece(at);
    const piece = found instanceof Promise ? await found : found;
    const run = core.map(piece, at, offset + length - at);
    checkRun(core, run, at);
    const isUnallocated = run.type < ZERO_PLAIN;
    if (isUnallocated && core.backing !== undefined && at < Math.min(core.backing.size, core.size)) return false;
    if (!isUnallocated && run.type !== ZERO_PLAIN && run.type !== ZERO_ALLOC) return false;
    at += run.length;
  }
  return true;
}

/** Enters the clusters into the L2 table, and gives back later what was there. undefined: done. */
function enter(core: Qcow2Core, plan: Plan): Promise<void> | undefined {
  const wait = core.lock.lock();
  return wait === undefined ? enterLocked(core, plan) : wait.then(() => enterLocked(core, plan));
}

/** With the lock, which it gives back. */
function enterLocked(core: Qcow2Core, plan: Plan): Promise<void> | undefined {
  let unfinished: Promise<void> | undefined;
  try {
    const piece = ownPiece(core, plan.start);
    if (piece instanceof Promise)
      unfinished = piece.then((found) => enterInto(core, plan, found)).finally(() => core.lock.unlock());
    else enterInto(core, plan, piece);
  } finally {
    if (unfinished === undefined) core.lock.unlock();
  }
  return unfinished;
}

function enterInto(core: Qcow2Core, plan: Plan, piece: Piece): void {
  const { geometry } = core;
  const first = core.entryIndex(plan.start) % geometry.pieceEntries;
  const clusters = (plan.end - plan.start) / geometry.clusterSize;
  const { view } = piece;
  for (let i = 0; i < clusters; i++) {
    const at = (first + i) * geometry.entrySize;
    const hi = view.getUint32(at);
    const lo = view.getUint32(at + 4);
    if (!plan.isReuse && (hi !== 0 || lo !== 0)) freeEntry(core, hi, lo, core.options.passDiscardOther);
    const host = plan.host + i * geometry.clusterSize;
    if (geometry.isExtended) enterSubclusters(core, plan, view, at, plan.start + i * geometry.clusterSize);
    view.setUint32(at, (COPIED_HI | Math.floor(host / TWO_32)) >>> 0);
    view.setUint32(at + 4, host % TWO_32);
  }
  core.l2.markDirty(piece, first * geometry.entrySize, (first + clusters) * geometry.entrySize);
  core.isDataPending = true;
}

/** Bitmap of a cluster's entry after the write. qcow2 spec, "Extended L2 Entries". */
function enterSubclusters(core: Qcow2Core, plan: Plan, view: DataView, at: number, guest: number): void {
  const { clusterSize, subclusterSize } = core.geometry;
  const isCompressed = entryType(view, at, 0, true, core.isIdentity) === COMPRESSED;
  const first = Math.max(0, (plan.dataStart - guest) / subclusterSize);
  const last = Math.min(clusterSize, plan.dataEnd - guest) / subclusterSize;
  const mask = (last === 32 ? 0xffffffff : 2 ** last - 1) - (2 ** first - 1);
  const zeroes = isCompressed ? 0 : view.getUint32(at + 8);
  const allocated = isCompressed ? 0 : view.getUint32(at + 12);
  view.setUint32(at + 8, (zeroes & ~mask) >>> 0);
  view.setUint32(at + 12, (allocated | mask) >>> 0);
}
