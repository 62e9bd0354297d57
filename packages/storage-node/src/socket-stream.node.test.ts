import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { BlockError } from '@emkit/storage';
import { LIMITS } from './limits.ts';
import { connectTcp, connectUnix, listenTcp, listenUnix, type SocketStream } from './socket-stream.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-socket-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function readAll(stream: SocketStream): Promise<number> {
  let total = 0;
  for (let bytes = await stream.read(); bytes !== undefined; bytes = await stream.read()) total += bytes.length;
  return total;
}

async function echo(stream: SocketStream): Promise<void> {
  for (let bytes = await stream.read(); bytes !== undefined; bytes = await stream.read()) await stream.write(bytes);
  stream.close();
}

it('bytes go both ways over TCP, and the end arrives', async () => {
  const listener = await listenTcp('127.0.0.1', 0, (stream) => void echo(stream));
  const stream = await connectTcp('127.0.0.1', listener.port as number);
  await stream.write(Uint8Array.of(1, 2, 3));
  expect(await stream.read()).toEqual(Uint8Array.of(1, 2, 3));
  const pending = stream.read();
  stream.close();
  expect(await pending).toBeUndefined();
  expect(await stream.read()).toBeUndefined();
  stream.close();
  await listener.close();
});

it('UNIX sockets: the file is there while somebody listens', async () => {
  const path = join(folder, 'a.sock');
  let served!: SocketStream;
  const listener = await listenUnix(path, (stream) => (served = stream));
  await expect(listenUnix(path, () => undefined)).rejects.toThrow('Address already in use');
  const stream = await connectUnix(path);
  await stream.write(Uint8Array.of(7));
  while (served === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(await served.read()).toEqual(Uint8Array.of(7));
  served.close();
  expect(await stream.read()).toBeUndefined();
  stream.close();
  await listener.close();
  await expect(connectUnix(path)).rejects.toThrow(`Failed to connect to '${path}': No such file or directory`);
});

it('a reader that does not read stops the writer', async () => {
  let served!: SocketStream;
  const listener = await listenTcp('127.0.0.1', 0, (stream) => (served = stream));
  const stream = await connectTcp('127.0.0.1', listener.port as number);
  let written = 0;
  const piece = new Uint8Array(1 << 20);
  const writer = (async () => {
    for (let i = 0; i < 40; i++) {
      await stream.write(piece);
      written += piece.length;
    }
    stream.close();
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(written).toBeLessThan(40 << 20);
  expect(await readAll(served)).toBe(40 << 20);
  await writer;
  served.close();
  await listener.close();
  expect(LIMITS.SOCKET_BYTES).toBe(1 << 20);
});

it('a closed connection does not wait for a peer that has stopped reading', async () => {
  let served!: SocketStream;
  const listener = await listenTcp('127.0.0.1', 0, (stream) => void (served = stream));
  const peer = connect({ port: listener.port as number, host: '127.0.0.1' });
  peer.pause();
  peer.on('error', () => {}); // it is cut
  await vi.waitFor(() => expect(served).toBeDefined());
  const written = served.write(new Uint8Array(32 << 20)).then(
    () => 'sent',
    () => 'cut',
  );
  served.close();
  const started = Date.now();
  expect(await written).toBe('cut');
  expect(Date.now() - started).toBeLessThan(4 * LIMITS.CLOSE_MS);
  peer.destroy();
  await listener.close();
});

it('nobody there, a wrong port, a peer that is silent, an abort: each is an error in time', async () => {
  await expect(connectTcp('127.0.0.1', 1)).rejects.toThrow("Failed to connect to '127.0.0.1:1': Connection refused");
  await expect(connectTcp('127.0.0.1', 70000)).rejects.toThrow(BlockError);
  const abort = new AbortController();
  abort.abort();
  await expect(connectTcp('127.0.0.1', 1, { signal: abort.signal })).rejects.toThrow('aborted');
});

it('a connection that breaks is an error for the reader, not an exception of the process', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  const stream = await connectTcp('127.0.0.1', address.port);
  await stream.write(Uint8Array.of(1));
  await expect(stream.read()).rejects.toThrow('Connection reset by peer');
  await expect(stream.write(new Uint8Array(10))).rejects.toThrow(BlockError);
  stream.close();
  server.close();
});
