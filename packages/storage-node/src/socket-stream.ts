/**
 * TCP and UNIX sockets as byte streams: what `@emkit/nbd` speaks over. Back-pressure both ways: a reader that does not read stops the peer at
 * `LIMITS.SOCKET_BYTES`, and a write resolves when the kernel has taken the bytes.
 */
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { BlockError, checkAborted, type IoOptions } from '@emkit/storage';
import { LIMITS } from './limits.ts';
import { systemError } from './system-error.ts';

/** The shape of `ByteStream` of `@emkit/nbd`. */
export interface SocketStream {
  /** The next bytes, at least one; undefined at the end. They are the caller's. Not called again before it has settled. */
  read(): Promise<Uint8Array | undefined>;
  /** The bytes do not change until it settles. Not called again before that. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sends what was written, ends the connection, and settles what is pending. */
  close(): void;
}

export interface ConnectOptions extends IoOptions {
  /** ms until an attempt to connect fails; default 30 s. */
  readonly timeout?: number | undefined;
}

export interface Listener {
  /** The port that was given, for port 0; undefined for UNIX sockets. */
  readonly port: number | undefined;
  /** Takes no more connections; those that are there go on. */
  close(): Promise<void>;
}

interface Pending {
  resolve(bytes: Uint8Array | undefined): void;
  reject(error: unknown): void;
}

export function socketStream(socket: Socket, name: string): SocketStream {
  const chunks: Uint8Array[] = [];
  let held = 0;
  let reader: Pending | undefined;
  let failure: BlockError | undefined;
  let isEnded = false;
  const settle = (): void => {
    isEnded = true;
    const waiting = reader;
    reader = undefined;
    if (failure === undefined) waiting?.resolve(undefined);
    else waiting?.reject(failure);
  };
  socket.setNoDelay(true);
  socket.on('data', (data: Buffer) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    const waiting = reader;
    if (waiting !== undefined) {
      reader = undefined;
      return waiting.resolve(bytes);
    }
    chunks.push(bytes);
    held += bytes.length;
    if (held >= LIMITS.SOCKET_BYTES) socket.pause();
  });
  socket.on('end', settle);
  socket.on('close', settle);
  socket.on('error', (error) => {
    failure ??= systemError(error, name);
    settle();
  });
  return {
    read() {
      const bytes = chunks.shift();
      if (bytes !== undefined) {
        held -= bytes.length;
        if (socket.isPaused() && held < LIMITS.SOCKET_BYTES) socket.resume();
        return Promise.resolve(bytes);
      }
      if (failure !== undefined) return Promise.reject(failure);
      if (isEnded) return Promise.resolve(undefined);
      return new Promise((resolve, reject) => (reader = { resolve, reject }));
    },
    write: (bytes) =>
      new Promise((resolve, reject) =>
        socket.write(bytes, (error) => {
          // a write that is cut off is reported as done
          if (failure !== undefined) reject(failure);
          else if (error === null || error === undefined) resolve();
          else reject(systemError(error, name));
        }),
      ),
    close() {
      settle();
      chunks.length = 0;
      socket.resume();
      // What was written still goes out, but not at the pace of a peer that has stopped reading: it would hold the socket and its bytes for ever.
      const timer = setTimeout(() => {
        failure ??= new BlockError('io', `${name}: the peer has stopped reading`);
        socket.destroy(failure);
      }, LIMITS.CLOSE_MS);
      timer.unref();
      socket.once('close', () => clearTimeout(timer));
      socket.destroySoon();
    },
  };
}

export const connectTcp = (host: string, port: number, options: ConnectOptions = {}): Promise<SocketStream> =>
  connect({ host, port }, `Failed to connect to '${host}:${port}'`, options);

export const connectUnix = (path: string, options: ConnectOptions = {}): Promise<SocketStream> =>
  connect({ path }, `Failed to connect to '${path}'`, options);

async function connect(
  to: { host: string; port: number } | { path: string },
  what: string,
  { signal, timeout = 30_000 }: ConnectOptions,
): Promise<SocketStream> {
  checkAborted(signal);
  let socket: Socket;
  try {
    socket = createConnection(to);
  } catch (error) {
    throw systemError(error, what); // a port that is none
  }
  return new Promise((resolve, reject) => {
    const fail = (error: BlockError): void => {
      done();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new BlockError('io', `${what}: Connection timed out`)), timeout);
    const onAbort = (): void => fail(new BlockError('aborted', 'the request was aborted', { cause: signal?.reason }));
    const onError = (error: unknown): void => fail(systemError(error, what));
    const done = (): void => {
      clearTimeout(timer);
      socket.off('error', onError);
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort);
    socket.once('error', onError);
    socket.once('connect', () => {
      done();
      resolve(socketStream(socket, what));
    });
  });
}

/** `onConnection` gets each peer, with its address for messages. Port 0: any free one. */
export const listenTcp = (
  host: string,
  port: number,
  onConnection: (stream: SocketStream, peer: string) => void,
): Promise<Listener> => listen({ host, port }, `Failed to listen on '${host}:${port}'`, onConnection);

/** The socket's file is made, and removed by `close`; one that exists already is an error. */
export const listenUnix = (
  path: string,
  onConnection: (stream: SocketStream, peer: string) => void,
): Promise<Listener> => listen({ path }, `Failed to listen on '${path}'`, onConnection);

function listen(
  at: { host: string; port: number } | { path: string },
  what: string,
  onConnection: (stream: SocketStream, peer: string) => void,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const onError = (error: unknown): void => reject(systemError(error, what));
    let server: Server;
    try {
      server = createServer((socket) => {
        const peer = socket.remoteAddress === undefined ? what : `${socket.remoteAddress}:${socket.remotePort}`;
        onConnection(socketStream(socket, peer), peer);
      });
      server.once('error', onError);
      server.listen(at, () => {
        server.off('error', onError);
        // a connection that could not be accepted (too many files) is the peer's loss, not the server's end
        server.on('error', () => undefined);
        const address = server.address() as AddressInfo | string | null;
        resolve({
          port: typeof address === 'object' ? address?.port : undefined,
          close() {
            // its callback waits for the last connection; the address is free at once
            server.close();
            return Promise.resolve();
          },
        });
      });
    } catch (error) {
      onError(error);
    }
  });
}
