/** The parts of the web platform that are used here, as small interfaces, so that no DOM types are needed. Node has them all too. */
import type { AbortSignal } from '@emkit/storage';

export interface FetchInit {
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  /** The platform's own signal object. */
  readonly signal: AbortSignal;
  readonly cache: 'no-store';
}

export interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

export interface FetchResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): ByteReader } | null;
}

/** `fetch`, or anything that behaves like it. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchResponse>;

/** A `Blob`; a `File` has a name too. */
export interface BlobLike {
  readonly size: number;
  readonly name?: string;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** `FileSystemSyncAccessHandle`: a file of the origin's own, in a dedicated worker. */
export interface SyncAccessHandle {
  read(buffer: Uint8Array, options: { at: number }): number;
  write(buffer: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** `FileSystemFileHandle`, where it can give a sync handle. */
export interface FileHandleLike {
  readonly name?: string;
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}

interface Host {
  readonly fetch?: Fetch;
  /** In pages and workers. */
  readonly location?: { readonly origin: string };
  readonly AbortController: new () => { readonly signal: AbortSignal; abort(reason?: unknown): void };
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The platform. */
export const host = globalThis as unknown as Host;
