import { MemoryStorage } from '@emkit/storage';
import { expect, it } from 'vitest';
import { parseHeader, qcow2 } from './index.ts';

it('shrinking an image whose refcount block cannot be found is one error, and no promise is left to reject alone', async () => {
  const file = new MemoryStorage();
  await qcow2.create!(file, { size: 1 << 20, options: { cluster_size: '4096' } });
  const before = await qcow2.open(file);
  await before.write!(0, new Uint8Array(4096).fill(1)); // nothing beyond the new end: only the trimming looks at counts
  await before.close();
  const head = new Uint8Array(4096);
  await file.read(0, head);
  // the first block, with a reserved bit set
  await file.write(parseHeader(head).refcountTableOffset, Uint8Array.of(0x80));
  const image = await qcow2.open(file);
  await expect(image.resize!(512 * 1024, { shrink: true })).rejects.toMatchObject({ kind: 'corrupt-image' });
  await image.close().catch(() => undefined);
});
