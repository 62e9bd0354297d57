/** Opens the sockets that clients connect to: loopback TCP unless told otherwise, or a UNIX socket that only its owner may use. */
import { lstatSync, unlinkSync } from 'node:fs';
import { formatNbdUri } from '@emkit/nbd';
import { isBlockError } from '@emkit/storage';
import { connectUnix, listenTcp, listenUnix, type Listener, type SocketStream } from '@emkit/storage-node';
import type { Address } from './options.ts';
import { ToolError } from './tool-error.ts';

export interface Listening {
  /** For people: the URI of export `name`. */
  uri(exportName: string): string;
  close(): Promise<void>;
}

type OnConnection = (stream: SocketStream, peer: string) => void;

/** Group and others get nothing. */
const PRIVATE = 0o177;

export function listen(address: Address, onConnection: OnConnection): Promise<Listening> {
  return address.type === 'unix' ? onUnix(address.path, onConnection) : onTcp(address, onConnection);
}

async function onUnix(path: string, onConnection: OnConnection): Promise<Listening> {
  await removeStale(path);
  // the mode is there from the first moment: bind happens within the call
  const before = process.umask(PRIVATE);
  let pending: Promise<Listener>;
  try {
    // peers of a UNIX socket have no names
    pending = listenUnix(path, (stream) => onConnection(stream, ''));
  } finally {
    process.umask(before);
  }
  const listener = await pending.catch((error: unknown) => {
    throw failure(`Failed to bind socket to ${path}`, error, 'choose another path with -k');
  });
  return {
    uri: (exportName) => formatNbdUri({ type: 'unix', path, exportName }),
    close: () => listener.close(),
  };
}

/** A socket that nobody listens on is what a killed server has left. */
async function removeStale(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  try {
    (await connectUnix(path, { timeout: 1000 })).close();
  } catch {
    unlinkSync(path);
    return;
  }
  throw new ToolError(
    `Failed to bind socket to ${path}: Address already in use`,
    'another server listens there; choose another path with -k',
  );
}

async function onTcp({ host, port }: Address & { type: 'tcp' }, onConnection: OnConnection): Promise<Listening> {
  const hint = `another program listens there; try -p ${port === 65535 ? port - 1 : port + 1}`;
  const first = await listenTcp(host ?? '127.0.0.1', port, onConnection).catch((error: unknown) => {
    throw failure('Failed to find an available port', error, hint);
  });
  const bound = first.port ?? port;
  const listeners = [first];
  if (host === undefined) {
    // a host without IPv6 is no mistake
    const second = await listenTcp('::1', bound, onConnection)
      .catch((error: unknown) => {
        if (causeCode(error) === 'EADDRINUSE') throw error;
        return undefined;
      })
      .catch(async (error: unknown) => {
        await first.close();
        throw failure('Failed to find an available port', error, hint);
      });
    if (second !== undefined) listeners.push(second);
  }
  return {
    uri: (exportName) => formatNbdUri({ type: 'tcp', host: host ?? 'localhost', port: bound, exportName }),
    async close() {
      for (const listener of listeners) await listener.close();
    },
  };
}

function causeCode(error: unknown): unknown {
  const cause = error instanceof Error ? (error.cause ?? error) : undefined;
  return (cause as { code?: unknown } | undefined)?.code;
}

/** The last part of the system's message is the reason. */
function failure(what: string, error: unknown, hint: string): ToolError {
  const text = error instanceof Error ? error.message : String(error);
  const reason = isBlockError(error) ? (text.split(': ').at(-1) ?? text) : text;
  return new ToolError(
    `${what}: ${reason}`,
    causeCode(error) === 'EADDRINUSE' || /in use/.test(text) ? hint : undefined,
    error,
  );
}
