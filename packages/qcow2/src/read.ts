/** Reading the virtual disk. Pieces that stand one after the other are one request; several requests of one read run in parallel. */
import { BlockError, type IoOptions } from '@emkit/storage';
import { decompressCluster } from './codecs.ts';
import { COMPRESSION_ZSTD } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import {
  COMPRESSED,
  INVALID,
  NORMAL,
  UNALLOCATED,
  UNALLOCATED_ALLOC,
  ZERO_ALLOC,
  ZERO_PLAIN,
  type Run,
} from './l2-entry.ts';
import { MAX_HOST_OFFSET } from './limits.ts';

/** Clusters decompressed last, so that small reads one after the other decompress each once. */
const DECOMPRESSED_CLUSTERS = 4;

/** Throws on an L2 entry that cannot be right. Hot path. */
export function checkRun(core: Qcow2Core, run: Run, offset: number): void {
  const { clusterSize } = core.geometry;
  const { type } = run;
  if (type === UNALLOCATED) return;
  if (type === INVALID) throw core.corruption(`Invalid cluster entry found (guest offset 0x${offset.toString(16)})`);
  if (core.header.version < 3 && (type === ZERO_PLAIN || type === ZERO_ALLOC))
    throw core.corruption(`Zero cluster entry found in pre-v3 image (guest offset 0x${offset.toString(16)})`);
  if (type === COMPRESSED) {
    if (core.isIdentity) throw core.corruption('Compressed cluster entry found in image with external data file');
    if (run.host > MAX_HOST_OFFSET)
      throw core.corruption(`Compressed cluster offset 0x${run.host.toString(16)} is too large`);
    return;
  }
  if (type === ZERO_PLAIN) return;
  if (run.host % clusterSize !== offset % clusterSize || run.host > MAX_HOST_OFFSET)
    throw core.corruption(
      `Cluster allocation offset 0x${(run.host - (offset % clusterSize)).toString(16)} unaligned (guest offset 0x${offset.toString(16)})`,
    );
  if (core.isIdentity && run.host !== offset)
    throw core.corruption(
      `External data file host cluster offset 0x${run.host.toString(16)} does not match guest cluster offset: 0x${offset.toString(16)}`,
    );
}

/** Inside the gate. The range is within what the L1 table maps. */
export async function readGuest(
  core: Qcow2Core,
  offset: number,
  buffer: Uint8Array,
  options?: IoOptions,
): Promise<void> {
  let pending: Promise<void>[] | undefined;
  for (let done = 0; done < buffer.length;) {
    const at = offset + done;
    const found = core.l2Piece(at);
    const piece = found instanceof Promise ? await found : found;
    const run = core.map(piece, at, buffer.length - done);
    checkRun(core, run, at);
    const part = buffer.subarray(done, done + run.length);
    done += run.length;
    const reading = readRun(core, run, at, part, options);
    if (reading === undefined) continue;
    if (pending === undefined) {
      // the common case: one request is all
      if (done === buffer.length) return reading;
      pending = [];
    }
    // its failure is seen at the end; until then it must not count as unhandled
    reading.catch(() => {});
    pending.push(reading);
  }
  if (pending !== undefined) await Promise.all(pending);
}

/** Takes what it needs out of `run` before it returns. */
function readRun(
  core: Qcow2Core,
  run: Run,
  offset: number,
  buffer: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> | undefined {
  switch (run.type) {
    case NORMAL:
      return core.cipher === undefined
        ? core.dataFile.read(run.host, buffer, options)
        : readEncrypted(core, run.host, offset, buffer, options);
    case UNALLOCATED:
    case UNALLOCATED_ALLOC:
      return readBacking(core, offset, buffer, options);
    case COMPRESSED:
      return readCompressed(core, run.host, run.compressedLength, offset, buffer);
    default:
      buffer.fill(0);
      return undefined;
  }
}

/** The backing file's bytes, zeroes where it has none. */
export function readBacking(
  core: Qcow2Core,
  offset: number,
  buffer: Uint8Array,
  options?: IoOptions,
): Promise<void> | undefined {
  const { backing } = core;
  // nor past the end of the disk, where a cluster may go on
  const end = backing === undefined ? 0 : Math.min(backing.size, core.size);
  const length = Math.max(0, Math.min(buffer.length, end - offset));
  if (length < buffer.length) buffer.fill(0, length);
  if (backing === undefined || length === 0) return undefined;
  return backing.read(offset, length < buffer.length ? buffer.subarray(0, length) : buffer, options);
}

/** Sector by sector, as the cipher works. */
async function readEncrypted(
  core: Qcow2Core,
  host: number,
  offset: number,
  buffer: Uint8Array,
  options: IoOptions | undefined,
): Promise<void> {
  const head = host % 512;
  const length = Math.ceil((head + buffer.length) / 512) * 512;
  const bytes = length === buffer.length ? buffer : new Uint8Array(length);
  await core.dataFile.read(host - head, bytes, options);
  await core.cipher?.decrypt(bytes, offset - head, host - head);
  if (bytes !== buffer) buffer.set(bytes.subarray(head, head + buffer.length));
}

async function readCompressed(
  core: Qcow2Core,
  host: number,
  length: number,
  offset: number,
  buffer: Uint8Array,
): Promise<void> {
  const cluster = await readCompressedCluster(core, host, length);
  const within = offset % core.geometry.clusterSize;
  buffer.set(cluster.subarray(within, within + buffer.length));
}

/** The content of a compressed cluster; not to be changed by the caller. Shared by all who ask, so no signal of one of them ends it. */
function readCompressedCluster(core: Qcow2Core, host: number, length: number): Promise<Uint8Array> {
  const { decompressed } = core;
  const known = decompressed.get(host);
  if (known !== undefined) return known;
  const reading = loadCompressedCluster(core, host, length);
  decompressed.set(host, reading);
  reading.catch(() => {
    if (decompressed.get(host) === reading) decompressed.delete(host);
  });
  for (const key of decompressed.keys()) {
    if (decompressed.size <= DECOMPRESSED_CLUSTERS) break;
    decompressed.delete(key);
  }
  return reading;
}

async function loadCompressedCluster(core: Qcow2Core, host: number, length: number): Promise<Uint8Array> {
  if (host >= core.file.size)
    throw new BlockError('corrupt-image', 'a compressed cluster lies past the end of the file', { offset: host });
  const data = new Uint8Array(length);
  await core.file.read(host, data);
  const isZstd = core.header.compressionType === COMPRESSION_ZSTD;
  return decompressCluster(core.codecs, isZstd, data, core.geometry.clusterSize, host);
}
