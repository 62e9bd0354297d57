/**
 * Who is served now and who waits: as qemu-nbd, a client beyond the limit is connected and hears nothing until another leaves. Those
 * that wait are bounded too; more are turned away.
 */
import type { SocketStream } from '@emkit/storage-node';

/** Connections that wait for their turn. */
export const MAX_WAITING = 64;

export class Admission {
  readonly #limit: number;
  readonly #serve: (stream: SocketStream, peer: string) => Promise<void>;
  readonly #waiting: { stream: SocketStream; peer: string }[] = [];
  #served = 0;
  #closed = false;

  constructor(limit: number, serve: (stream: SocketStream, peer: string) => Promise<void>) {
    this.#limit = limit;
    this.#serve = serve;
  }

  get isIdle(): boolean {
    return this.#served === 0 && this.#waiting.length === 0;
  }

  /** False: turned away. */
  admit(stream: SocketStream, peer: string): boolean {
    if (this.#closed || (this.#served >= this.#limit && this.#waiting.length >= MAX_WAITING)) {
      stream.close();
      return false;
    }
    if (this.#served < this.#limit) this.#start(stream, peer);
    else this.#waiting.push({ stream, peer });
    return true;
  }

  close(): void {
    this.#closed = true;
    for (const { stream } of this.#waiting.splice(0)) stream.close();
  }

  #start(stream: SocketStream, peer: string): void {
    this.#served++;
    void this.#serve(stream, peer).finally(() => {
      this.#served--;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#start(next.stream, next.peer);
    });
  }
}
