import { deflateRawSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { nodeCodecs } from './node-codecs.ts';

const codecs = nodeCodecs();
const data = Uint8Array.from({ length: 65536 }, (_, i) => (i * i) >> 7);

it('deflate and inflate agree, with and without the thread pool, and with bytes behind the stream', async () => {
  const packed = await codecs.deflate(data);
  expect(packed.length).toBeLessThan(data.length);
  const padded = new Uint8Array(packed.length + 300).fill(0xa5);
  padded.set(packed);
  for (const bytes of [packed, padded, codecs.deflateSync(data)]) {
    expect(Buffer.compare(await codecs.inflate(bytes, data.length), data)).toBe(0);
    expect(Buffer.compare(codecs.inflateSync(bytes, data.length), data)).toBe(0);
  }
});

it('only what was asked for is made of a stream that goes on', async () => {
  const bomb = deflateRawSync(new Uint8Array(64 << 20));
  expect((await codecs.inflate(bomb, 65536)).length).toBe(65536);
  expect(() => codecs.inflateSync(bomb, 65536)).toThrow('cannot be decompressed');
});

it('a broken or short stream is `corrupt-image`', async () => {
  const packed = await codecs.deflate(data);
  for (const bytes of [packed.subarray(0, 100), new Uint8Array(50).fill(0xff), new Uint8Array(0)]) {
    await expect(codecs.inflate(bytes, 65536)).rejects.toMatchObject({ kind: 'corrupt-image' });
    expect(() => codecs.inflateSync(bytes, 65536)).toThrow('cannot be decompressed');
  }
});

it('zstd is what Node has, or what was given, or an error with a name', async () => {
  const given = nodeCodecs({ zstdCompress: () => Uint8Array.of(1), zstdDecompress: () => Uint8Array.of(2) });
  const packed = await given.zstdCompress(data);
  if (packed.length === 1) expect(() => codecs.zstdCompress(data)).toThrow('this Node has no zstd');
  else expect(Buffer.compare(await codecs.zstdDecompress(packed, data.length), data)).toBe(0);
});
