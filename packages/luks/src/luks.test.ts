import { beforeAll, describe, expect, it } from 'vitest';
import { isBlockError, MemoryStorage, type BlockImage } from '@emkit/storage';
import { HASHES, type HashName } from './hash.ts';
import { afMerge, afSplit } from './anti-forensic.ts';
import { amendLuks } from './luks-amend.ts';
import { createLuksDriver, luks } from './luks-driver.ts';
import { parseLuksHeader, serializeLuksHeader } from './luks-header.ts';
import { MAX_ITERATIONS, MAX_PAYLOAD_SECTOR } from './limits.ts';
import { openLuks } from './luks-volume.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const tiger = (): Uint8Array => text('tiger');
/** No time to measure in tests. */
const driver = createLuksDriver({ iterations: () => Promise.resolve(1000) });
const iterations = (): Promise<number> => Promise.resolve(1000);

async function fresh(options: Record<string, string> = {}, size = 65536): Promise<MemoryStorage> {
  const file = new MemoryStorage();
  await driver.create?.(file, { size, options, secret: tiger });
  return file;
}

let made: MemoryStorage;
beforeAll(async () => {
  made = await fresh();
});
const copy = (): MemoryStorage => new MemoryStorage(made.bytes());
const rejects = (kind: Parameters<typeof isBlockError>[1]) => (error: unknown) => isBlockError(error, kind);

describe('luks', () => {
  it.each([
    {},
    { 'cipher-alg': 'aes-128', 'hash-alg': 'sha1' },
    { 'cipher-alg': 'aes-192', 'hash-alg': 'sha512', 'ivgen-alg': 'plain' },
    { 'cipher-mode': 'cbc', 'ivgen-alg': 'essiv', 'hash-alg': 'ripemd160' },
    { 'cipher-mode': 'ecb', 'iter-time': '1' },
  ])('reads back what it wrote: %o', async (options) => {
    const file = await fresh(options as Record<string, string>);
    const image = await driver.open(file, { secret: tiger });
    expect(image.size).toBe(65536);
    const data = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
    await image.write?.(1000, data);
    await image.close();
    const again = await driver.open(file, { secret: tiger, readOnly: true });
    const read = new Uint8Array(3000);
    await again.read(1000, read);
    expect(read).toEqual(data);
    const payload = file.size - 65536;
    expect(file.bytes().subarray(payload + 1024, payload + 2048)).not.toEqual(data.subarray(24, 1048));
    await expect(again.write?.(0, data)).rejects.toSatisfy(rejects('read-only'));
  });

  it('opens with the right passphrase only, and its metadata with none', async () => {
    await expect(luks.open(copy(), { secret: () => text('lion') })).rejects.toMatchObject({
      kind: 'key',
      message: 'Invalid password, cannot unlock any keyslot',
    });
    await expect(luks.open(copy())).rejects.toSatisfy(rejects('key'));
    const image = await luks.open(copy(), { metadataOnly: true });
    expect((await image.info()).formatSpecific?.data).toMatchObject({
      'cipher-alg': 'aes-256',
      'payload-offset': 2068480,
    });
    await expect(image.read(0, new Uint8Array(1))).rejects.toSatisfy(rejects('key'));
  });

  it('is recognised by its first bytes', () => {
    expect(luks.probe(made.bytes().subarray(0, 2048))).toBe(100);
    expect(luks.probe(Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe, 0, 2))).toBe(0);
    expect(luks.probe(new Uint8Array(0))).toBe(0);
  });

  it('keeps neighbours in a sector apart when writes overlap in time', async () => {
    const image = await luks.open(copy(), { secret: tiger });
    const writes = Array.from({ length: 64 }, (_, i) => image.write?.(i * 100, new Uint8Array(100).fill(i + 1)));
    await Promise.all(writes);
    const all = new Uint8Array(6400);
    await image.read(0, all);
    expect(all.every((byte, i) => byte === Math.floor(i / 100) + 1)).toBe(true);
  });

  it('reads zeroes past its end, and refuses to write there', async () => {
    const image = await luks.open(copy(), { secret: tiger });
    const buffer = new Uint8Array(700).fill(9);
    await image.read(image.size - 100, buffer);
    expect(buffer.subarray(100).every((b) => b === 0)).toBe(true);
    await expect(image.write?.(image.size - 1, new Uint8Array(2))).rejects.toSatisfy(rejects('out-of-bounds'));
    await expect(image.read(-1, buffer)).rejects.toSatisfy(rejects('out-of-bounds'));
    await expect(image.resize?.(512)).rejects.toSatisfy(rejects('invalid-option'));
    await image.resize?.(512, { shrink: true });
    expect(image.size).toBe(512);
    await image.close();
    await expect(image.read(0, buffer)).rejects.toSatisfy(rejects('closed'));
  });

  it.each([
    ['cipher-alg', 'des'],
    ['iter-time', '0'],
    ['colour', 'red'],
    ['ivgen-hash-alg', 'sha1024'],
    ['cipher-mode', 'cbc'],
  ])('refuses %s=%s before it touches the file', async (name, value) => {
    const file = new MemoryStorage(text('precious'));
    const options = {
      size: 512,
      secret: tiger,
      options: { 'cipher-alg': 'aes-192', [name]: value, 'ivgen-alg': 'essiv' },
    };
    await expect(driver.create?.(file, options)).rejects.toSatisfy(rejects('invalid-option'));
    expect(file.size).toBe(8);
  });
});

