/** The `file` protocol for `openImage` of `@emkit/block`: a file name and how to open it become a storage. */
import { BlockError, type IoOptions, type Storage } from '@emkit/storage';
import type { Blocking } from './file-storage.ts';
import { openFile } from './open-file.ts';

interface Request extends IoOptions {
  readonly readOnly: boolean;
  readonly forceShare: boolean;
}

export interface FileProtocol {
  open(options: Readonly<Record<string, unknown>>, request: Request): Promise<Storage>;
  create(options: Readonly<Record<string, unknown>>, request: IoOptions): Promise<Storage>;
  parseName(name: string): { filename: string };
}

/** Options in QEMU's names: `filename`, `locking` (on, off, auto). `aio`, `x-check-cache-dropped` and such are accepted and mean nothing here. */
export function fileProtocol({ blocking = false }: { readonly blocking?: Blocking } = {}): FileProtocol {
  return {
    async open(options, request) {
      const { filename, locking } = take(options);
      const lock = request.forceShare || locking === 'off' ? 'none' : undefined;
      const file = await openFile(filename, { readOnly: request.readOnly, blocking, lock });
      if (locking === 'on' && file.locks === 'unavailable') {
        await file.close();
        throw new BlockError('unsupported-feature', `'${filename}' cannot be locked here, which locking=on asks for`);
      }
      return file;
    },
    create: async (options) => openFile(take(options).filename, { create: true, blocking }),
    parseName: (name) => ({ filename: name.startsWith('file:') ? name.slice('file:'.length) : name }),
  };
}

const HINTS = new Set(['aio', 'aio-max-batch', 'drop-cache', 'x-check-cache-dropped', 'pr-manager']);

function take(options: Readonly<Record<string, unknown>>): { filename: string; locking: string } {
  const { filename, locking = 'auto', ...rest } = options;
  if (typeof filename !== 'string' || filename === '')
    throw new BlockError('invalid-option', "The 'file' block driver requires a file name");
  if (filename.includes('\0')) throw new BlockError('invalid-option', 'a file name has no NUL in it');
  if (locking !== 'auto' && locking !== 'on' && locking !== 'off' && typeof locking !== 'boolean')
    throw new BlockError(
      'invalid-option',
      `Parameter 'locking' does not accept value '${typeof locking === 'string' ? locking : typeof locking}'`,
    );
  for (const key of Object.keys(rest))
    if (!HINTS.has(key))
      throw new BlockError('invalid-option', `Block protocol 'file' doesn't support the option '${key}'`);
  return { filename, locking: typeof locking === 'boolean' ? (locking ? 'on' : 'off') : locking };
}
