/** The client against qemu-nbd, and against each other: contents after random writes, extents, contexts, lists. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNbd, listNbdExports, type ByteStream, type NbdStorage } from '@emkit/nbd';
import { MemoryStorage } from '@emkit/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MIB = 1 << 20;
let folder: string;
const children: ChildProcess[] = [];
const path = (name: string): string => join(folder, name);

beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'nbd-'))));
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function qemuNbd(socket: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn('qemu-nbd', ['-k', path(socket), ...args], { stdio: 'inherit' });
  children.push(child);
  for (let n = 0; !existsSync(path(socket)) && n < 500; n++) await new Promise((resolve) => setTimeout(resolve, 10));
  return child;
}

/** The README's adapter. */
function toStream(socket: Socket): ByteStream {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
  return {
    read: async () => (await chunks.next()).value,
    write: (bytes) =>
      new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve()))),
    close: () => socket.destroySoon(),
  };
}

async function dial(socket: string): Promise<ByteStream> {
  const connection = createConnection(path(socket));
  await new Promise((resolve, reject) => connection.once('connect', resolve).once('error', reject));
  return toStream(connection);
}

const connect = async (socket: string, exportName = '', contexts: string[] = []): Promise<NbdStorage> =>
  connectNbd(await dial(socket), { exportName, contexts });

function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** The same random changes to the export and to a model; many at a time where they do not touch. */
async function change(client: NbdStorage, model: MemoryStorage, seed: number, rounds: number): Promise<void> {
  const next = random(seed);
  for (let round = 0; round < rounds; round++) {
    const slots = 16;
    const slot = Math.floor(model.size / slots);
    await Promise.all(
      Array.from({ length: slots }, async (_, n) => {
        const within = next(slot - 1);
        const offset = n * slot + within;
        const length = 1 + next(Math.min(slot - within, next(4) === 0 ? 300_000 : 9000));
        const kind = next(10);
        if (kind === 0) {
          await client.writeZeroes!(offset, length, { unmap: next(2) === 0 });
          await model.writeZeroes(offset, length);
        } else {
          const bytes = new Uint8Array(length).fill(1 + next(255));
          await client.write!(offset, bytes);
          await model.write(offset, bytes);
        }
      }),
    );
  }
  await client.flush!();
}

async function content(client: NbdStorage): Promise<Uint8Array> {
  const bytes = new Uint8Array(client.size);
  await client.read(0, bytes);
  return bytes;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe('the client with qemu-nbd', () => {
  it.each(['raw', 'qcow2'])('leaves a %s image as the model says after random changes', async (format) => {
    const file = path(`random.${format}`);
    run('qemu-img', 'create', '-q', '-f', format, file, '16M');
    const server = await qemuNbd(`s-${format}`, '-f', format, '--discard=unmap', file);
    const client = await connect(`s-${format}`);
    expect(client.size).toBe(16 * MIB);
    const model = new MemoryStorage(16 * MIB);
    await change(client, model, 7, 20);
    expect(same(await content(client), model.bytes())).toBe(true);
    await client.close();
    // without -t it ends with the client, and the image is whole
    await new Promise((resolve) => server.once('exit', resolve));
    run('qemu-img', 'convert', '-f', format, '-O', 'raw', file, path('out.raw'));
    expect(same(readFileSync(path('out.raw')), model.bytes())).toBe(true);
  });

  it('walks extents and metadata contexts as nbdinfo does', async () => {
    const file = path('map.qcow2');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', file, '8M');
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 1 1M 128k', '-c', 'write -P 2 3M 64k', '-c', 'write -z 4M 1M', file);
    run('qemu-img', 'bitmap', '--add', '-f', 'qcow2', file, 'b0');
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 3 6M 192k', file);
    await qemuNbd('s-map', '-r', '-t', '-A', '-B', 'b0', '-f', 'qcow2', '-x', 'disk', '-e', '4', file);
    const client = await connect('s-map', 'disk', ['qemu:allocation-depth', 'qemu:dirty-bitmap:b0']);
    expect(client.write).toBeUndefined();
    for (const context of ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0']) {
      const extents: [number, number, number][] = [];
      for (let at = 0; at < client.size;) {
        const { length, flags } = await client.metaExtent(context, at, client.size - at);
        extents.push([at, length, flags]);
        at += length;
      }
      const uri = `nbd+unix:///disk?socket=${path('s-map')}`;
      const map = JSON.parse(run('nbdinfo', '--json', `--map=${context}`, uri)) as Record<
        'offset' | 'length' | 'type',
        number
      >[];
      expect(joined(extents)).toEqual(joined(map.map(({ offset, length, type }) => [offset, length, type])));
    }
    await client.close();
    const [listed] = await listNbdExports(await dial('s-map'));
    expect(listed).toMatchObject({
      name: 'disk',
      info: { size: 8 * MIB, blockSizes: { minimum: 1, preferred: 4096 } },
    });
    expect(listed!.contexts).toEqual(['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0']);
    await expect(connect('s-map', 'none')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('takes the errors of a disk that is full or broken', async () => {
    const file = path('broken.qcow2');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', file, '1M');
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 64k', file);
    const fault = (index: number, event: string, errno: number): string =>
      ['event=' + event, `errno=${errno}`].map((part) => `,file.inject-error.${index}.${part}`).join('');
    const file0 = `driver=qcow2,file.driver=blkdebug,file.image.driver=file,file.image.filename=${file}`;
    await qemuNbd('s-err', '-t', '--image-opts', `${file0}${fault(0, 'read_aio', 5)}${fault(1, 'write_aio', 28)}`);
    const first = await connect('s-err');
    // an error below a read ends the connection, with this server
    await expect(first.read(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'io' });
    await first.close();
    const second = await connect('s-err');
    await expect(second.write!(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'no-space' });
    // nothing is allocated here, so nothing is read from the broken disk
    await second.read(524288, new Uint8Array(512));
    await second.close();
  });
});

function joined(extents: readonly (readonly [number, number, number])[]): [number, number, number][] {
  const result: [number, number, number][] = [];
  for (const [offset, length, flags] of extents) {
    const last = result.at(-1);
    if (last?.[2] === flags) last[1] += length;
    else result.push([offset, length, flags]);
  }
  return result;
}
