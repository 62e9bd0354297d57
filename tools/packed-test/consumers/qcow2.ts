/** A program of somebody who installed @emkit/qcow2 from its tarball. It has neither the types of Node nor those of a page. */
import { qcow2 } from '@emkit/qcow2';
import { MemoryStorage, type BlockImage, type Storage } from '@emkit/storage';

const CLUSTER = 65536;
const PLAIN = 5_000_001;
const COMPRESSED = 200 * CLUSTER;

function pattern(length: number, seed: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i >> 5) * seed + (i & 7));
}

async function expectBytes(disk: Storage, offset: number, wanted: Uint8Array): Promise<void> {
  const bytes = new Uint8Array(wanted.length);
  await disk.read(offset, bytes);
  const wrong = bytes.findIndex((byte, i) => byte !== wanted[i]);
  if (wrong >= 0) throw new Error(`byte ${offset + wrong} is ${bytes[wrong]}, not ${wanted[wrong]}`);
}

async function expectClean(disk: BlockImage): Promise<void> {
  const { corruptions, leaks, checkErrors } = await disk.check!();
  if (corruptions + leaks + checkErrors !== 0)
    throw new Error(`${corruptions} corruptions, ${leaks} leaks, ${checkErrors} errors`);
}

async function roundTripOf(compression: 'zlib' | 'zstd'): Promise<void> {
  const file = new MemoryStorage();
  await qcow2.create!(file, { size: 1024 * CLUSTER, options: { compression_type: compression } });
  const disk = await qcow2.open(file);
  await disk.write!(PLAIN, pattern(100_000, 3));
  await disk.writeCompressed!(COMPRESSED, pattern(CLUSTER, 5));
  await disk.snapshots!.create({ name: 'first' });
  await disk.write!(PLAIN, pattern(100_000, 7));
  await disk.writeCompressed!(COMPRESSED, pattern(CLUSTER, 11));
  await disk.close();

  const again = await qcow2.open(file);
  await expectClean(again);
  const { formatSpecific } = await again.info();
  if (formatSpecific?.data['compression-type'] !== compression) throw new Error(`not ${compression}`);
  if ((await again.status(COMPRESSED, CLUSTER)).compressed !== true) throw new Error('not compressed');
  await expectBytes(again, PLAIN, pattern(100_000, 7));
  await expectBytes(again, COMPRESSED, pattern(CLUSTER, 11));
  await expectBytes(again, 0, new Uint8Array(CLUSTER));
  const first = await again.snapshots!.open('first');
  await expectBytes(first, PLAIN, pattern(100_000, 3));
  await again.snapshots!.apply('first');
  await expectBytes(again, PLAIN, pattern(100_000, 3));
  await expectBytes(again, COMPRESSED, pattern(CLUSTER, 5));
  await expectClean(again);
  await again.close();
}

export async function roundTrip(): Promise<void> {
  await roundTripOf('zlib');
  await roundTripOf('zstd');
}

export function open(image: Uint8Array): Promise<BlockImage> {
  return qcow2.open(new MemoryStorage(image), { readOnly: true });
}
