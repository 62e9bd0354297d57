/**
 * Metadata tables (L2 tables, refcount blocks) in memory, in pieces of at most 64 KiB, keyed by their offset in the image file.
 *
 * A piece is read once however many ask for it at a time; changed pieces stay until `commit` has written them, clean ones go by second
 * chance when the cache is over its limit. Pieces are changed only with the image's lock held; readers look at them without it, in one
 * turn. Bytes past the end of the file read as zero.
 */
import type { Storage, WritableStorage } from '@emkit/storage';
import { viewOf } from './u64.ts';

export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Changed bytes [from, to), in sectors; empty: clean. */
  dirtyFrom: number;
  dirtyTo: number;
  /** No table on disk refers to it yet, so it may be written before anything else. */
  isNew: boolean;
  /** Used since the last sweep. */
  wasUsed: boolean;
}

const SECTOR = 512;

export class TableCache {
  readonly pieceBytes: number;
  readonly #file: Storage;
  readonly #limit: number;
  readonly #pieces = new Map<number, Piece>();
  readonly #loading = new Map<number, Promise<Piece>>();
  readonly #dirty = new Set<Piece>();

  constructor(file: Storage, pieceBytes: number, limitBytes: number) {
    this.#file = file;
    this.pieceBytes = pieceBytes;
    this.#limit = Math.max(4, Math.floor(limitBytes / pieceBytes));
  }

  get dirty(): ReadonlySet<Piece> {
    return this.#dirty;
  }

  /** So many changed pieces that a commit is due: they cannot be dropped. */
  get isCrowded(): boolean {
    return this.#dirty.size * 2 > this.#limit;
  }

  /** Hot path. */
  get(offset: number): Piece | undefined {
    const piece = this.#pieces.get(offset);
    if (piece !== undefined) piece.wasUsed = true;
    return piece;
  }

  load(offset: number): Piece | Promise<Piece> {
    const piece = this.get(offset);
    if (piece !== undefined) return piece;
    let loading = this.#loading.get(offset);
    if (loading === undefined) {
      loading = this.#read(offset).finally(() => this.#loading.delete(offset));
      this.#loading.set(offset, loading);
    }
    return loading;
  }

  /** A zeroed piece for a table that is newly allocated. */
  create(offset: number): Piece {
    const piece = makePiece(offset, new Uint8Array(this.pieceBytes));
    piece.isNew = true;
    this.#makeRoom();
    this.#pieces.set(offset, piece);
    this.markDirty(piece, 0, this.pieceBytes);
    return piece;
  }

  /** With the lock held, in the turn in which the bytes were changed. */
  markDirty(piece: Piece, from: number, to: number): void {
    const first = from - (from % SECTOR);
    const end = Math.min(this.pieceBytes, Math.ceil(to / SECTOR) * SECTOR);
    if (piece.dirtyTo === 0) {
      piece.dirtyFrom = first;
      piece.dirtyTo = end;
      this.#dirty.add(piece);
      // dropped while the caller waited for the lock: a copy that was read since is the same
      this.#pieces.set(piece.offset, piece);
      return;
    }
    if (first < piece.dirtyFrom) piece.dirtyFrom = first;
    if (end > piece.dirtyTo) piece.dirtyTo = end;
  }

  /** Writes what has changed; the piece is clean when the caller says so. */
  write(piece: Piece, file: WritableStorage): Promise<void> {
    return file.write(piece.offset + piece.dirtyFrom, piece.bytes.subarray(piece.dirtyFrom, piece.dirtyTo));
  }

  markClean(piece: Piece): void {
    piece.dirtyFrom = piece.dirtyTo = 0;
    piece.isNew = false;
    this.#dirty.delete(piece);
  }

  /** The table's cluster is freed: forget its pieces, changes included. */
  drop(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += this.pieceBytes) {
      const piece = this.#pieces.get(at);
      if (piece === undefined) continue;
      this.#pieces.delete(at);
      this.#dirty.delete(piece);
    }
  }

  /** Forget everything; nothing may be dirty that is still wanted. */
  clear(): void {
    this.#pieces.clear();
    this.#dirty.clear();
  }

  async #read(offset: number): Promise<Piece> {
    const bytes = new Uint8Array(this.pieceBytes);
    await this.#file.read(offset, bytes);
    const present = this.#pieces.get(offset);
    if (present !== undefined) return present;
    const piece = makePiece(offset, bytes);
    this.#makeRoom();
    this.#pieces.set(offset, piece);
    return piece;
  }

  /** Second chance, in order of insertion; looks at each piece at most twice. */
  #makeRoom(): void {
    if (this.#pieces.size < this.#limit) return;
    let budget = this.#pieces.size * 2;
    for (const [offset, piece] of this.#pieces) {
      if (budget-- <= 0 || this.#pieces.size < this.#limit) return;
      if (piece.dirtyTo === 0 && !piece.wasUsed) {
        this.#pieces.delete(offset);
        continue;
      }
      piece.wasUsed = false;
      // to the end of the order: a Map that is iterated meets it again there
      this.#pieces.delete(offset);
      this.#pieces.set(offset, piece);
    }
  }
}

function makePiece(offset: number, bytes: Uint8Array): Piece {
  return { offset, bytes, view: viewOf(bytes), dirtyFrom: 0, dirtyTo: 0, isNew: false, wasUsed: true };
}
