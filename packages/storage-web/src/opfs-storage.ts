/**
 * A file in the origin's private file system, by its synchronous handle: File System Standard, "FileSystemSyncAccessHandle". Exists in
 * dedicated workers only, and blocks the worker while it works. The handle is exclusive, so the size is known without asking.
 */
import { BlockError, checkAborted, checkAligned } from '@emkit/storage';
import type { BlockErrorKind, IoOptions, WritableStorage } from '@emkit/storage';
import type { FileHandleLike, SyncAccessHandle } from './host.ts';

/** By `name` of a DOMException. */
const KINDS: Readonly<Record<string, BlockErrorKind>> = {
  QuotaExceededError: 'no-space',
  NoModificationAllowedError: 'locked',
  InvalidStateError: 'closed',
  NotFoundError: 'not-found',
};

export class OpfsStorage implements WritableStorage {
  readonly mayBlock = true;
  readonly name: string | undefined;
  readonly #handle: SyncAccessHandle;
  #size: number;
  #isClosed = false;

  /** The handle is the storage's from now on. */
  constructor(handle: SyncAccessHandle, name?: string) {
    this.#handle = handle;
    this.name = name;
    this.#size = handle.getSize();
  }

  /** Rejects with `locked` when the file is open elsewhere. */
  static async open(file: FileHandleLike): Promise<OpfsStorage> {
    try {
      return new OpfsStorage(await file.createSyncAccessHandle(), file.name);
    } catch (error) {
      throw failure(error, `${file.name ?? 'the file'} cannot be opened`);
    }
  }

  get size(): number {
    return this.#size;
  }

  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#do(options, () => {
      checkAligned(offset, buffer.length, 1);
      const inside = Math.max(0, Math.min(buffer.length, this.#size - offset));
      for (let done = 0; done < inside;) {
        const count = this.#handle.read(buffer.subarray(done, inside), { at: offset + done });
        if (!(count > 0)) throw new BlockError('io', `${this.#what} ends before its size`, { offset: offset + done });
        done += count;
      }
      buffer.fill(0, inside);
    });
  }

  write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#do(options, () => {
      checkAligned(offset, buffer.length, 1);
      for (let done = 0; done < buffer.length;) {
        const count = this.#handle.write(buffer.subarray(done), { at: offset + done });
        if (!(count > 0))
          throw new BlockError('no-space', `${this.#what} takes no more bytes`, { offset: offset + done });
        done += count;
        this.#size = Math.max(this.#size, offset + done);
      }
    });
  }

  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.#do(options, () => {
      checkAligned(size, 0, 1);
      this.#handle.truncate(size);
      this.#size = size;
    });
  }

  flush(options?: IoOptions): Promise<void> {
    return this.#do(options, () => this.#handle.flush());
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#handle.close();
    this.#isClosed = true;
    return Promise.resolve();
  }

  get #what(): string {
    return this.name ?? 'the file';
  }

  #do(options: IoOptions | undefined, work: () => void): Promise<void> {
    try {
      if (this.#isClosed) throw new BlockError('closed', `${this.#what} is closed`);
      checkAborted(options?.signal);
      work();
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(failure(error, `${this.#what}: the request failed`));
    }
  }
}

function failure(error: unknown, message: string): BlockError {
  if (error instanceof BlockError) return error;
  const name =
    error instanceof Error || typeof error === 'object' ? (error as { name?: unknown } | null)?.name : undefined;
  const kind = Object.hasOwn(KINDS, String(name)) ? (KINDS[String(name)] as BlockErrorKind) : 'io';
  return new BlockError(kind, message, { cause: error });
}
