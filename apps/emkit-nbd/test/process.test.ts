/** The command as a process, with clients of our own: sockets, signals, the end, errors. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNbd } from '@emkit/nbd';
import { connectUnix } from '@emkit/storage-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, listening, start, type Server } from './run-server.ts';

let folder: string;
const servers: Server[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'emkit-nbd-'));
  for (const name of ['a.img', 'b.img']) {
    writeFileSync(join(folder, name), '');
    truncateSync(join(folder, name), 1 << 20);
  }
});
afterAll(async () => {
  for (const { child } of servers) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(servers.map(({ exit }) => exit));
  rmSync(folder, { recursive: true, force: true });
});

const path = (name: string): string => join(folder, name);

async function serving(socket: string, ...args: string[]): Promise<Server> {
  const server = start('emkit-nbd', ['-k', path(socket), ...args]);
  servers.push(server);
  return listening(server, path(socket));
}

const connect = async (socket: string, exportName = '') => connectNbd(await connectUnix(path(socket)), { exportName });

function run(...args: string[]): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [...COMMAND, ...args], { encoding: 'utf8', timeout: 30_000 });
}

describe('emkit-nbd', () => {
  it('serves over a socket of its user alone, and ends with the last client', async () => {
    const server = await serving('s1', '-f', 'raw', path('a.img'));
    expect(statSync(path('s1')).mode & 0o777).toBe(0o600);
    const client = await connect('s1');
    await client.write!(4096, Uint8Array.of(1, 2, 3));
    await client.flush!();
    await client.close();
    expect(await server.exit).toBe(0);
    expect(server.error()).toBe('');
    expect(existsSync(path('s1'))).toBe(false);
    expect(spawnSync('od', ['-An', '-tu1', '-j4096', '-N3', path('a.img')], { encoding: 'utf8' }).stdout.trim()).toBe(
      '1   2   3',
    );
  });

  it('stays with -t, serves several images, and ends in order on SIGTERM', async () => {
    const server = await serving(
      's2',
      '-tv',
      '-f',
      'raw',
      `one=${path('a.img')}`,
      `two=${path('b.img')}`,
      '-D',
      'first',
    );
    const one = await connect('s2', 'one');
    expect(one.export.description).toBe('first');
    const two = await connect('s2', 'two');
    await two.write!(0, new Uint8Array(512).fill(7));
    await one.close();
    await expect(connect('s2', 'three')).rejects.toMatchObject({ kind: 'not-found' });
    expect(await server.stop()).toBe(0);
    await expect(two.read(0, new Uint8Array(512))).rejects.toMatchObject({ name: 'BlockError' });
    expect(server.error()).toMatch(/client 1: uses export 'one'/);
    expect(existsSync(path('s2'))).toBe(false);
  });

  it('lets a client beyond the limit wait for its turn, and takes over the socket of a server that was killed', async () => {
    const killed = await serving('s3', '-t', path('a.img'), '-f', 'raw');
    killed.child.kill('SIGKILL');
    await killed.exit;
    expect(existsSync(path('s3'))).toBe(true);
    const server = start('emkit-nbd', ['-k', path('s3'), '-t', '-f', 'raw', path('a.img'), '-v']);
    servers.push(server);
    for (let n = 0; !server.error().includes('a.img') && n < 500; n++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const first = await connect('s3');
    let isServed = false;
    const second = connect('s3').then((client) => {
      isServed = true;
      return client;
    });
    await first.read(0, new Uint8Array(512));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isServed).toBe(false);
    await first.close();
    await (await second).close();
    expect(await server.stop()).toBe(0);
  });

  it('forgets changes with -s', async () => {
    const server = await serving('s4', '-s', '-f', 'raw', path('b.img'));
    const client = await connect('s4');
    await client.write!(8192, new Uint8Array(512).fill(9));
    const back = new Uint8Array(512);
    await client.read(8192, back);
    expect(back[0]).toBe(9);
    await client.close();
    expect(await server.exit).toBe(0);
    expect(spawnSync('cmp', ['-n', '512', '-i', '8192:0', path('b.img'), '/dev/zero']).status).toBe(0);
  });

  it('begins at an offset', async () => {
    const server = await serving('s5', '-r', '-o', '4096', '-f', 'raw', path('a.img'));
    const client = await connect('s5');
    expect(client.size).toBe((1 << 20) - 4096);
    const back = new Uint8Array(3);
    await client.read(0, back);
    expect([...back]).toEqual([1, 2, 3]);
    expect(client.write).toBeUndefined();
    await client.close();
    expect(await server.exit).toBe(0);
  });

  it('says what is wrong in QEMU words, and what to do', async () => {
    const missing = run('-k', path('x'), path('none.img'));
    expect(missing.status).toBe(1);
    expect(missing.stderr).toBe(
      `emkit-nbd: Failed to blk_new_open '${path('none.img')}': Could not open '${path('none.img')}': No such file or directory\n`,
    );
    const usage = run();
    expect([usage.status, usage.stderr]).toEqual([
      1,
      "emkit-nbd: Invalid number of arguments\n  Try `emkit-nbd --help' for more information.\n",
    ]);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const busy = run('-p', String(port), '-f', 'raw', '-r', path('a.img'));
    taken.close();
    expect(busy.status).toBe(1);
    expect(busy.stderr).toBe(
      `emkit-nbd: Failed to find an available port: Address already in use\n  another program listens there; try -p ${port + 1}\n`,
    );
  });
});
