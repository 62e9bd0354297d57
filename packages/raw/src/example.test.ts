/** The example over a file, in Node and, dropped on the page, in Chromium. */
import { MemoryStorage } from '@emkit/storage';
import { dropped } from '@emkit/storage-testbed';
import { expect, it } from 'vitest';
import { list } from '../examples/list.ts';
import { raw } from './index.ts';

it('a file that is dropped is listed and read', async () => {
  const image = new MemoryStorage();
  await raw.create!(image, { size: 1 << 20 });
  const disk = await raw.open(image);
  await disk.write!(0, Uint8Array.of(1, 2, 3));
  await disk.close();
  const file = dropped(new File([image.bytes() as never], 'disk.raw'));
  expect(await list(file)).toEqual(['raw: 1048576 bytes', '0: 1048576 bytes, first 1,2,3,0']);
});
