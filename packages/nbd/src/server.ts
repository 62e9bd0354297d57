/**
 * An NBD server without a transport: exports under names, and connections that are handed in. It opens no socket and no file.
 *
 * Whatever a client does, the server goes on for the others: a connection has bounded memory (limits.ts), a deadline for the handshake
 * and for reading its replies, and its errors end there.
 */
import { BlockError } from '@emkit/storage';
import { StreamReader, type ByteStream } from './byte-stream.ts';
import { printable } from './errno.ts';
import { servedExport, type NbdExport, type ServedExport } from './export.ts';
import { hostTimer, type Timer } from './host.ts';
import { DRAIN_MS, HANDSHAKE_MS, MAX_CONNECTIONS, STALL_MS } from './limits.ts';
import { MessageMemory } from './message-memory.ts';
import { Sender } from './sender.ts';
import { ServerConnection } from './server-connection.ts';
import { ServerHandshake, type ExportSource, type Negotiated } from './server-handshake.ts';

export interface NbdServerOptions {
  readonly exports?: Iterable<NbdExport> | undefined;
  /** The export that the empty name means, when no export has the empty name. */
  readonly defaultExport?: string | undefined;
  /** Default MAX_CONNECTIONS. More are closed at once. */
  readonly maxConnections?: number | undefined;
  /** Default HANDSHAKE_MS. */
  readonly handshakeMs?: number | undefined;
  /** Default STALL_MS. */
  readonly stallMs?: number | undefined;
  /** How long requests at work may take when the server closes. Default DRAIN_MS. */
  readonly drainMs?: number | undefined;
  readonly timer?: Timer | undefined;
}

/** How a connection ended. */
export interface NbdConnectionResult {
  /** Name of the export that the client used; undefined: it has not come that far. */
  readonly export: string | undefined;
  /** Why it was cut off; undefined: it left in order. */
  readonly error: BlockError | undefined;
}

export interface ServeOptions {
  /** Called when the client has chosen its export. */
  readonly onNegotiated?: ((exportName: string) => void) | undefined;
}

export class NbdServer {
  readonly #options: NbdServerOptions;
  readonly #timer: Timer;
  readonly #exports = new Map<string, ServedExport>();
  readonly #streams = new Map<ByteStream, Sender>();
  readonly #connections = new Set<ServerConnection>();
  readonly #ends = new Set<Promise<NbdConnectionResult>>();
  #closing: Promise<void> | undefined;

  constructor(options: NbdServerOptions = {}) {
    this.#options = options;
    this.#timer = options.timer ?? hostTimer;
    for (const one of options.exports ?? []) this.addExport(one);
  }

  /** For new connections. */
  addExport(added: NbdExport): void {
    if (this.#exports.has(added.name)) throw new BlockError('exists', `there is an export '${added.name}' already`);
    this.#exports.set(added.name, servedExport(added));
  }

  /** Connections that use it go on. */
  removeExport(name: string): void {
    if (!this.#exports.delete(name)) throw new BlockError('not-found', `there is no export '${name}'`);
  }

  /** Connections now, in handshake and beyond. */
  get connections(): number {
    return this.#streams.size;
  }

  /** Serves one client until it leaves or must be cut off; closes the stream. Never rejects. */
  serve(stream: ByteStream, options: ServeOptions = {}): Promise<NbdConnectionResult> {
    if (this.#closing !== undefined || this.#streams.size >= (this.#options.maxConnections ?? MAX_CONNECTIONS)) {
      stream.close();
      const error = new BlockError('refused', 'too many connections, or the server is shutting down');
      return Promise.resolve({ export: undefined, error });
    }
    const memory = new MessageMemory();
    const sender = new Sender(stream, this.#timer, this.#options.stallMs ?? STALL_MS, memory);
    this.#streams.set(stream, sender);
    const end = this.#serve(stream, sender, memory, options);
    this.#ends.add(end);
    return end.finally(() => this.#ends.delete(end));
  }

  async #serve(
    stream: ByteStream,
    sender: Sender,
    memory: MessageMemory,
    options: ServeOptions,
  ): Promise<NbdConnectionResult> {
    const reader = new StreamReader(stream);
    const handshake = new ServerHandshake(reader, sender, this.#source());
    let used: string | undefined;
    let error: BlockError | undefined;
    try {
      const negotiated = await this.#withDeadline(stream, sender, handshake);
      if (negotiated !== undefined) {
        used = negotiated.served.name;
        options.onNegotiated?.(used);
        await this.#transmit(stream, sender, new ServerConnection(reader, sender, negotiated, memory));
      }
    } catch (caught) {
      const text = caught instanceof Error ? printable(caught.message) : String(caught);
      error = caught instanceof BlockError ? caught : new BlockError('io', text, { cause: caught });
    } finally {
      if (handshake.chosen !== undefined) handshake.chosen.connections--;
      this.#streams.delete(stream);
      stream.close();
    }
    return { export: used, error };
  }

  async #withDeadline(stream: ByteStream, sender: Sender, handshake: ServerHandshake): Promise<Negotiated | undefined> {
    let isLate = false;
    const ms = this.#options.handshakeMs ?? HANDSHAKE_MS;
    const cancel = this.#timer.after(ms, () => {
      isLate = true;
      stream.close();
      sender.fail(late());
    });
    const late = (): BlockError => new BlockError('io', `the client has not finished its handshake in ${ms} ms`);
    try {
      const negotiated = await handshake.run();
      // closing the stream looks like a client that has left
      if (isLate && negotiated === undefined) throw late();
      return negotiated;
    } catch (error) {
      throw isLate ? late() : error;
    } finally {
      cancel();
    }
  }

  async #transmit(stream: ByteStream, sender: Sender, connection: ServerConnection): Promise<void> {
    this.#connections.add(connection);
    try {
      await connection.run();
    } catch (error) {
      // cut off at once: replies to come would wait for a client that may not read
      connection.abandon();
      stream.close();
      sender.fail(error);
      throw error;
    } finally {
      await connection.settled();
      this.#connections.delete(connection);
    }
  }

  /**
   * No new connections; requests at work are answered, later ones refused; what was written is flushed; all connections closed.
   * Rejects when a flush fails. The storages stay open.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const drained = Promise.all([...this.#connections].map((connection) => connection.drain()));
    await this.#atMost(drained);
    for (const connection of this.#connections) connection.abandon();
    for (const [stream, sender] of this.#streams) {
      stream.close();
      sender.fail(new BlockError('closed', 'the server is closed'));
    }
    await this.#atMost(Promise.all(this.#ends));
    for (const { readOnly, storage } of this.#exports.values()) if (!readOnly) await storage.flush?.();
  }

  #atMost(work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#timer.after(this.#options.drainMs ?? DRAIN_MS, resolve);
      void work.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  #source(): ExportSource {
    const isClosing = (): boolean => this.#closing !== undefined;
    return {
      list: () => this.#exports.values(),
      find: (name) =>
        this.#exports.get(name) ?? (name === '' ? this.#exports.get(this.#options.defaultExport ?? '') : undefined),
      enter: (served) => {
        if (served.connections >= served.maxConnections) return false;
        served.connections++;
        return true;
      },
      get closing() {
        return isClosing();
      },
    };
  }
}
