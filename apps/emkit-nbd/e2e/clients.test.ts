/** Debian's NBD clients against emkit-nbd, and what they see of it beside what they see of qemu-nbd. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, listening, start, type Server } from '../test/run-server.ts';

let folder: string;
const servers: Server[] = [];
const path = (name: string): string => join(folder, name);

beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'emkit-nbd-'))));
afterAll(async () => {
  for (const { child } of servers) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(servers.map(({ exit }) => exit));
  rmSync(folder, { recursive: true, force: true });
});

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status} ${stderr}${stdout}`);
  return stdout;
}

let count = 0;
/** Runs `body` while the server is up; gives what it gives. */
async function during<T>(
  program: 'emkit-nbd' | 'qemu-nbd',
  args: readonly string[],
  body: (uri: (exportName?: string) => string, socket: string) => T | Promise<T>,
): Promise<T> {
  const socket = path(`s${++count}`);
  const server = start(program, ['-k', socket, '-t', ...args]);
  servers.push(server);
  await listening(server, socket);
  try {
    return await body((name = '') => `nbd+unix:///${name}?socket=${socket}`, socket);
  } finally {
    expect(await server.stop()).toBe(0);
  }
}

/** Both servers for one image; the results must be the same. */
async function both<T>(
  args: readonly string[],
  body: (uri: (exportName?: string) => string, socket: string) => T,
): Promise<T> {
  const ours = await during('emkit-nbd', args, body);
  const theirs = await during('qemu-nbd', args, body);
  expect(ours).toEqual(theirs);
  return ours;
}

