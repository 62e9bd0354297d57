/**
 * The TCP side of -gdb: listens, hands one connection at a time to the machine's stub. The protocol is the stub's.
 *
 * A gdb client may do everything the process may do to the guest, so the default address is the loopback (trust: "TCP only when
 * asked for"). Further connections are closed at once while one is open.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { systemErrorText } from './chardev.ts';
import type { DebuggerConnection, Pc } from './machine-port.ts';
import { OptionError } from './option-error.ts';

export interface GdbServer {
  readonly port: number;
  close(): void;
}

export async function listenForGdb(
  gdb: { readonly host: string; readonly port: number; readonly typed: string },
  pc: Pc,
): Promise<GdbServer> {
  const { attachDebugger } = pc;
  if (attachDebugger === undefined)
    throw new OptionError(`${gdb.typed}: this machine has no gdb stub`, 'leave -s and -gdb out');
  let current: Socket | undefined;
  const server: Server = createServer((socket) => {
    if (current !== undefined) {
      socket.destroy();
      return;
    }
    current = socket;
    socket.setNoDelay(true);
    const connection: DebuggerConnection = {
      send: (bytes) => socket.write(bytes),
      onData: undefined,
      onClose: undefined,
      close: () => socket.end(),
    };
    socket.on('data', (chunk) => connection.onData?.(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      current = undefined;
      connection.onClose?.();
    });
    attachDebugger(connection);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const why = systemErrorText(error);
      reject(
        new OptionError(
          `${gdb.typed}: Failed to find an available port: ${why}`,
          `another program listens on ${gdb.host}:${gdb.port}; try -gdb tcp::${gdb.port + 1}`,
        ),
      );
    });
    server.listen(gdb.port, gdb.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : gdb.port,
    close() {
      current?.destroy();
      server.close();
    },
  };
}
