/** Against qemu-img 7.2: what it makes we read, what we make it reads, and both change each other's key slots. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MemoryStorage } from '@emkit/storage';
import { createLuksDriver } from '../src/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'emkit-luks-'));
afterAll(() => rmSync(directory, { recursive: true }));

const secrets: Record<string, string> = { s0: 'tiger', s1: 'lion' };
const objects = Object.entries(secrets).flatMap(([id, data]) => ['--object', `secret,id=${id},data=${data}`]);
const qemuImg = (...args: string[]): string =>
  execFileSync('qemu-img', [args[0] as string, ...objects, ...args.slice(1)], { encoding: 'utf8', stdio: 'pipe' });
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const secret = (id: string): Uint8Array => bytesOf(secrets[id] ?? '');
const driver = createLuksDriver({ iterations: () => Promise.resolve(1000) });
const content = Uint8Array.from({ length: 300 * 1024 }, (_, i) => (i * 2654435761) >>> 13);
const opts = (path: string, key: string): string => `driver=luks,file.filename=${path},key-secret=${key}`;
const difference = (a: Uint8Array, b: Uint8Array): number => a.findIndex((byte, i) => byte !== b[i]);

const variants = [
  {},
  { 'cipher-alg': 'aes-192', 'hash-alg': 'sha512', 'ivgen-alg': 'plain' },
  { 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv', 'ivgen-hash-alg': 'sha256', 'hash-alg': 'ripemd160' },
] as const;
const list = (options: Readonly<Record<string, string>>): string =>
  ['key-secret=s0', 'iter-time=10', ...Object.entries(options).map(([k, v]) => `${k}=${v}`)].join(',');

describe.each(variants)('luks of qemu-img and ours: %o', (options) => {
  const theirs = join(directory, 'theirs.luks');
  const ours = join(directory, 'ours.luks');
  const raw = join(directory, 'raw');

  it('opens what qemu-img made, and says of it what qemu-img says', async () => {
    writeFileSync(raw, content);
    qemuImg('convert', '-f', 'raw', '-O', 'luks', '-o', list(options), raw, theirs);
    const image = await driver.open(new MemoryStorage(readFileSync(theirs)), { secret: () => secret('s0') });
    const read = new Uint8Array(content.length);
    await image.read(0, read);
    expect(difference(read, content)).toBe(-1);
    const said = JSON.parse(qemuImg('info', '--output=json', theirs)) as Record<string, unknown>;
    const info = await image.info();
    expect(JSON.stringify(info.formatSpecific)).toBe(JSON.stringify(said['format-specific']));
    expect(info.virtualSize).toBe(said['virtual-size']);
  });

  it('makes what qemu-img opens', async () => {
    const file = new MemoryStorage();
    await driver.create?.(file, { size: content.length, options, secret: () => secret('s0') });
    const image = await driver.open(file, { secret: () => secret('s0') });
    await image.write?.(0, content);
    await image.amend?.({ state: 'active', 'new-secret': 's1', keyslot: '6' }, { secrets: secret });
    await image.close();
    writeFileSync(ours, file.bytes());
    qemuImg('convert', '--image-opts', '-O', 'raw', opts(ours, 's1'), raw);
    expect(difference(readFileSync(raw), content)).toBe(-1);
    expect(readFileSync(raw).length).toBe(content.length);
  });

  it('changes key slots with qemu-img in turn', async () => {
    qemuImg('amend', '--image-opts', '-o', 'state=inactive,old-secret=s0', opts(ours, 's1'));
    const file = new MemoryStorage(readFileSync(ours));
    await expect(driver.open(file, { secret: () => secret('s0') })).rejects.toMatchObject({ kind: 'key' });
    const image = await driver.open(file, { secret: () => secret('s1') });
    await image.amend?.({ state: 'active', 'new-secret': 's0' }, { secrets: secret });
    await image.amend?.({ state: 'inactive', keyslot: '6' }, { secrets: secret });
    await image.close();
    writeFileSync(ours, file.bytes());
    qemuImg('convert', '--image-opts', '-O', 'raw', opts(ours, 's0'), raw);
    expect(difference(readFileSync(raw), content)).toBe(-1);
    expect(() => qemuImg('convert', '--image-opts', '-O', 'raw', opts(ours, 's1'), raw)).toThrow('Invalid password');
  });
});
