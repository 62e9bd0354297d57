/**
 * The snapshot table: read with every length checked, and written. Fields that are not understood are kept byte for byte.
 *
 * Spec: qcow2, "Snapshots".
 */
import { BlockError, type Storage } from '@emkit/storage';
import type { Qcow2Header } from './header.ts';
import { decodeString, encodeString } from './header-extensions.ts';
import { MAX_L1_BYTES, MAX_SNAPSHOT_EXTRA_BYTES, MAX_SNAPSHOTS, MAX_SNAPSHOT_TABLE_BYTES } from './limits.ts';
import { getU64, setU64, viewOf } from './u64.ts';

/** Byte offsets within an entry. */
const Entry = {
  L1_TABLE_OFFSET: 0,
  L1_SIZE: 8,
  ID_SIZE: 12,
  NAME_SIZE: 14,
  DATE_SEC: 16,
  DATE_NSEC: 20,
  VM_CLOCK_NSEC: 24,
  VM_STATE_SIZE: 32,
  EXTRA_DATA_SIZE: 36,
  SIZE: 40,
} as const;
/** Within the extra data. */
const Extra = { VM_STATE_SIZE: 0, DISK_SIZE: 8, ICOUNT: 16, SIZE: 24 } as const;
/** What version 3 demands: up to and with the disk size. */
const V3_EXTRA_BYTES = 16;

export interface Snapshot {
  readonly l1TableOffset: number;
  /** Entries. */
  readonly l1Size: number;
  readonly id: string;
  readonly name: string;
  /** ms since 1970. */
  readonly date: number;
  readonly vmClock: number;
  readonly vmStateSize: number;
  readonly diskSize: number;
  readonly icount: number | undefined;
  /** As they stand in the image. */
  readonly fixed: Uint8Array;
  readonly extra: Uint8Array;
  /** Bytes that the entry takes, padding included. */
  readonly entryBytes: number;
}

/** What is wrong with a table that can be repaired. */
export interface TableFaults {
  /** Entries too many, cut off. */
  readonly overhanging: number;
  /** Entries without the extra data that version 3 demands. */
  readonly incomplete: readonly number[];
  /** Entries whose extra data was cut, with its claimed size. */
  readonly oversized: readonly { readonly index: number; readonly bytes: number }[];
}

const CHUNK = 65536;

/** Reads forward through the table, never past the largest size that it may have. */
class TableReader {
  readonly #file: Storage;
  readonly #start: number;
  #buffer = new Uint8Array(0);
  #bufferAt = 0;
  position = 0;

  constructor(file: Storage, start: number) {
    this.#file = file;
    this.#start = start;
  }

