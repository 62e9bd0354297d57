/**
 * Blocks on their way: each is fetched once however many wait for it; neighbours that are wanted in the same turn share a request; a few
 * requests run at a time, those that somebody waits for first. A request that nobody waits for any more is aborted, unless it was asked
 * for in advance.
 */
import { BlockError } from '@emkit/storage';
import type { AbortSignal } from '@emkit/storage';
import { host } from './host.ts';
import { MAX_REQUEST } from './limits.ts';

/** Fetches `count` blocks from number `first` on; the last one of the file may be short. */
export type FetchBlocks = (first: number, count: number, signal: AbortSignal) => Promise<Uint8Array>;

interface Ticket {
  readonly index: number;
  readonly block: Promise<Uint8Array>;
  readonly resolve: (block: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  waiters: number;
  /** In advance: goes on without waiters. */
  isAhead: boolean;
  transfer: Transfer | undefined;
}

interface Transfer {
  readonly tickets: readonly Ticket[];
  readonly controller: { readonly signal: AbortSignal; abort(reason?: unknown): void };
}

export interface TransferOptions {
  readonly blockSize: number;
  readonly concurrency: number;
  readonly fetch: FetchBlocks;
  /** Called with each block that arrives. */
  readonly arrived: (index: number, block: Uint8Array) => void;
}

export class BlockTransfers {
  readonly #options: TransferOptions;
  readonly #tickets = new Map<number, Ticket>();
  /** Wanted, and not in a transfer yet. */
  #wanted: Ticket[] = [];
  readonly #queue: Transfer[] = [];
  readonly #running = new Set<Transfer>();
  #isClosed = false;

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /** Waits for a block. */
  async get(index: number, signal?: AbortSignal): Promise<Uint8Array> {
    const ticket = this.#ticket(index);
    ticket.waiters++;
    let onAbort: (() => void) | undefined;
    try {
      if (signal === undefined) return await ticket.block;
      const aborted = new Promise<never>((_, reject) => {
        onAbort = () => reject(new BlockError('aborted', 'the request was aborted', { cause: signal.reason }));
        signal.addEventListener('abort', onAbort);
      });
      return await Promise.race([ticket.block, aborted]);
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      ticket.waiters--;
      this.#abandon(ticket);
    }
  }

  /** Fetches a block without waiting for it, nor minding a failure. */
  ahead(index: number): void {
    this.#ticket(index).isAhead = true;
  }

  has(index: number): boolean {
    return this.#tickets.has(index);
  }

  close(): void {
    this.#isClosed = true;
    const error = new BlockError('closed', 'the storage is closed');
    for (const ticket of this.#tickets.values()) ticket.reject(error);
    for (const { controller } of [...this.#queue, ...this.#running]) controller.abort(error);
    this.#tickets.clear();
    this.#wanted = [];
    this.#queue.length = 0;
  }

  #ticket(index: number): Ticket {
    const known = this.#tickets.get(index);
    if (known !== undefined) return known;
    let resolve = (_block: Uint8Array): void => undefined;
    let reject = (_error: unknown): void => undefined;
    const block = new Promise<Uint8Array>((onDone, onFailed) => {
      resolve = onDone;
      reject = onFailed;
    });
    block.catch(() => undefined);
    const ticket: Ticket = { index, block, resolve, reject, waiters: 0, isAhead: false, transfer: undefined };
    if (this.#isClosed) {
      reject(new BlockError('closed', 'the storage is closed'));
      return ticket;
    }
    this.#tickets.set(index, ticket);
    // what else is wanted in this turn may be a neighbour
    if (this.#wanted.push(ticket) === 1) void Promise.resolve().then(() => this.#dispatch());
    return ticket;
  }

  #dispatch(): void {
    const wanted = this.#wanted.sort((a, b) => a.index - b.index);
    this.#wanted = [];
    const most = Math.max(1, Math.floor(MAX_REQUEST / this.#options.blockSize));
    for (let start = 0; start < wanted.length;) {
      let end = start + 1;
      while (end < wanted.length && end - start < most && wanted[end]?.index === (wanted[end - 1] as Ticket).index + 1)
        end++;
      const transfer = { tickets: wanted.slice(start, end), controller: new host.AbortController() };
      for (const ticket of transfer.tickets) ticket.transfer = transfer;
      this.#queue.push(transfer);
      start = end;
    }
    this.#start();
  }

  #start(): void {
    while (this.#running.size < this.#options.concurrency && this.#queue.length > 0) {
      const urgent = this.#queue.findIndex(({ tickets }) => tickets.some(({ waiters }) => waiters > 0));
      const [transfer] = this.#queue.splice(Math.max(0, urgent), 1) as [Transfer];
      this.#running.add(transfer);
      void this.#run(transfer);
    }
  }

  async #run(transfer: Transfer): Promise<void> {
    const { tickets, controller } = transfer;
    const { blockSize, fetch, arrived } = this.#options;
    const first = (tickets[0] as Ticket).index;
    try {
      const bytes = await fetch(first, tickets.length, controller.signal);
      for (const ticket of tickets) {
        const at = (ticket.index - first) * blockSize;
        // a copy: a block that stays in the cache must not keep the bytes of all the others
        const block = tickets.length === 1 ? bytes : bytes.slice(at, at + blockSize);
        if (!this.#isClosed) arrived(ticket.index, block);
        ticket.resolve(block);
      }
    } catch (error) {
      for (const ticket of tickets) ticket.reject(error);
    } finally {
      this.#running.delete(transfer);
      for (const ticket of tickets) this.#forget(ticket);
      this.#start();
    }
  }

  /** Nobody waits any more for anything that this ticket's request brings: it ends. */
  #abandon(ticket: Ticket): void {
    const { transfer } = ticket;
    if (transfer === undefined || this.#tickets.get(ticket.index) !== ticket) return;
    if (transfer.tickets.some(({ waiters, isAhead }) => waiters > 0 || isAhead)) return;
    for (const other of transfer.tickets) {
      this.#forget(other);
      other.reject(new BlockError('aborted', 'the request was aborted'));
    }
    const queued = this.#queue.indexOf(transfer);
    if (queued >= 0) this.#queue.splice(queued, 1);
    transfer.controller.abort();
  }

  #forget(ticket: Ticket): void {
    if (this.#tickets.get(ticket.index) === ticket) this.#tickets.delete(ticket.index);
  }
}
