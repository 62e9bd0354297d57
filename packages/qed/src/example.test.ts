/** The example over a file, in Node and, dropped on the page, in Chromium. */
import { MemoryStorage } from '@emkit/storage';
import { dropped } from '@emkit/storage-testbed';
import { expect, it } from 'vitest';
import { list } from '../examples/list.ts';
import { qed } from './index.ts';

it('a file that is dropped is listed and read', async () => {
  const image = new MemoryStorage();
  await qed.create!(image, { size: 1 << 30 });
  const disk = await qed.open(image);
  await disk.write!(655_360, Uint8Array.of(1, 2, 3));
  await disk.close();
  const file = dropped(new File([image.bytes() as never], 'disk.qed'));
  expect(await list(file)).toEqual(['qed: 1073741824 bytes', '655360: 65536 bytes, first 1,2,3,0']);
});