  async take(length: number): Promise<Uint8Array> {
    if (this.position + length > MAX_SNAPSHOT_TABLE_BYTES)
      throw new BlockError('invalid-format', 'Snapshot table is too big', { offset: this.#start, field: 'nb_snapshots' });
    const from = this.position - this.#bufferAt;
    if (from < 0 || from + length > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(CHUNK, length));
      this.#bufferAt = this.position;
      await this.#file.read(this.#start + this.position, this.#buffer);
    }
    const at = this.position - this.#bufferAt;
    this.position += length;
    return this.#buffer.slice(at, at + length);
  }

  skip(length: number): void {
    this.position += length;
  }
}

/** `forCheck`: takes what can be repaired, and says what. */
export async function readSnapshotTable(
  file: Storage,
  header: Qcow2Header,
  forCheck = false,
): Promise<{ snapshots: Snapshot[]; faults: TableFaults }> {
  const incomplete: number[] = [];
  const oversized: { index: number; bytes: number }[] = [];
  const snapshots: Snapshot[] = [];
  const count = Math.min(header.nbSnapshots, MAX_SNAPSHOTS);
  const reader = new TableReader(file, header.snapshotsOffset);
  for (let index = 0; index < count; index++) {
    const start = reader.position;
    const offset = header.snapshotsOffset + start;
    const fixed = await reader.take(Entry.SIZE);
    const view = viewOf(fixed);
    const extraSize = view.getUint32(Entry.EXTRA_DATA_SIZE);
    if (extraSize > MAX_SNAPSHOT_EXTRA_BYTES) {
      if (!forCheck)
        throw new BlockError('invalid-format', `Too much extra metadata in snapshot table entry ${index}`, {
          offset: offset + Entry.EXTRA_DATA_SIZE,
          field: 'extra_data_size',
        });
      oversized.push({ index, bytes: extraSize });
    }
    const extra = await reader.take(Math.min(extraSize, MAX_SNAPSHOT_EXTRA_BYTES));
    reader.skip(extraSize - extra.length);
    if (header.version === 3 && extra.length < V3_EXTRA_BYTES) incomplete.push(index);
    const id = decodeString(await reader.take(view.getUint16(Entry.ID_SIZE)));
    const name = decodeString(await reader.take(view.getUint16(Entry.NAME_SIZE)));
    reader.skip(-reader.position & 7);
    if (reader.position > MAX_SNAPSHOT_TABLE_BYTES) await reader.take(0);
    snapshots.push(decode(header, fixed, extra, { id, name, entryBytes: reader.position - start }));
  }
  return { snapshots, faults: { overhanging: header.nbSnapshots - count, incomplete, oversized } };
}

function decode(
  header: Qcow2Header,
  fixed: Uint8Array,
  extra: Uint8Array,
  rest: { id: string; name: string; entryBytes: number },
): Snapshot {
  const view = viewOf(fixed);
  const more = viewOf(extra);
  const hasIcount = extra.length >= Extra.SIZE && more.getBigUint64(Extra.ICOUNT) !== 0xffffffffffffffffn;
  return {
    l1TableOffset: getU64(view, Entry.L1_TABLE_OFFSET),
    l1Size: view.getUint32(Entry.L1_SIZE),
    date: view.getUint32(Entry.DATE_SEC) * 1000 + Math.floor(view.getUint32(Entry.DATE_NSEC) / 1e6),
    vmClock: getU64(view, Entry.VM_CLOCK_NSEC),
    vmStateSize: extra.length >= 8 ? getU64(more, Extra.VM_STATE_SIZE) : view.getUint32(Entry.VM_STATE_SIZE),
    diskSize: extra.length >= 16 ? getU64(more, Extra.DISK_SIZE) : header.size,
    icount: hasIcount ? getU64(more, Extra.ICOUNT) : undefined,
    fixed,
    extra,
    ...rest,
  };
}

export interface NewSnapshot {
  readonly l1TableOffset: number;
  readonly l1Size: number;
  readonly id: string;
  readonly name: string;
  readonly date: number;
  readonly vmClock: number;
  readonly vmStateSize: number;
  readonly diskSize: number;
  readonly icount: number | undefined;
}

export function makeSnapshot(values: NewSnapshot): Snapshot {
  const fixed = new Uint8Array(Entry.SIZE);
  const extra = new Uint8Array(Extra.SIZE);
  const view = viewOf(fixed);
  const more = viewOf(extra);
  setU64(view, Entry.L1_TABLE_OFFSET, values.l1TableOffset);
  view.setUint32(Entry.L1_SIZE, values.l1Size);
  view.setUint32(Entry.DATE_SEC, Math.floor(values.date / 1000) % 2 ** 32);
  view.setUint32(Entry.DATE_NSEC, Math.floor(values.date % 1000) * 1e6);
  setU64(view, Entry.VM_CLOCK_NSEC, values.vmClock);
  // the old field has 32 bits; who knows the new one does not look at it
  view.setUint32(Entry.VM_STATE_SIZE, values.vmStateSize % 2 ** 32);
  setU64(more, Extra.VM_STATE_SIZE, values.vmStateSize);
  setU64(more, Extra.DISK_SIZE, values.diskSize);
  if (values.icount === undefined) more.setBigUint64(Extra.ICOUNT, 0xffffffffffffffffn);
  else setU64(more, Extra.ICOUNT, values.icount);
  const bytes = Entry.SIZE + Extra.SIZE + encodeString(values.id).length + encodeString(values.name).length;
  return { ...values, fixed, extra, entryBytes: Math.ceil(bytes / 8) * 8 };
}

/** An entry as version 3 wants it: with the disk's size and the long size of the VM state. */
export function completeSnapshot(snapshot: Snapshot): Snapshot {
  if (snapshot.extra.length >= V3_EXTRA_BYTES) return snapshot;
  const extra = new Uint8Array(V3_EXTRA_BYTES);
  setU64(viewOf(extra), Extra.VM_STATE_SIZE, snapshot.vmStateSize);
  setU64(viewOf(extra), Extra.DISK_SIZE, snapshot.diskSize);
  return { ...snapshot, extra };
}

export function encodeSnapshotTable(snapshots: readonly Snapshot[]): Uint8Array {
  const parts = snapshots.map((snapshot) => {
    const id = encodeString(snapshot.id);
    const name = encodeString(snapshot.name);
    const head = Entry.SIZE + snapshot.extra.length;
    const bytes = new Uint8Array(Math.ceil((head + id.length + name.length) / 8) * 8);
    bytes.set(snapshot.fixed);
    viewOf(bytes).setUint16(Entry.ID_SIZE, id.length);
    viewOf(bytes).setUint16(Entry.NAME_SIZE, name.length);
    viewOf(bytes).setUint32(Entry.EXTRA_DATA_SIZE, snapshot.extra.length);
    bytes.set(snapshot.extra, Entry.SIZE);
    bytes.set(id, head);
    bytes.set(name, head + id.length);
    return bytes;
  });
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > MAX_SNAPSHOT_TABLE_BYTES) throw new BlockError('no-space', 'Snapshot table is too big');
  const table = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    table.set(part, at);
    at += part.length;
  }
  return table;
}

/** Throws unless the snapshot's L1 table can be one. */
export function checkSnapshotL1(snapshot: Snapshot, clusterSize: number, maxOffset: number): void {
  if (snapshot.l1Size * 8 > MAX_L1_BYTES)
    throw new BlockError('corrupt-image', 'Snapshot L1 table too large', { field: 'l1_size' });
  if (snapshot.l1TableOffset % clusterSize !== 0 || snapshot.l1TableOffset > maxOffset)
    throw new BlockError('corrupt-image', 'Snapshot L1 table offset invalid', { field: 'l1_table_offset' });
}
