/** From version 3 to 2: without zero clusters, and without any feature bit. Alone: nobody else is inside. */
import { BlockError } from '@emkit/storage';
import type { AmendExtra } from './amend.ts';
import { Extension, INCOMPAT_DIRTY, V2_HEADER_LENGTH } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { expandSnapshotZeroes } from './expand-snapshots.ts';
import { withExtension } from './header-extensions.ts';
import { UNALLOCATED, ZERO_ALLOC, ZERO_PLAIN } from './l2-entry.ts';
import { settle } from './maintenance.ts';
import { checkRun } from './read.ts';
import { readSnapshotTable } from './snapshot-table.ts';
import { TWO_32 } from './u64.ts';
import { writeGuest } from './write.ts';
import { unallocateGuest } from './zero.ts';

const ZERO_CHUNK = 1024 * 1024;

export async function downgradeImage(core: Qcow2Core, extra: AmendExtra): Promise<void> {
  const refuse = (message: string): BlockError => new BlockError('unsupported-feature', message);
  if (core.isIdentity) throw refuse('Cannot downgrade an image with a data file');
  if ((core.header.incompatibleFeatures & ~INCOMPAT_DIRTY) !== 0n)
    throw refuse('Cannot downgrade an image with incompatible features set');
  if (core.geometry.refcountBits !== 16) throw refuse('compat=0.10 requires refcount_bits=16');
  const { snapshots } = await readSnapshotTable(core.file, core.header);
  // what others make of the extra data of version 3 in a version 2 image is not known: nothing in it may be needed
  if (snapshots.some(({ diskSize, vmStateSize }) => diskSize !== core.size || vmStateSize >= TWO_32))
    throw refuse('Internal snapshots prevent downgrade of image');
  if (snapshots.length > 0) await core.lock.run(() => expandSnapshotZeroes(core, snapshots));
  await expandZeroes(core, extra);
  await settle(core);
  await core.updateHeader((header) => ({
    version: 2,
    headerLength: V2_HEADER_LENGTH,
    incompatibleFeatures: 0n,
    compatibleFeatures: 0n,
    autoclearFeatures: 0n,
    extraFields: new Uint8Array(0),
    extensions: withExtension(header.extensions, Extension.FEATURE_NAMES, undefined),
  }));
  await core.checkWritable().flush();
}

/** Zero clusters become unallocated where no backing file shows through, else data. */
async function expandZeroes(core: Qcow2Core, extra: AmendExtra): Promise<void> {
  const end = core.geometry.alignUp(core.size);
  const zeroes = new Uint8Array(Math.max(ZERO_CHUNK, core.geometry.clusterSize));
  for (let at = 0; at < end;) {
    const found = core.l2Piece(at);
    const piece = found instanceof Promise ? await found : found;
    const run = core.map(piece, at, end - at);
    checkRun(core, run, at);
    const { type } = run;
    let { length } = run;
    if (type === ZERO_PLAIN || type === ZERO_ALLOC) {
      length = Math.min(length, zeroes.length);
      if (core.hasBacking) await writeGuest(core, at, zeroes.subarray(0, length));
      else await unallocateGuest(core, at, length);
    } else if (type === UNALLOCATED && piece === undefined) length = Math.max(length, core.geometry.clusterSize);
    at += length;
    extra.onProgress?.(Math.min(1, at / Math.max(1, end)));
  }
}
