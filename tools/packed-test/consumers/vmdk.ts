/** A program of somebody who installed @emkit/vmdk from its tarball. It has neither the types of Node nor those of a page. */
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { vmdk } from '@emkit/vmdk';

export async function roundTrip(): Promise<void> {
  const file = new MemoryStorage();
  await vmdk.create!(file, { size: 1 << 30 });
  const disk = await vmdk.open(file);
  const wanted = new Uint8Array(100_000).map((_, i) => (i >> 5) * 3 + i);
  await disk.write!(500_001, wanted);
  await disk.close();

  const again = await open(file.bytes());
  const bytes = new Uint8Array(wanted.length);
  await again.read(500_001, bytes);
  if (bytes.some((byte, i) => byte !== wanted[i])) throw new Error('what was written is not read');
}

export function open(image: Uint8Array): Promise<BlockImage> {
  return vmdk.open(new MemoryStorage(image), { readOnly: true });
}
