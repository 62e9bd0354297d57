/**
 * The header cluster as it stands on disk, and its changes. A power cut leaves a sector old or new, never a mixture, so a change within one sector is
 * one write. One that spans sectors (a name, an extension that moves what is behind it) goes by a detour, each step durable before the next:
 *
 * 1. the backing file's name to a place that nothing refers to;
 * 2. the first sector, complete in itself: the new fields and extensions without the table of feature names, and that place of the name;
 * 3. the rest of the new header, which nothing refers to now;
 * 4. the first sector as it shall be.
 *
 * So a cut leaves the old header or the new one. Not where the extensions, or the name a second time, do not fit: small clusters with long names.
 */
import type { WritableStorage } from '@emkit/storage';
import { Extension, Header } from './constants.ts';
import { encodeHeader, type Qcow2Header } from './header.ts';
import { getU64, setU64, viewOf } from './u64.ts';

const SECTOR = 512;

export class HeaderCluster {
  /** What is there; empty: a write failed, and it may be anything. */
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Not flushed when it resolves. */
  async change(file: WritableStorage, from: Qcow2Header, to: Qcow2Header): Promise<void> {
    const encoded = encodeHeader(to);
    // what is left of a longer header or name is cleared
    const bytes = new Uint8Array(Math.max(encoded.length, Math.min(this.#bytes.length, encodeHeader(from).length)));
    bytes.set(encoded);
    const [start, end] = this.#difference(0, bytes);
    const isTorn = end > start && Math.floor(start / SECTOR) !== Math.floor((end - 1) / SECTOR);
    if (!isTorn || !(await this.#detour(file, to, bytes))) await this.#put(file, 0, bytes);
  }

  /** False, and nothing is done: it does not fit. */
  async #detour(file: WritableStorage, to: Qcow2Header, bytes: Uint8Array): Promise<boolean> {
    const isNamed = to.backingFile !== undefined;
    const { extensions } = to;
    const bare = encodeHeader({
      ...to,
      backingFile: undefined,
      extensions: extensions.filter(({ type }) => type !== Extension.FEATURE_NAMES),
    });
    const wanted = viewOf(bytes);
    const nameAt = getU64(wanted, Header.BACKING_FILE_OFFSET);
    const name = isNamed ? bytes.slice(nameAt, nameAt + wanted.getUint32(Header.BACKING_FILE_SIZE)) : new Uint8Array(0);
    const place = Math.ceil(Math.max(bytes.length, this.#endOfName()) / 8) * 8;
    if (bare.length > SECTOR || this.#bytes.length < SECTOR || place + name.length > 2 ** to.clusterBits) return false;
    const first = new Uint8Array(SECTOR);
    first.set(bare);
    if (isNamed) {
      setU64(viewOf(first), Header.BACKING_FILE_OFFSET, place);
      viewOf(first).setUint32(Header.BACKING_FILE_SIZE, name.length);
      await this.#put(file, place, name);
      await file.flush();
    }
    await this.#put(file, 0, first);
    await file.flush();
    await this.#put(file, SECTOR, bytes.subarray(SECTOR));
    await file.flush();
    await this.#put(file, 0, bytes.subarray(0, SECTOR));
    if (isNamed) {
      await file.flush();
      await this.#put(file, place, new Uint8Array(name.length));
    }
    return true;
  }

  /** Another program may have put it anywhere. */
  #endOfName(): number {
    if (this.#bytes.length < Header.BACKING_FILE_SIZE + 4) return 0;
    const view = viewOf(this.#bytes);
    return getU64(view, Header.BACKING_FILE_OFFSET) + view.getUint32(Header.BACKING_FILE_SIZE);
  }

  /** Writes the bytes that differ. */
  async #put(file: WritableStorage, offset: number, bytes: Uint8Array): Promise<void> {
    const [start, end] = this.#difference(offset, bytes);
    if (start === end) return;
    const old = this.#bytes;
    this.#bytes = new Uint8Array(0);
    await file.write(offset + start, bytes.subarray(start, end));
    const merged = new Uint8Array(Math.max(old.length, offset + bytes.length));
    merged.set(old);
    merged.set(bytes, offset);
    this.#bytes = merged;
  }

  #difference(offset: number, bytes: Uint8Array): readonly [start: number, end: number] {
    const old = this.#bytes.subarray(offset);
    let start = 0;
    while (start < bytes.length && start < old.length && bytes[start] === old[start]) start++;
    let end = bytes.length;
    while (end > start && end <= old.length && bytes[end - 1] === old[end - 1]) end--;
    return [start, end];
  }
}