/** Without the socket's name, which differs. */
const plain = (text: string): string => text.replaceAll(/socket=[^"\s]*/g, 'socket=S');

function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** Commands for qemu-io and what the disk holds after them. */
function randomCommands(seed: number, size: number, steps: number): { commands: string[]; model: Buffer } {
  const next = random(seed);
  const model = Buffer.alloc(size);
  const commands: string[] = [];
  for (let n = 0; n < steps; n++) {
    const offset = next(size - 1);
    const length = 1 + next(Math.min(size - offset, next(3) === 0 ? 400_000 : 20_000));
    const byte = 1 + next(255);
    if (next(6) === 0) {
      commands.push(`write -z${next(2) === 0 ? ' -u' : ''} ${offset} ${length}`);
      model.fill(0, offset, offset + length);
    } else {
      commands.push(
        `${next(2) === 0 ? 'aio_write' : 'write'}${next(4) === 0 ? ' -f' : ''} -P ${byte} ${offset} ${length}`,
      );
      model.fill(byte, offset, offset + length);
      if (commands.at(-1)!.startsWith('aio')) commands.push('aio_flush');
    }
    if (next(10) === 0) commands.push('flush');
    if (next(10) === 0) commands.push(`read -P ${model[offset]} ${offset} 1`);
  }
  return { commands, model };
}

const qemuIo = (uri: string, commands: readonly string[]): string =>
  run('qemu-io', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uri);

/** qemu-io's exit code does not tell of a pattern that fails. */
function expectClean(output: string): void {
  expect(output).not.toMatch(/fail|error|mismatch/i);
}

const SIZE = 8 << 20;

describe('nbdinfo', () => {
  it('sees of a qcow2 image with backing file, bitmap and zeroes what it sees of qemu-nbd', async () => {
    run('qemu-img', 'create', '-q', '-f', 'raw', path('base.raw'), '32M');
    run('qemu-io', '-f', 'raw', '-c', 'write -P 9 0 3M', '-c', 'write -P 8 20M 70000', path('base.raw'));
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', path('top.qcow2'), '40M');
    run('qemu-img', 'bitmap', '--add', '-g', '65536', '-f', 'qcow2', path('top.qcow2'), 'b0');
    run(
      'qemu-io',
      '-f',
      'qcow2',
      '-c',
      'write -P 1 1M 192k',
      '-c',
      'write -z 2M 512k',
      '-c',
      'write -P 3 35M 1M',
      path('top.qcow2'),
    );
    const args = ['-r', '-A', '-B', 'b0', '-f', 'qcow2', '-x', 'disk', '-D', 'a disk', '-e', '3', path('top.qcow2')];
    await both(args, (uri) => ({
      list: JSON.parse(plain(run('nbdinfo', '--json', '--list', uri()))) as unknown,
      info: JSON.parse(plain(run('nbdinfo', '--json', uri('disk')))) as unknown,
      map: run('nbdinfo', '--json', '--map', uri('disk')),
      depth: run('nbdinfo', '--json', '--map=qemu:allocation-depth', uri('disk')),
      dirty: run('nbdinfo', '--json', '--map=qemu:dirty-bitmap:b0', uri('disk')),
    }));
  });

  it('sees of writable images what it sees of qemu-nbd, with one client and with several', async () => {
    run('qemu-img', 'create', '-q', '-f', 'qcow2', path('w.qcow2'), '10M');
    run('qemu-img', 'create', '-q', '-f', 'raw', path('w.raw'), '10M');
    for (const shared of ['1', '0'])
      for (const format of ['qcow2', 'raw'])
        await both(
          ['-f', format, '-e', shared, path(`w.${format}`)],
          (uri) => JSON.parse(plain(run('nbdinfo', '--json', uri()))) as unknown,
        );
  });

  it('sees several exports', async () => {
    const args = ['-f', 'raw', '-r', `one=${path('w.raw')}`, `two=${path('base.raw')}`];
    const list = await during('emkit-nbd', args, (uri) => run('nbdinfo', '--json', '--list', uri()));
    const { exports } = JSON.parse(list) as { exports: Record<string, unknown>[] };
    expect(exports.map((one) => [one['export-name'], one['export-size']])).toEqual([
      ['one', 10 << 20],
      ['two', 32 << 20],
    ]);
  });

  it('is not needed: -L prints what qemu-nbd -L prints', async () => {
    await during('qemu-nbd', ['-r', '-A', '-f', 'raw', '-D', 'text', path('w.raw')], (_, socket) => {
      const theirs = run('qemu-nbd', '-L', '-k', socket);
      expect(run(process.execPath, ...COMMAND, '-L', '-k', socket)).toBe(theirs);
    });
  });
});

describe('qemu-io', () => {
  it.each(['raw', 'qcow2', 'vmdk', 'qed'])(
    'writes at random to a %s image, and what it reads back is in it',
    async (format) => {
      const image = path(`io.${format}`);
      run('qemu-img', 'create', '-q', '-f', format, image, String(SIZE));
      const { commands, model } = randomCommands(format.length, SIZE, 120);
      writeFileSync(path('model'), model);
      await during('emkit-nbd', ['-f', format, '--discard=unmap', image], (uri) => {
        expectClean(qemuIo(uri(), commands));
        run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri(), path('model'));
      });
      if (format !== 'raw') expect(run('qemu-img', 'check', '-f', format, image)).toMatch(/No errors were found/);
      run('qemu-img', 'compare', '-f', format, '-F', 'raw', image, path('model'));
    },
  );

  it('trims, and the map of the image is as after qemu-nbd', async () => {
    const map = async (program: 'emkit-nbd' | 'qemu-nbd'): Promise<string> => {
      const image = path('trim.qcow2');
      run('qemu-img', 'create', '-q', '-f', 'qcow2', image, '8M');
      await during(program, ['-f', 'qcow2', '--discard=unmap', image], (uri) =>
        qemuIo(uri(), ['write -P 1 0 4M', 'discard 1M 1M', 'write -z -u 3M 512k', 'write -z 2M 64k']),
      );
      return run('qemu-img', 'map', '--output=json', '-f', 'qcow2', image).replaceAll(/, "offset": \d+/g, '');
    };
    expect(await map('emkit-nbd')).toBe(await map('qemu-nbd'));
  });
});

describe('qemu-img and nbdcopy', () => {
  it('copy into and out of an image', async () => {
    const { model } = randomCommands(99, SIZE, 60);
    writeFileSync(path('source.raw'), model);
    run('qemu-img', 'create', '-q', '-f', 'qcow2', path('copy.qcow2'), String(SIZE));
    await during('emkit-nbd', ['-f', 'qcow2', '-e', '0', path('copy.qcow2')], (uri) => {
      run('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', path('source.raw'), uri());
      run('nbdcopy', '--connections=4', uri(), path('back.raw'));
      expect(readFileSync(path('back.raw')).equals(model)).toBe(true);
      run('nbdcopy', '--connections=4', '--destination-is-zero', path('source.raw'), uri());
      run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', uri(), path('again.qcow2'));
    });
    run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', path('copy.qcow2'), path('source.raw'));
    run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', path('again.qcow2'), path('source.raw'));
  });

  it('export an internal snapshot', async () => {
    const image = path('snap.qcow2');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', image, '4M');
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 1M', image);
    run('qemu-img', 'snapshot', '-c', 'before', image);
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 2 0 2M', image);
    for (const key of ['before', 'snapshot.id=1,snapshot.name=before'])
      await during('emkit-nbd', ['-f', 'qcow2', '-l', key, image], (uri) => {
        expectClean(run('qemu-io', '-r', '-f', 'raw', '-c', 'read -P 1 0 1M', '-c', 'read -P 0 1M 3M', uri()));
      });
  });

  it('open an encrypted image through its secret', async () => {
    writeFileSync(path('key'), 'open sesame');
    const secret = `secret,id=s0,file=${path('key')}`;
    run(
      'qemu-img',
      'create',
      '-q',
      '--object',
      secret,
      '-f',
      'luks',
      '-o',
      'key-secret=s0,iter-time=10',
      path('l.luks'),
      '1M',
    );
    const spec = `driver=luks,key-secret=s0,file.driver=file,file.filename=${path('l.luks')}`;
    await during('emkit-nbd', ['--object', secret, '--image-opts', spec], (uri) =>
      expectClean(qemuIo(uri(), ['write -P 5 0 64k'])),
    );
    expectClean(run('qemu-io', '--object', secret, '--image-opts', '-c', 'read -P 5 0 64k', spec));
  });
});