describe('key slots', () => {
  const secrets: Record<string, string> = { old: 'tiger', new: 'lion', other: 'cat' };
  const secret = (id: string): Uint8Array => text(secrets[id] ?? '');
  const amend = (file: MemoryStorage, options: Record<string, string>, force = false): Promise<void> =>
    amendLuks(file, { options, secret, passphrase: tiger, force, iterations });

  it('are added, open the same disk, and are erased', async () => {
    const file = copy();
    await amend(file, { state: 'active', 'new-secret': 'new' });
    await amend(file, { state: 'active', 'new-secret': 'other', 'old-secret': 'new', keyslot: '6' });
    const volumes = await Promise.all(['old', 'new', 'other'].map((id) => openLuks(file, secret(id))));
    expect(volumes.map((v) => v.slot)).toEqual([0, 1, 6]);
    expect(new Set(volumes.map((v) => v.masterKey.join())).size).toBe(1);
    await amend(file, { state: 'inactive', 'old-secret': 'old' });
    await expect(openLuks(file, tiger())).rejects.toSatisfy(rejects('key'));
    await amend(file, { state: 'inactive', keyslot: '6' });
    expect((await openLuks(file, text('lion'))).slot).toBe(1);
    const material = new Uint8Array(4000 * 64);
    await file.read(4096, material);
    expect(material.every((b) => b === 0)).toBe(true);
  });

  it.each([
    [{ state: 'inactive', keyslot: '0' }, 'only active keyslot 0'],
    [{ state: 'inactive', 'old-secret': 'old' }, 'All the active keyslots match'],
    [{ state: 'inactive', 'old-secret': 'new' }, 'No keyslots match'],
    [{ state: 'inactive' }, 'must be given'],
    [{ state: 'inactive', 'old-secret': 'old', 'new-secret': 'new' }, 'must not be given'],
    [{ state: 'active' }, "'new-secret' is required"],
    [{ state: 'active', 'new-secret': 'new', keyslot: '0' }, 'Refusing to overwrite active keyslot 0'],
    [{ state: 'active', 'new-secret': 'new', keyslot: '8' }, 'Invalid keyslot 8'],
    [{ state: 'maybe' }, "'state' is required"],
    [{ colour: 'red' }, "'colour' is unexpected"],
  ])('are not harmed by %o', async (options, message) => {
    const file = copy();
    await expect(amend(file, options as Record<string, string>)).rejects.toThrow(message);
    const before = made.bytes();
    expect(file.bytes().findIndex((byte, i) => byte !== before[i])).toBe(-1);
  });

  it('are overwritten and the last one erased by force', async () => {
    const file = copy();
    await amend(file, { state: 'active', 'new-secret': 'new', keyslot: '0' }, true);
    expect((await openLuks(file, text('lion'))).slot).toBe(0);
    await amend(file, { state: 'inactive', keyslot: '0' }, true);
    await expect(openLuks(file, text('lion'))).rejects.toSatisfy(rejects('key'));
  });

  it('change through the image as well', async () => {
    const file = copy();
    const image: BlockImage = await driver.open(file, { secret: tiger });
    await image.amend?.({ state: 'active', 'new-secret': 'new', 'iter-time': '1' }, { secrets: secret });
    await image.close();
    expect((await openLuks(file, text('lion'))).slot).toBe(1);
  });

  it('run out after eight', async () => {
    const header = parseLuksHeader(made.bytes());
    const file = copy();
    const slots = header.slots.map((s) => ({ ...s, active: true, iterations: 1000 }));
    await file.write(0, serializeLuksHeader({ ...header, slots }));
    await expect(amend(file, { state: 'active', 'new-secret': 'new' })).rejects.toThrow('all keyslots are in use');
  });
});

