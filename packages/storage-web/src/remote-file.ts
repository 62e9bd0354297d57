/**
 * A file on a server: its size and identity, and ranges of it. RFC 9110 §14 "Range Requests", §13.1.5 "If-Range", §8.8 "Validator Fields".
 * Retries what may pass; refuses what is not the file, or not the same file as before.
 *
 * Invariant: `fetch` gives exactly the bytes asked for, of the file that was opened, or rejects.
 */
import { BlockError } from '@emkit/storage';
import type { AbortSignal, BlockErrorKind } from '@emkit/storage';
import { attempt, Transient } from './attempt.ts';
import type { Answer } from './attempt.ts';
import { parseContentRange, parseLength, rangeHeader } from './byte-range.ts';
import { host } from './host.ts';
import type { Fetch } from './host.ts';
import { MAX_BACKOFF_MS } from './limits.ts';

export interface RemoteOptions {
  readonly fetch: Fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly backoffMs: number;
  readonly maxWholeBody: number;
}

interface Identity {
  readonly size: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What opening brings: the first bytes at the least. */
export interface Opened {
  readonly size: number;
  readonly head: Uint8Array;
  /** The server knows no ranges: `head` is all of the file. */
  readonly isWhole: boolean;
}

export class RemoteFile {
  readonly url: string;
  readonly #options: RemoteOptions;
  #identity: Identity | undefined;
  /** The file is not what it was: nothing is read any more. */
  #changed: BlockError | undefined;

  constructor(url: string, options: RemoteOptions) {
    this.url = url;
    this.#options = options;
  }

  /** Asks for the first `length` bytes, which tells all the rest too: one request. */
  async open(length: number, signal: AbortSignal): Promise<Opened> {
    const headers = { Range: rangeHeader(0, length) };
    const opened = await this.#retry(signal, () =>
      this.#attempt('GET', headers, signal, (answer) => this.#readFirst(answer, length)),
    );
    if (opened.size >= 0) return opened;
    // Content-Range is hidden from pages of other origins unless the server exposes it; Content-Length never is.
    const size = await this.#retry(signal, () => this.#attempt('HEAD', {}, signal, (answer) => this.#readSize(answer)));
    if (opened.head.length !== Math.min(length, size))
      throw this.#error(`got ${opened.head.length} bytes of the first ${length} of a file of ${size}`);
    this.#identity = { ...(this.#identity as Identity), size };
    return { ...opened, size };
  }

