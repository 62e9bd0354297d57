/** Changes of the image as a whole, done alone: nobody else is inside. */
import { BlockError } from '@emkit/storage';
import { commit, hasChanges } from './commit.ts';
import { Extension } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { encodeString, withExtension } from './header-extensions.ts';
import { freeLater, refcounts } from './allocation.ts';
import { MAX_BACKING_NAME_BYTES, MAX_FORMAT_NAME_BYTES } from './limits.ts';
import { unallocateGuest } from './zero.ts';

/** Waits until all requests have left, and keeps new ones out. `body` takes the lock as it needs it. */
export function alone<T>(core: Qcow2Core, body: () => Promise<T>): Promise<T> {
  return core.gate.alone(() => {
    core.checkWritable();
    return body();
  });
}

/** Commits until nothing waits to be freed. */
export async function settle(core: Qcow2Core): Promise<void> {
  await core.lock.run(async () => {
    do await commit(core, { withRefcounts: true });
    while (hasChanges(core));
  });
}

/** Unallocates everything, L2 tables included, and lets the file end where its last cluster does. */
export async function makeEmpty(core: Qcow2Core): Promise<void> {
  // behind the disk there may be VM state
  await unallocateGuest(core, 0, (core.l1.length / 8) * core.geometry.l1Coverage);
  await core.lock.run(async () => {
    await commit(core);
    for (let index = 0; index < core.l1.length / 8; index++) {
      const offset = core.l2Offset(index);
      if (offset === 0) continue;
      freeLater(core, offset / core.geometry.clusterSize, 1, true);
      core.setL1(index, 0, false);
    }
  });
  await settle(core);
  await trimFile(core);
}

/** Cuts free clusters off the end of the file. */
export async function trimFile(core: Qcow2Core): Promise<void> {
  const file = core.checkWritable();
  const counts = refcounts(core);
  const { clusterSize } = core.geometry;
  let end = Math.min(core.untouchedFrom, Math.ceil(file.size / clusterSize));
  while (end > 1) {
    // awaited here: a block that cannot be read is this function's error
    const piece = await counts.piece(end - 1);
    if (piece === undefined) {
      end -= ((end - 1) % core.geometry.refcountsPerPiece) + 1;
      continue;
    }
    if ((await counts.get(end - 1)) !== 0) break;
    end--;
  }
  if (end < 1 || end * clusterSize >= file.size) return;
  await file.truncate(end * clusterSize);
  // past the end there are zeroes again
  core.untouchedFrom = end;
}

/** Changes the name in the header, not the storage behind the image. */
export async function setBackingReference(
  core: Qcow2Core,
  reference: { name: string; format?: string | undefined } | undefined,
): Promise<void> {
  if (reference !== undefined) {
    if (encodeString(reference.name).length > MAX_BACKING_NAME_BYTES)
      throw new BlockError('invalid-option', 'Backing file name too long');
    if (reference.format !== undefined && encodeString(reference.format).length > MAX_FORMAT_NAME_BYTES)
      throw new BlockError('invalid-option', 'Backing format name too long');
    if (core.isDataFileRaw)
      throw new BlockError('invalid-option', 'A backing file cannot be used with a raw external data file');
  }
  const format = reference?.format;
  const data = format === undefined || format === '' ? undefined : encodeString(format);
  await core.updateHeader((header) => ({
    backingFile: reference === undefined || reference.name === '' ? undefined : reference.name,
    backingFormat: data === undefined ? undefined : format,
    extensions: withExtension(header.extensions, Extension.BACKING_FORMAT, data),
  }));
  await core.checkWritable().flush();
}
