/** What a server takes as an export, and what it tells of it. */
import { MemoryStorage, type Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { connectNbd, dirtyBitmap, NbdServer, streamPair, type NbdExport } from './index.ts';
import { MAX_EXPORT_SIZE, MAX_STRING } from './limits.ts';
import * as nbd from './protocol.ts';

const storage = new MemoryStorage(4096);
const long = 'x'.repeat(MAX_STRING + 1);
const sized = (size: number): Storage => ({ size, read: () => Promise.resolve() });

async function flagsOf(one: NbdExport): Promise<number> {
  const server = new NbdServer({ exports: [one] });
  const [near, far] = streamPair();
  void server.serve(far);
  const client = await connectNbd(near);
  await client.close();
  return client.export.flags;
}

describe('exports', () => {
  it.each<[string, NbdExport]>([
    ['a name beyond the limit', { name: long, storage }],
    ['a name with a NUL', { name: 'a\0b', storage }],
    ['a description beyond the limit', { name: '', storage, description: long }],
    ['a context beyond the limit', { name: '', storage, contexts: [dirtyBitmap(long, () => [])] }],
    ['a context twice', { name: '', storage, contexts: [dirtyBitmap('b', () => []), dirtyBitmap('b', () => [])] }],
    ['a size that is none', { name: '', storage: sized(-1) }],
    ['a size beyond 2^53', { name: '', storage: sized(MAX_EXPORT_SIZE + 1) }],
  ])('with %s are refused', (_, one) => {
    expect(() => new NbdServer({ exports: [one] })).toThrow(
      expect.objectContaining({ name: 'BlockError', kind: 'invalid-option' }),
    );
  });

  it('have texts up to the limit and any exact size', async () => {
    const name = 'x'.repeat(MAX_STRING);
    const server = new NbdServer({ exports: [{ name, description: name, storage: sized(MAX_EXPORT_SIZE) }] });
    const [near, far] = streamPair();
    void server.serve(far);
    const client = await connectNbd(near, { exportName: name });
    expect(client.export).toMatchObject({ name, description: name, size: MAX_EXPORT_SIZE });
    await client.read(MAX_EXPORT_SIZE - 512, new Uint8Array(512));
    await client.close();
  });

  it('come and go', async () => {
    const server = new NbdServer();
    server.addExport({ name: 'a', storage });
    expect(() => server.addExport({ name: 'a', storage })).toThrow(expect.objectContaining({ kind: 'exists' }));
    server.removeExport('a');
    expect(() => server.removeExport('a')).toThrow(expect.objectContaining({ kind: 'not-found' }));
    const [near, far] = streamPair();
    void server.serve(far);
    await expect(connectNbd(near, { exportName: 'a' })).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('say what they can', async () => {
    const all =
      nbd.NBD_FLAG_HAS_FLAGS |
      nbd.NBD_FLAG_SEND_FLUSH |
      nbd.NBD_FLAG_SEND_FUA |
      nbd.NBD_FLAG_SEND_TRIM |
      nbd.NBD_FLAG_SEND_WRITE_ZEROES |
      nbd.NBD_FLAG_SEND_DF |
      nbd.NBD_FLAG_SEND_CACHE |
      nbd.NBD_FLAG_SEND_FAST_ZERO;
    expect(await flagsOf({ name: '', storage, maxConnections: 1 })).toBe(all);
    expect(await flagsOf({ name: '', storage })).toBe(all | nbd.NBD_FLAG_CAN_MULTI_CONN);
    const readOnly = await flagsOf({ name: '', storage: sized(512) });
    expect(readOnly & nbd.NBD_FLAG_READ_ONLY).toBeTruthy();
    expect(readOnly & (nbd.NBD_FLAG_SEND_TRIM | nbd.NBD_FLAG_SEND_WRITE_ZEROES)).toBe(0);
    const slow: Storage = { ...sized(512), write: () => Promise.resolve() };
    expect((await flagsOf({ name: '', storage: slow })) & nbd.NBD_FLAG_SEND_FAST_ZERO).toBe(0);
  });
});
