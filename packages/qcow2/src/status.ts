/** What a range of the disk is, as `qemu-img map` sees this layer. */
import type { BlockStatus, IoOptions } from '@emkit/storage';
import type { Qcow2Core } from './core.ts';
import { COMPRESSED, NORMAL, UNALLOCATED, UNALLOCATED_ALLOC, ZERO_ALLOC, ZERO_PLAIN } from './l2-entry.ts';
import { isSparselyPreallocated } from './preallocation.ts';
import { checkRun } from './read.ts';

/** Inside the gate. `length` > 0, the range within the disk. */
export async function guestStatus(
  core: Qcow2Core,
  offset: number,
  length: number,
  options?: IoOptions,
): Promise<BlockStatus> {
  const found = core.l2Piece(offset);
  const piece = found instanceof Promise ? await found : found;
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
  const status = { length: runLength, zero: false, data: true, allocated: true };
  if (type === COMPRESSED) return { ...status, compressed: true };
  // encrypted bytes do not stand there as the guest reads them
  if (core.header.cryptMethod !== 0) return status;
  const normal = { ...status, ...place(core, host) };
  const { dataFile } = core;
  if (type !== NORMAL || dataFile.extent === undefined || host >= dataFile.size) return normal;
  if (!(await isSparselyPreallocated(core))) return normal;
  // clusters that were allocated in advance are holes in the file until they are written
  const extent = await dataFile.extent(host, Math.min(runLength, dataFile.size - host), options);
  return { ...normal, zero: extent.zero, length: Math.min(runLength, extent.length) };
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
