/**
 * The COPIED flag of the disk's own tables: set exactly where the refcount is one. A flag that is wrongly set lets a write change what a
 * snapshot still sees, so it is put right only when the refcounts are. qcow2 spec, "Cluster mapping", bit 63.
 */
import { type WritableStorage } from '@emkit/storage';
import { hex64, type CheckState } from './check-state.ts';
import type { DiskRefcounts } from './check-refcounts.ts';
import { COMPRESSED_HI, COPIED_HI } from './constants.ts';
import { entryType, hostOffset, NORMAL, ZERO_ALLOC } from './l2-entry.ts';

const SECTOR = 512;

/** `writer`: repair. */
export async function checkCopied(
  state: CheckState,
  disk: DiskRefcounts,
  writer: WritableStorage | undefined,
): Promise<void> {
  const { header, geometry } = state;
  const { clusterSize } = geometry;
  await state.eachPiece(header.l1TableOffset, header.l1Size * 8, async (view, start) => {
    for (let at = 0; at + 8 <= Math.min(view.byteLength, header.l1Size * 8 - start); at += 8) {
      const hi = view.getUint32(at);
      const lo = view.getUint32(at + 4);
      const offset = hostOffset(hi, lo);
      if (offset === 0) continue;
      const count = await disk.get(Math.floor(offset / clusterSize));
      if (count === undefined) continue;
      if ((count === 1) !== ((hi & COPIED_HI) !== 0)) {
        const index = (start + at) / 8;
        found(state, writer, `OFLAG_COPIED L2 cluster: l1_index=${index} l1_entry=${hex64(hi, lo)} refcount=${count}`);
        view.setUint32(at, withFlag(hi, count === 1));
        // the entry alone: what is around it may be written by its own repair
        await writer?.write(header.l1TableOffset + start + at, new Uint8Array(view.buffer, at, 8));
      }
      if (offset < state.fileSize) await checkTable(state, disk, offset, writer);
    }
  });
}

async function checkTable(
  state: CheckState,
  disk: DiskRefcounts,
  table: number,
  writer: WritableStorage | undefined,
): Promise<void> {
  const { geometry, hasDataFile } = state;
  const { clusterSize, entrySize, isExtended } = geometry;
  await state.eachPiece(table, clusterSize, async (view, start) => {
    for (let at = 0; at + entrySize <= view.byteLength; at += entrySize) {
      const hi = view.getUint32(at);
      const lo = view.getUint32(at + 4);
      if ((hi & COMPRESSED_HI) !== 0 || (hi === 0 && lo === 0)) continue;
      const offset = hostOffset(hi, lo);
      const type = entryType(view, at, 0, isExtended, hasDataFile);
      if (isExtended ? offset === 0 && !hasDataFile : type !== NORMAL && type !== ZERO_ALLOC) continue;
      const known = hasDataFile ? 1 : disk.get(Math.floor(offset / clusterSize));
      const count = known instanceof Promise ? await known : known;
      if (count === undefined || (count === 1) === ((hi & COPIED_HI) !== 0)) continue;
      found(state, writer, `OFLAG_COPIED data cluster: l2_entry=${hex64(hi, lo)} refcount=${count}`);
      view.setUint32(at, withFlag(hi, count === 1));
      const sector = at - (at % SECTOR);
      const length = Math.min(SECTOR, view.byteLength - sector);
      await writer?.write(table + start + sector, viewBytes(view, sector, length));
    }
  });
}

function found(state: CheckState, writer: WritableStorage | undefined, text: string): void {
  state.line(`${writer === undefined ? 'ERROR' : 'Repairing'} ${text}`);
  if (writer === undefined) state.corruptions++;
  else state.corruptionsFixed++;
}

const withFlag = (hi: number, isSet: boolean): number => (isSet ? hi | COPIED_HI : hi & ~COPIED_HI) >>> 0;
const viewBytes = (view: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, length);
