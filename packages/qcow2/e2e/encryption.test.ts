/** Against qemu-img and qemu-io 7.2: encrypted images, LUKS and AES of old, written by either side and read by the other. */
import { writeFileSync } from 'node:fs';
import type { BlockImage } from '@emkit/storage';
import { createQcow2 } from '../src/index.ts';
import { afterAll, describe, expect, it } from 'vitest';
import { Bench, random } from './qemu.ts';

const bench = new Bench();
afterAll(() => bench.done());
const qcow2 = createQcow2();
const SECRETS: Readonly<Record<string, string>> = { s0: 'tiger', s1: 'lion' };
const objects = Object.entries(SECRETS).flatMap(([id, data]) => ['--object', `secret,id=${id},data=${data}`]);
const secretOf = (id: string): Uint8Array => new TextEncoder().encode(SECRETS[id] ?? '');
const open = (name: string, id = 's0'): Promise<BlockImage> =>
  qcow2.open(bench.file(name), { secret: () => secretOf(id), resolver: bench.resolver });
const opts = (name: string, id = 's0'): string => `driver=qcow2,file.filename=${name},encrypt.key-secret=${id}`;

function content(name: string, id = 's0'): Uint8Array {
  bench.img('convert', ...objects, '--image-opts', '-O', 'raw', opts(name, id), 'plain.raw');
  return bench.content('plain.raw', 'raw');
}

const SIZE = 2 * 1024 * 1024 + 512;
const data = new Uint8Array(SIZE).map((_, i) => (i * 2654435761) >>> 11);
bench.put('data.raw', data);
const difference = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

describe.each<Readonly<Record<string, string>>>([
  { 'encrypt.format': 'luks', 'encrypt.iter-time': '10' },
  { 'encrypt.format': 'luks', 'encrypt.iter-time': '10', 'encrypt.cipher-mode': 'cbc', cluster_size: '4096' },
  { 'encrypt.format': 'aes' },
])('encrypted images: %j', (options) => {
  it('of qemu-img read as it reads them, and are written', async () => {
    const list = Object.entries({ 'encrypt.key-secret': 's0', ...options }).map(([k, v]) => `${k}=${v}`);
    bench.img('create', ...objects, '-f', 'qcow2', '-o', list.join(','), 'theirs.qcow2', String(SIZE));
    bench.img('convert', ...objects, '-n', '-f', 'raw', '--target-image-opts', 'data.raw', opts('theirs.qcow2'));
    const image = await open('theirs.qcow2');
    const read = new Uint8Array(SIZE);
    await image.read(0, read);
    expect(difference(read, data)).toBe(0);
    const next = random(9);
    for (let i = 0; i < 20; i++) {
      const bytes = new Uint8Array(1 + next(70_000)).fill(next(256));
      const at = next(SIZE - bytes.length);
      read.set(bytes, at);
      await image.write?.(at, bytes);
    }
    const info = await image.info();
    const said = bench.json('info', 'theirs.qcow2') as { 'format-specific': { data: { encrypt: unknown } } };
    expect(JSON.stringify(info.formatSpecific?.data['encrypt'])).toBe(
      JSON.stringify(said['format-specific'].data.encrypt),
    );
    expect(info.encrypted).toBe(true);
    await image.close();
    expect(difference(content('theirs.qcow2'), read)).toBe(0);
    expect(bench.tryImg('check', ...objects, '--image-opts', opts('theirs.qcow2'))).toMatchObject({ status: 0 });
  });

  it('of ours open in qemu-img', async () => {
    writeFileSync(bench.path('ours.qcow2'), '');
    await qcow2.create?.(bench.file('ours.qcow2'), { size: SIZE, options, secret: () => secretOf('s0') });
    const image = await open('ours.qcow2');
    await image.write?.(1000, data.subarray(1000, 900_000));
    await image.snapshots?.create({ name: 'then' });
    await image.write?.(900_000, data.subarray(900_000));
    await image.write?.(0, data.subarray(0, 1000));
    await image.close();
    expect(difference(content('ours.qcow2'), data)).toBe(0);
    expect(bench.tryImg('check', ...objects, '--image-opts', opts('ours.qcow2'))).toMatchObject({ status: 0 });
    await expect(qcow2.open(bench.file('ours.qcow2'))).rejects.toMatchObject({ kind: 'key' });
    const closed = await qcow2.open(bench.file('ours.qcow2'), { metadataOnly: true });
    expect((await closed.info()).encrypted).toBe(true);
    await closed.close();
  });
});

it('key slots are changed by either side', async () => {
  const image = await open('ours.qcow2').catch(() => undefined);
  await image?.close();
  bench.img(
    'create',
    ...objects,
    '-f',
    'qcow2',
    '-o',
    'encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s0',
    'k.qcow2',
    '1M',
  );
  const ours = await open('k.qcow2');
  await ours.write?.(0, data.subarray(0, 4096));
  await ours.amend?.(
    { 'encrypt.state': 'active', 'encrypt.new-secret': 's1', 'encrypt.iter-time': '10' },
    { secrets: secretOf },
  );
  await ours.close();
  expect(difference(content('k.qcow2', 's1').subarray(0, 4096), data.subarray(0, 4096))).toBe(0);
  bench.img(
    'amend',
    ...objects,
    '--image-opts',
    '-o',
    'encrypt.state=inactive,encrypt.old-secret=s0',
    opts('k.qcow2', 's1'),
  );
  await expect(open('k.qcow2')).rejects.toMatchObject({ kind: 'key' });
  const again = await open('k.qcow2', 's1');
  await again.close();
});
