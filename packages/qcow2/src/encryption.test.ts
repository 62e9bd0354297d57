import { describe, expect, it } from 'vitest';
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { Extension } from './constants.ts';
import { cryptoHeaderArea, encodeCryptoHeaderArea, MAX_CRYPTO_HEADER_BYTES } from './encryption-header.ts';
import { parseHeader } from './header.ts';
import { withExtension } from './header-extensions.ts';
import { qcow2 } from './index.ts';

const secret = (): Uint8Array => new TextEncoder().encode('tiger');
const luks = { 'encrypt.format': 'luks', 'encrypt.iter-time': '1', 'encrypt.cipher-alg': 'aes-128' };

async function fresh(options: Record<string, string>): Promise<{ file: MemoryStorage; image: BlockImage }> {
  const file = new MemoryStorage();
  await qcow2.create?.(file, { size: 1024 * 1024, options: { cluster_size: '4096', ...options }, secret });
  return { file, image: await qcow2.open(file, { secret }) };
}

describe.each([luks, { 'encrypt.format': 'aes' }, { encryption: 'on' }])('an image encrypted with %o', (options) => {
  it('shows nothing of its content, and keeps neighbours in a sector apart', async () => {
    const { file, image } = await fresh(options as Record<string, string>);
    const text = new TextEncoder().encode('a secret that is long enough to be found');
    await image.write?.(100, text);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => image.write?.(8192 + i * 77, new Uint8Array(77).fill(i + 1))),
    );
    await image.write?.(300_000, new Uint8Array(512 * 9));
    const all = new Uint8Array(7700);
    await image.read(8192, all);
    expect(all.every((byte, i) => byte === Math.floor(i / 77) + 1)).toBe(true);
    const read = new Uint8Array(text.length);
    await image.read(100, read);
    expect(read).toEqual(text);
    await image.close();
    expect(new TextDecoder('latin1').decode(file.bytes())).not.toContain('a secret');
    expect(await (await qcow2.open(file, { secret, readOnly: true })).check?.()).toMatchObject({
      corruptions: 0,
      leaks: 0,
    });
  });

  it('says so, and does not open without its secret', async () => {
    const { file, image } = await fresh(options as Record<string, string>);
    await image.close();
    await expect(qcow2.open(file)).rejects.toMatchObject({ kind: 'key' });
    const info = await (await qcow2.open(file, { metadataOnly: true })).info();
    expect(info.encrypted).toBe(true);
    expect(info.formatSpecific?.data['encrypt']).toMatchObject({
      format: options === luks ? 'luks' : 'aes',
    });
  });
});

it.each<[Record<string, string>, string]>([
  [{ 'encrypt.format': 'rot13' }, 'invalid-option'],
  [{ 'encrypt.format': 'luks', encryption: 'on' }, 'invalid-option'],
  [{ 'encrypt.format': 'aes', 'encrypt.hash-alg': 'sha1' }, 'invalid-option'],
  [{ 'encrypt.hash-alg': 'sha1' }, 'invalid-option'],
  [{ 'encrypt.format': 'luks', 'encrypt.cipher-alg': 'des' }, 'invalid-option'],
])('encryption options %o are refused', async (options, kind) => {
  const creating = qcow2.create?.(new MemoryStorage(), { size: 512, options, secret });
  await expect(creating).rejects.toMatchObject({ kind });
});

it('a wrong passphrase is refused, and so is none', async () => {
  const { file } = await fresh(luks);
  const lion = (): Uint8Array => new TextEncoder().encode('lion');
  await expect(qcow2.open(file, { secret: lion })).rejects.toMatchObject({ kind: 'key' });
  await expect(qcow2.create?.(new MemoryStorage(), { size: 512, options: luks })).rejects.toMatchObject({
    kind: 'key',
  });
});

describe('the pointer to the LUKS header', () => {
  const withArea = async (offset: number, length: number) => {
    const { file } = await fresh({});
    const header = parseHeader(file.bytes().subarray(0, 4096));
    const data = encodeCryptoHeaderArea({ offset, length });
    return { ...header, extensions: withExtension(header.extensions, Extension.CRYPTO_HEADER, data) };
  };

  it('is checked', async () => {
    expect(cryptoHeaderArea(await withArea(8192, MAX_CRYPTO_HEADER_BYTES))).toEqual({
      offset: 8192,
      length: MAX_CRYPTO_HEADER_BYTES,
    });
    for (const [offset, length] of [
      [8191, 4096],
      [8192, MAX_CRYPTO_HEADER_BYTES + 1],
      [2 ** 53 - 4096, 4096],
    ] as const) {
      const header = await withArea(offset, length);
      expect(() => cryptoHeaderArea(header)).toThrowError(expect.objectContaining({ kind: 'invalid-format' }));
    }
  });

  it('that is shorter than the header is refused', async () => {
    const { file } = await fresh(luks);
    const bytes = file.bytes();
    const at = bytes.findIndex(
      (_, i) => i >= 104 && new DataView(bytes.buffer).getUint32(i) === Extension.CRYPTO_HEADER,
    );
    new DataView(bytes.buffer).setUint32(at + 20, 4096);
    await expect(qcow2.open(new MemoryStorage(bytes), { secret })).rejects.toMatchObject({ kind: 'invalid-format' });
  });
});
