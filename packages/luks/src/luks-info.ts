/** What `info` says of a LUKS1 header: QEMU's keys, in QEMU's order. `slots` of unused slots have their place only. */
import type { JsonValue } from '@emkit/storage';
import { SECTOR_SIZE } from './limits.ts';
import type { KeySlot, LuksHeader } from './luks-header.ts';

/** `format`: set where the container has other kinds of encryption, as qcow2 has. */
export function luksInfo(header: LuksHeader, format?: string): { readonly [key: string]: JsonValue } {
  const bits = (header.keyBytes * 8) / (header.mode === 'xts' ? 2 : 1);
  return {
    'ivgen-alg': header.ivgen,
    'hash-alg': header.hash,
    'cipher-alg': `${header.cipher}-${bits}`,
    uuid: header.uuid,
    ...(header.ivgenHash === undefined ? {} : { 'ivgen-hash-alg': header.ivgenHash }),
    ...(format === undefined ? {} : { format }),
    'cipher-mode': header.mode,
    slots: header.slots.map(slotInfo),
    'payload-offset': header.payloadSector * SECTOR_SIZE,
    'master-key-iters': header.digestIterations,
  };
}

const slotInfo = (slot: KeySlot): JsonValue => {
  const place = { 'key-offset': slot.materialSector * SECTOR_SIZE };
  return slot.active
    ? { active: true, iters: slot.iterations, ...place, stripes: slot.stripes }
    : { active: false, ...place };
};
