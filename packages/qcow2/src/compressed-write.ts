/**
 * Writing compressed clusters: several are compressed at a time, each is placed when it is ready, one packed behind the other.
 * qcow2 spec, "Compressed Clusters Descriptor".
 */
import { BlockError, checkAborted, settleAll, type IoOptions } from '@emkit/storage';
import { allocateBytes, freeBytes, freeEntry, makeRoom, ownPiece } from './allocation.ts';
import { COMPRESSION_ZSTD } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import type { Claim } from './in-flight.ts';
import { isIncompressible } from './incompressible.ts';
import { compressedHi } from './l2-entry.ts';
import { TWO_32 } from './u64.ts';
import { lockRange, writeGuest } from './write.ts';

/** Inside the gate. `data`: whole clusters, up to the end of the disk. */
export async function writeCompressed(
  core: Qcow2Core,
  offset: number,
  data: Uint8Array,
  options?: IoOptions,
): Promise<void> {
  const { clusterSize } = core.geometry;
  if (offset % clusterSize !== 0 || (data.length % clusterSize !== 0 && offset + data.length !== core.size))
    throw new BlockError('out-of-bounds', 'a compressed write is whole clusters');
  if (core.isIdentity)
    throw new BlockError('unsupported-feature', 'an image with an external data file has no compressed clusters');
  if (core.cipher !== undefined)
    throw new BlockError('unsupported-feature', 'Compression and encryption not supported at the same time');
  const started: Promise<void>[] = [];
  let plainFrom = 0;
  const plainUntil = (end: number): void => {
    if (end > plainFrom) started.push(writeGuest(core, offset + plainFrom, data.subarray(plainFrom, end), options));
  };
  for (let at = 0; at < data.length; at += clusterSize) {
    const cluster = data.subarray(at, at + clusterSize);
    if (isIncompressible(cluster)) continue;
    // what is not worth it is written in one piece, up to what is
    plainUntil(at);
    plainFrom = at + clusterSize;
    started.push(writePacked(core, offset + at, cluster, options));
  }
  plainUntil(data.length);
  await settleAll(started);
}

async function writePacked(
  core: Qcow2Core,
  offset: number,
  data: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> {
  const { clusterSize } = core.geometry;
  const packed = await compress(core, data, clusterSize);
  checkAborted(options?.signal);
  if (packed.length >= clusterSize) return writeGuest(core, offset, data, options);
  const file = core.checkWritable();
  await lockRange(core, offset, offset + 1);
  let host: number;
  let claim: Claim;
  try {
    core.checkWritable();
    await makeRoom(core);
    await ownPiece(core, offset);
    host = await allocateBytes(core, packed.length);
    claim = core.inFlight.claim(offset, offset + clusterSize);
  } finally {
    core.lock.unlock();
  }
  try {
    // the descriptor has 70 - cluster_bits bits for the offset: 49 with clusters of 2 MiB
    if (host + packed.length > 2 ** (70 - core.geometry.clusterBits))
      throw new BlockError('no-space', 'the file is too large for compressed clusters of this size');
    core.checkOverlap(host, packed.length);
    await file.write(host, packed, options);
    await enterCompressed(core, offset, host, packed.length);
  } catch (error) {
    await core.lock.run(() => freeBytes(core, host, packed.length));
    throw error;
  } finally {
    claim.release();
  }
}

async function compress(core: Qcow2Core, data: Uint8Array, clusterSize: number): Promise<Uint8Array> {
  let cluster = data;
  if (data.length < clusterSize) {
    cluster = new Uint8Array(clusterSize);
    cluster.set(data);
  }
  try {
    return await (core.header.compressionType === COMPRESSION_ZSTD
      ? core.codecs.zstdCompress(cluster)
      : core.codecs.deflate(cluster));
  } catch (cause) {
    throw new BlockError('io', 'a cluster cannot be compressed', { cause });
  }
}

async function enterCompressed(core: Qcow2Core, offset: number, host: number, length: number): Promise<void> {
  const { geometry } = core;
  await core.lock.run(async () => {
    const piece = await ownPiece(core, offset);
    const at = (core.entryIndex(offset) % geometry.pieceEntries) * geometry.entrySize;
    freeEntry(core, piece.view.getUint32(at), piece.view.getUint32(at + 4), core.options.passDiscardOther);
    piece.view.setUint32(at, compressedHi(host, length, geometry.clusterBits));
    piece.view.setUint32(at + 4, host % TWO_32);
    if (geometry.isExtended) {
      piece.view.setUint32(at + 8, 0);
      piece.view.setUint32(at + 12, 0);
    }
    core.l2.markDirty(piece, at, at + geometry.entrySize);
    core.isDataPending = true;
  });
}
