/**
 * One HTTP request with a deadline for each step: the answer's head, and every piece of its body. Gives bytes or a failure that says whether
 * another attempt may help. Interprets nothing.
 */
import { BlockError } from '@emkit/storage';
import type { AbortSignal } from '@emkit/storage';
import { host } from './host.ts';
import type { ByteReader, Fetch } from './host.ts';

/** A failure that may pass: the network, an overloaded server, a body that broke off. */
export class Transient {
  readonly error: BlockError;

  constructor(message: string, cause?: unknown) {
    this.error = new BlockError('io', message, cause === undefined ? {} : { cause });
  }
}

export interface AttemptOptions {
  readonly fetch: Fetch;
  readonly url: string;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds without progress. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Bytes of the body, at most `limit`; undefined: it has more. Once. */
  body(limit: number): Promise<Uint8Array | undefined>;
}

/** Runs `use` on the answer; connection and timer are gone when it settles. Throws `Transient`, or a `BlockError` of kind `aborted`. */
export async function attempt<T>(options: AttemptOptions, use: (answer: Answer) => Promise<T>): Promise<T> {
  const { signal, url, method, headers, timeoutMs } = options;
  const controller = new host.AbortController();
  let stop: (() => void) | undefined;
  /** Rejects when the request must end, since a custom `fetch` may not listen to its signal. */
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal));
  });
  ended.catch(() => undefined);
  const onAbort = (): void => {
    controller.abort();
    stop?.();
  };
  const withDeadline = async <R>(work: Promise<R>): Promise<R> => {
    let timer: unknown;
    const late = new Promise<never>((_, reject) => {
      timer = host.setTimeout(() => reject(new Transient(`${url}: no answer for ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([work, late, ended]);
    } finally {
      host.clearTimeout(timer);
    }
  };
  if (signal.aborted) throw aborted(signal);
  signal.addEventListener('abort', onAbort);
  let reader: ByteReader | undefined;
  try {
    const init = { method, headers, signal: controller.signal, cache: 'no-store' } as const;
    const response = await withDeadline(options.fetch(url, init));
    return await use({
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      body: (limit) => {
        reader = response.body?.getReader();
        return readBody(reader, limit, withDeadline);
      },
    });
  } catch (error) {
    if (error instanceof Transient || error instanceof BlockError) throw error;
    if (signal.aborted) throw aborted(signal);
    throw new Transient(`${url}: ${error instanceof Error ? error.message : String(error)}`, error);
  } finally {
    signal.removeEventListener('abort', onAbort);
    controller.abort();
    reader?.cancel().catch(() => undefined);
  }
}

async function readBody(
  reader: ByteReader | undefined,
  limit: number,
  withDeadline: <R>(work: Promise<R>) => Promise<R>,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (reader !== undefined) {
    const { done, value } = await withDeadline(reader.read());
    if (done) break;
    if (value === undefined || value.length === 0) continue;
    length += value.length;
    if (length > limit) return undefined;
    pieces.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

function aborted(signal: AbortSignal): BlockError {
  return new BlockError('aborted', 'the request was aborted', { cause: signal.reason });
}
