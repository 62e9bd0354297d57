/** What a range of the disk is, as `qemu-img map` sees this layer. */
import type { BlockStatus, IoOptions } from '@emkit/storage';
import type { Qcow2Core } from './core.ts';
import { COMPRESSED, NORMAL, UNALLOCATED, UNALLOCATED_ALLOC, ZERO_ALLOC, ZERO_PLAIN } from './l2-entry.ts';
import { isSparselyPreallocated } from './preallocation.ts';
import { checkRun } from './read.ts';
import type { Piece } from './table-cache.ts';

/** Inside the gate. `length` > 0, the range within the disk. A promise only where something must be read. Hot path. */
export function guestStatus(
  core: Qcow2Core,
  offset: number,
  length: number,
  options?: IoOptions,
): BlockStatus | Promise<BlockStatus> {
  const found = core.l2Piece(offset);
  return found instanceof Promise
    ? found.then((piece) => pieceStatus(core, piece, offset, length, options))
    : pieceStatus(core, found, offset, length, options);
}

function pieceStatus(
  core: Qcow2Core,
  piece: Piece | undefined,
  offset: number,
  length: number,
  options: IoOptions | undefined,
): BlockStatus | Promise<BlockStatus> {
  const run = core.map(piece, offset, length);
  checkRun(core, run, offset);
  const { type, host, length: runLength } = run;
  if (type === UNALLOCATED || type === UNALLOCATED_ALLOC) {
    const status = unallocated(core, offset, piece === undefined ? emptyLength(core, offset, length) : runLength);
    return type === UNALLOCATED_ALLOC && core.cipher === undefined ? { ...status, ...place(core, host) } : status;
  }
  if (type === ZERO_PLAIN || type === ZERO_ALLOC) {
    const status = { length: runLength, zero: true, data: false, allocated: true };
    return type === ZERO_ALLOC && core.cipher === undefined ? { ...status, ...place(core, host) } : status;
  }
  if (type === COMPRESSED) return { length: runLength, zero: false, data: true, allocated: true, compressed: true };
  // encrypted bytes do not stand there as the guest reads them
  if (core.header.cryptMethod !== 0) return { length: runLength, zero: false, data: true, allocated: true };
  const normal: BlockStatus = { length: runLength, zero: false, data: true, allocated: true, ...place(core, host) };
  const { dataFile } = core;
  if (type !== NORMAL || dataFile.extent === undefined || host >= dataFile.size) return normal;
  const isSparse = isSparselyPreallocated(core);
  return isSparse === false ? normal : sparseStatus(core, normal, host, options);
}

/** Clusters that were allocated in advance are holes in the file until they are written. */
async function sparseStatus(
  core: Qcow2Core,
  normal: BlockStatus,
  host: number,
  options: IoOptions | undefined,
): Promise<BlockStatus> {
  const { dataFile } = core;
  if (dataFile.extent === undefined || !(await isSparselyPreallocated(core))) return normal;
  const extent = await dataFile.extent(host, Math.min(normal.length, dataFile.size - host), options);
  return { ...normal, zero: extent.zero, length: Math.min(normal.length, extent.length) };
}

function place(core: Qcow2Core, host: number): { offset: number; file?: string } {
  const name = core.isIdentity ? core.dataFile.name : undefined;
  return name === undefined ? { offset: host } : { offset: host, file: name };
}

function unallocated(core: Qcow2Core, offset: number, length: number): BlockStatus {
  const end = core.backing === undefined ? 0 : Math.min(core.backing.size, core.size);
  if (offset >= end) return { length, zero: true, data: false, allocated: false };
  return { length: Math.min(length, end - offset), zero: false, data: false, allocated: false };
}

/** Over all L1 entries in a row that have no table. */
function emptyLength(core: Qcow2Core, offset: number, want: number): number {
  const { l1Coverage } = core.geometry;
  let index = Math.floor(offset / l1Coverage);
  let length = l1Coverage - (offset % l1Coverage);
  while (length < want && core.l2Offset(++index) === 0) length += l1Coverage;
  return Math.min(length, want);
}
