/** The example over a file, in Node and, dropped on the page, in Chromium. */
import { MemoryStorage } from '@emkit/storage';
import { dropped } from '@emkit/storage-testbed';
import { expect, it } from 'vitest';
import { list } from '../examples/list.ts';
import { qcow2 } from './index.ts';

it('a file that is dropped is listed and read', async () => {
  const image = new MemoryStorage();
  await qcow2.create!(image, { size: 64 * 2 ** 30 });
  const disk = await qcow2.open(image);
  await disk.write!(655_360, Uint8Array.of(1, 2, 3));
  await disk.close();
  const file = dropped(new File([image.bytes() as never], 'disk.qcow2'));
  expect(await list(file)).toEqual(['qcow2: 68719476736 bytes', '655360: 65536 bytes, first 1,2,3,0']);
});