  async fetch(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const identity = this.#identity as Identity;
    const headers: Record<string, string> = { Range: rangeHeader(offset, length) };
    // A weak validator may not stand in If-Range; and it would make a browser ask another origin for leave first, which few servers answer.
    const { etag } = identity;
    if (etag !== undefined && !etag.startsWith('W/') && !isElsewhere(this.url, host.location?.origin))
      headers['If-Range'] = etag;
    return this.#retry(signal, () =>
      this.#attempt('GET', headers, signal, (answer) => this.#readRange(answer, offset, length, identity)),
    );
  }

  get changed(): BlockError | undefined {
    return this.#changed;
  }

  #attempt<T>(
    method: 'GET' | 'HEAD',
    headers: Record<string, string>,
    signal: AbortSignal,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const { fetch, timeoutMs } = this.#options;
    return attempt(
      // a compressed answer would have ranges of the compressed bytes; browsers ask for none with a Range and ignore this header
      {
        fetch,
        url: this.url,
        method,
        headers: { ...this.#options.headers, 'Accept-Encoding': 'identity', ...headers },
        timeoutMs,
        signal,
      },
      use,
    );
  }

  async #retry<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { retries, backoffMs } = this.#options;
    for (let tried = 0; ; tried++) {
      if (this.#changed !== undefined) throw this.#changed;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        if (tried >= retries) throw error.error;
        await sleep(Math.min(backoffMs * 2 ** tried, MAX_BACKOFF_MS), signal);
      }
    }
  }

  /** A size of -1: the server did not tell. */
  async #readFirst(answer: Answer, length: number): Promise<Opened> {
    const { status } = answer;
    if (status === 200) return this.#readWhole(answer);
    if (status === 416) {
      const range = parseContentRange(answer.header('content-range') ?? '');
      if (range?.size !== 0) throw this.#error(`the server has no bytes from 0 on (status 416)`);
      this.#identity = identityOf(answer, 0);
      return { size: 0, head: new Uint8Array(0), isWhole: true };
    }
    this.#checkPartial(answer);
    const text = answer.header('content-range');
    const range = text === undefined ? undefined : parseContentRange(text);
    if (text !== undefined && (range?.start !== 0 || range.last === undefined || range.last >= length))
      throw this.#error(`the server's Content-Range '${text.slice(0, 100)}' is not the range that was asked for`);
    if (range !== undefined && range.size === undefined)
      throw this.#error('the server does not know the size of the file', 'a file of unknown size is no disk');
    const head = await answer.body(length);
    const expected = range === undefined ? undefined : (range.last as number) + 1;
    if (head === undefined || (expected !== undefined && head.length !== expected))
      throw this.#broken(head, expected ?? length);
    const size = range?.size ?? -1;
    if (size >= 0 && head.length !== Math.min(length, size)) throw this.#broken(head, Math.min(length, size));
    this.#identity = identityOf(answer, size);
    return { size, head, isWhole: size === head.length };
  }

  /** RFC 9110 §14.2: a server may ignore Range. */
  async #readWhole(answer: Answer): Promise<Opened> {
    const { maxWholeBody } = this.#options;
    const hint = 'serve it from a server that answers Range requests with 206, or raise maxWholeBody';
    const announced =
      answer.header('content-encoding') === undefined
        ? parseLength(answer.header('content-length') ?? null)
        : undefined;
    if (announced !== undefined && announced > maxWholeBody)
      throw this.#error(
        `the server knows no ranges, and the file's ${announced} bytes are more than ${maxWholeBody}`,
        hint,
      );
    const head = await answer.body(maxWholeBody);
    if (head === undefined)
      throw this.#error(`the server knows no ranges, and the file is larger than ${maxWholeBody} bytes`, hint);
    if (announced !== undefined && head.length !== announced) throw this.#broken(head, announced);
    this.#identity = identityOf(answer, head.length);
    return { size: head.length, head, isWhole: true };
  }

  async #readSize(answer: Answer): Promise<number> {
    this.#checkStatus(answer.status);
    const size = parseLength(answer.header('content-length') ?? null);
    if (answer.status !== 200 || size === undefined)
      throw this.#error(
        'the server does not tell the size of the file',
        'expose the header Content-Range (Access-Control-Expose-Headers)',
      );
    return size;
  }

  async #readRange(answer: Answer, offset: number, length: number, identity: Identity): Promise<Uint8Array> {
    const { status } = answer;
    const seen = identityOf(answer, identity.size);
    if (differs(seen.etag, identity.etag) || differs(seen.lastModified, identity.lastModified))
      throw this.#fileChanged();
    if (status === 416) throw this.#fileChanged();
    if (status === 200) {
      if (identity.etag !== undefined) throw this.#fileChanged();
      throw this.#error('the server answered a range request with the whole file, after it knew ranges');
    }
    this.#checkPartial(answer);
    const text = answer.header('content-range');
    if (text !== undefined) {
      const range = parseContentRange(text);
      if (range?.size !== undefined && range.size !== identity.size) throw this.#fileChanged();
      if (range?.start !== offset || range.last !== offset + length - 1)
        throw this.#error(`the server's Content-Range '${text.slice(0, 100)}' is not the range that was asked for`);
    }
    const bytes = await answer.body(length);
    if (bytes?.length !== length) throw this.#broken(bytes, length);
    return bytes;
  }

  #checkPartial(answer: Answer): void {
    this.#checkStatus(answer.status);
    if (answer.status !== 206) throw this.#error(`the server answered with status ${answer.status}`);
    const encoding = answer.header('content-encoding');
    if (encoding !== undefined && encoding !== 'identity')
      throw this.#error(
        'the server compresses the file on the way',
        'ranges need it as it is: turn compression off for it',
      );
  }

  #checkStatus(status: number): void {
    if (status === 408 || status === 429 || status >= 500) throw new Transient(`${this.url}: status ${status}`);
    if (status === 404 || status === 410) throw this.#error(`not found (status ${status})`, undefined, 'not-found');
    if (status === 401 || status === 403) throw this.#error(`the server denies access (status ${status})`);
    if (status >= 400) throw this.#error(`the server answered with status ${status}`);
  }

  /** A body that is too short broke off, perhaps; one that is too long is no answer. */
  #broken(bytes: Uint8Array | undefined, wanted: number): Transient | BlockError {
    if (bytes === undefined || bytes.length > wanted)
      return this.#error(`the server sent more than the ${wanted} bytes asked for`);
    return new Transient(`${this.url}: the answer broke off after ${bytes.length} of ${wanted} bytes`);
  }

  #fileChanged(): BlockError {
    this.#changed ??= this.#error('the file changed', 'open it again');
    return this.#changed;
  }

  #error(message: string, hint?: string, kind: BlockErrorKind = 'io'): BlockError {
    return new BlockError(kind, `${this.url}: ${message}`, { hint });
  }
}

function identityOf(answer: Answer, size: number): Identity {
  return { size, etag: answer.header('etag'), lastModified: answer.header('last-modified') };
}

/** Whether a page of `origin` asks another origin with this URL; undefined: no page. */
export function isElsewhere(url: string, origin: string | undefined): boolean {
  if (origin === undefined) return false;
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(url) || url.startsWith('//');
  return isAbsolute && url !== origin && !url.startsWith(`${origin}/`);
}

/** A validator that one of the answers lacks says nothing. */
function differs(seen: string | undefined, known: string | undefined): boolean {
  return seen !== undefined && known !== undefined && seen !== known;
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let wake = (): void => undefined;
  const slept = new Promise<void>((resolve) => (wake = resolve));
  const timer = host.setTimeout(wake, ms);
  signal.addEventListener('abort', wake);
  await slept;
  host.clearTimeout(timer);
  signal.removeEventListener('abort', wake);
}
