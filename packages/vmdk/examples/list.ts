/** What a disk image holds, of a File (chosen, or dropped on a page) or of a URL: where there is data, and how it begins. */
import { vmdk } from '@emkit/vmdk';
import { BlobStorage, HttpRangeStorage } from '@emkit/storage-web';

export async function list(source: Blob | string): Promise<string[]> {
  const file = typeof source === 'string' ? await HttpRangeStorage.open(source) : new BlobStorage(source);
  const disk = await vmdk.open(file, { readOnly: true });
  const lines = [`${disk.driver}: ${disk.size} bytes`];
  for (let at = 0; at < disk.size;) {
    const { length, data } = await disk.status(at, disk.size - at);
    const head = new Uint8Array(Math.min(4, length));
    if (data) await disk.read(at, head);
    if (data) lines.push(`${at}: ${length} bytes, first ${String(head)}`);
    at += length;
  }
  await disk.close();
  return lines;
}