describe('the anti-forensic splitter', () => {
  it.each(Object.keys(HASHES) as HashName[])('gives the key back and needs every byte: %s', (hash) => {
    const key = Uint8Array.from({ length: 50 }, (_, i) => i);
    const split = afSplit(hash, key, 30, (bytes) => bytes.forEach((_, i) => (bytes[i] = i * 31)));
    expect(split.length).toBe(1500);
    expect(afMerge(hash, split, 50, 30)).toEqual(key);
    (split[700] as number) ^= 1;
    expect(afMerge(hash, split, 50, 30)).not.toEqual(key);
  });
});

describe('a header', () => {
  const patched = (change: (view: DataView, bytes: Uint8Array) => void): Uint8Array => {
    const bytes = made.bytes().slice(0, 592);
    change(new DataView(bytes.buffer), bytes);
    return bytes;
  };

  it('is written as it was read', () => {
    const bytes = made.bytes().slice(0, 592);
    expect(serializeLuksHeader(parseLuksHeader(bytes))).toEqual(bytes);
  });

  it.each<[string, (view: DataView, bytes: Uint8Array) => void, string]>([
    ['magic', (v) => v.setUint8(0, 0), 'invalid-format'],
    ['version', (v) => v.setUint16(6, 2), 'unsupported-feature'],
    ['cipher-name', (_, b) => b.fill(0x61, 8, 40), 'invalid-format'],
    ['cipher-name', (v) => v.setUint8(8, 0x62), 'unsupported-feature'],
    ['cipher-mode', (v) => v.setUint8(40, 0x62), 'unsupported-feature'],
    ['hash-spec', (v) => v.setUint8(72, 7), 'invalid-format'],
    ['hash-spec', (v) => v.setUint8(73, 0x69), 'unsupported-feature'],
    ['payload-offset', (v) => v.setUint32(104, 1), 'invalid-format'],
    ['payload-offset', (v) => v.setUint32(104, MAX_PAYLOAD_SECTOR + 1), 'invalid-format'],
    ['key-bytes', (v) => v.setUint32(108, 0xffffffff), 'unsupported-feature'],
    ['key-bytes', (v) => v.setUint32(108, 16), 'unsupported-feature'],
    ['mk-digest-iter', (v) => v.setUint32(164, 0), 'invalid-format'],
    ['mk-digest-iter', (v) => v.setUint32(164, MAX_ITERATIONS + 1), 'unsupported-feature'],
    ['uuid', (_, b) => b.fill(0x61, 168, 208), 'invalid-format'],
    ['slot 0 active', (v) => v.setUint32(208, 1), 'invalid-format'],
    ['slot 0 iterations', (v) => v.setUint32(212, 0xffffffff), 'unsupported-feature'],
    ['slot 7 stripes', (v) => v.setUint32(208 + 7 * 48 + 44, 4001), 'invalid-format'],
    ['slot 1 key-material-offset', (v) => v.setUint32(208 + 48 + 40, 8), 'invalid-format'],
    ['slot 0 key-material-offset', (v) => v.setUint32(208 + 40, 1), 'invalid-format'],
    ['slot 7 key-material-offset', (v) => v.setUint32(208 + 7 * 48 + 40, 0xffffffff), 'invalid-format'],
  ])('is refused for its %s', (field, change, kind) => {
    expect(() => parseLuksHeader(patched(change))).toThrowError(expect.objectContaining({ field, kind }));
  });

  it('is taken at the limits', () => {
    parseLuksHeader(patched((v) => v.setUint32(164, MAX_ITERATIONS)));
    parseLuksHeader(patched((v) => v.setUint32(104, MAX_PAYLOAD_SECTOR)));
    parseLuksHeader(patched((v) => v.setUint32(212, 1)));
    expect(() => parseLuksHeader(new Uint8Array(591))).toThrow('not in LUKS format');
  });

  it('that promises more than the file has does not open', async () => {
    const file = copy();
    await file.truncate(file.size - 65537);
    await expect(luks.open(file, { secret: tiger })).rejects.toMatchObject({ field: 'payload-offset' });
  });
});
