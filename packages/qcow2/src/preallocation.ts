/** Whether clusters were allocated in advance while the file has holes for them: then `status` asks the file about each. As QEMU. */
import type { Storage } from '@emkit/storage';
import type { Qcow2Core } from './core.ts';
import { loadRefcounts } from './load.ts';
import { readRefcount } from './refcount-entry.ts';

/** Extents and counts that are looked at; a file in more pieces is not sparse. */
const MAX_EXTENTS = 65536;

/** Found out once, a promise until then: more clusters counted than the file has space for, by a tenth. */
export function isSparselyPreallocated(core: Qcow2Core): boolean | Promise<boolean> {
  return (core.sparselyPreallocated ??= detect(core)
    .catch(() => false)
    .then((answer) => (core.sparselyPreallocated = answer)));
}

async function detect(core: Qcow2Core): Promise<boolean> {
  const { clusterSize, refcountsPerPiece, refcountOrder } = core.geometry;
  if (core.isIdentity) return false;
  const space = await usedBytes(core.file);
  if (space === undefined) return false;
  const real = Math.ceil(space / clusterSize);
  const threshold = Math.max(Math.floor((real * 10) / 9), real + 2);
  const clusters = Math.ceil(core.file.size / clusterSize);
  if (clusters < threshold) return false;
  const refcounts = core.refcounts ?? (await loadRefcounts(core));
  let used = 0;
  for (let cluster = 0; cluster < clusters; cluster += refcountsPerPiece) {
    const piece = await refcounts.piece(cluster);
    if (piece === undefined) continue;
    for (let i = 0; i < refcountsPerPiece && cluster + i < clusters; i++)
      if (readRefcount(piece.view, i, refcountOrder) > 0 && ++used >= threshold) return true;
  }
  return false;
}

/** Bytes of a file that are no hole. */
async function usedBytes(file: Storage): Promise<number | undefined> {
  if (file.extent === undefined) return undefined;
  let bytes = 0;
  let extents = 0;
  for (let at = 0; at < file.size;) {
    if (++extents > MAX_EXTENTS) return undefined;
    const extent = await file.extent(at, file.size - at);
    if (extent.data) bytes += extent.length;
    at += Math.max(1, extent.length);
  }
  return bytes;
}
