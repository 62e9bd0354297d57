/** A storage under a name, as a server offers it: its size, what may be done with it, and what it can tell. */
import { BlockError, type Storage } from '@emkit/storage';
import { utf8 } from './host.ts';
import { MAX_EXPORT_SIZE, MAX_PAYLOAD, MAX_STRING } from './limits.ts';
import { baseAllocation, type MetaContext } from './meta-context.ts';
import {
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_CACHE,
  NBD_FLAG_SEND_DF,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
} from './protocol.ts';

export interface NbdExport {
  /** Empty: the default export. */
  readonly name: string;
  /** Read and written here; stays open and is the caller's. Its size must not change while it is served. */
  readonly storage: Storage;
  /** One line for people. */
  readonly description?: string | undefined;
  /** Default: true exactly when the storage has no `write`. */
  readonly readOnly?: boolean | undefined;
  /** Besides `base:allocation`, which every export has. */
  readonly contexts?: readonly MetaContext[] | undefined;
  /** Connections that may use it at a time; more are refused. Default: no limit of its own. With 1, clients are not told to open several. */
  readonly maxConnections?: number | undefined;
  /** Told to clients; a power of two. Default 4096. */
  readonly preferredBlockSize?: number | undefined;
}

/** An export that was checked, with what follows from it. */
export interface ServedExport {
  readonly name: string;
  readonly description: string | undefined;
  readonly storage: Storage;
  readonly readOnly: boolean;
  readonly size: number;
  readonly contexts: readonly MetaContext[];
  readonly maxConnections: number;
  readonly blockSizes: { readonly minimum: number; readonly preferred: number; readonly maximum: number };
  /** Connections in their transmission phase. */
  connections: number;
}

export function servedExport(given: NbdExport): ServedExport {
  const { name, storage, description } = given;
  checkText('name', name);
  if (description !== undefined) checkText('description', description);
  const contexts = [baseAllocation(storage), ...(given.contexts ?? [])];
  for (const context of contexts) checkText('metadata context', context.name);
  if (new Set(contexts.map((context) => context.name)).size !== contexts.length)
    throw new BlockError('invalid-option', `export '${name}': two metadata contexts have the same name`);
  if (!Number.isInteger(storage.size) || storage.size < 0 || storage.size > MAX_EXPORT_SIZE)
    throw new BlockError('invalid-option', `export '${name}': ${storage.size} bytes is no size`);
  return {
    name,
    description,
    storage,
    readOnly: given.readOnly ?? storage.write === undefined,
    size: storage.size,
    contexts,
    maxConnections: given.maxConnections ?? Infinity,
    blockSizes: { minimum: 1, preferred: given.preferredBlockSize ?? 4096, maximum: MAX_PAYLOAD },
    connections: 0,
  };
}

function checkText(what: string, text: string): void {
  if (utf8(text).length > MAX_STRING) throw new BlockError('invalid-option', `${what} too long: ${MAX_STRING} bytes`);
  if (text.includes('\0')) throw new BlockError('invalid-option', `${what} contains a NUL`);
}

/** NBD protocol, "Transmission flags". All connections share the storage, so a flush of one covers the writes of all. */
export function transmissionFlags(served: ServedExport, structured: boolean): number {
  const writing = served.readOnly
    ? NBD_FLAG_READ_ONLY
    : NBD_FLAG_SEND_TRIM |
      NBD_FLAG_SEND_WRITE_ZEROES |
      (served.storage.writeZeroes === undefined ? 0 : NBD_FLAG_SEND_FAST_ZERO);
  return (
    NBD_FLAG_HAS_FLAGS |
    NBD_FLAG_SEND_FLUSH |
    NBD_FLAG_SEND_FUA |
    NBD_FLAG_SEND_CACHE |
    (structured ? NBD_FLAG_SEND_DF : 0) |
    (served.maxConnections === 1 ? 0 : NBD_FLAG_CAN_MULTI_CONN) |
    writing
  );
}
