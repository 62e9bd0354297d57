/** A request of a client from its call to its last reply. */
import { BlockError, type AbortSignal } from '@emkit/storage';
import type { MetaExtent } from './meta-context.ts';
import { Pieces } from './pieces.ts';
import { NBD_CMD_READ } from './protocol.ts';

export interface Command {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Of a write. */
  readonly payload?: Uint8Array | undefined;
  /** Where a read goes; `length` bytes. */
  readonly target?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Answer to a BLOCK_STATUS: the first extent of each context, by id. */
export type StatusById = ReadonlyMap<number, MetaExtent>;

export class ClientRequest {
  readonly command: Command;
  readonly promise: Promise<StatusById>;
  readonly pieces = new Pieces();
  readonly status = new Map<number, MetaExtent>();
  /** The server's error; the first one counts. */
  error: BlockError | undefined;
  /** The server refuses since it is going away. */
  isShutdown = false;
  #resolve!: (status: StatusById) => void;
  #reject!: (error: unknown) => void;
  #isSettled = false;
  readonly #onAbort = (): void => {
    const cause = this.command.signal?.reason;
    this.reject(new BlockError('aborted', 'the request was aborted', { cause }));
  };

  constructor(command: Command) {
    this.command = command;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    command.signal?.addEventListener('abort', this.#onAbort);
  }

  /** The caller has its answer (it aborted): what still comes goes nowhere. Its buffer is its own again. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  get isRead(): boolean {
    return this.command.type === NBD_CMD_READ;
  }

  resolve(): void {
    this.#settle();
    this.#resolve(this.status);
  }

  reject(error: unknown): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    this.#isSettled = true;
    this.command.signal?.removeEventListener('abort', this.#onAbort);
  }
}
