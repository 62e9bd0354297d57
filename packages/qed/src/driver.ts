/** The QED format as a block driver; options and messages as QEMU 7.2's. A program that only probes does not load the rest. */
import type { BlockDriver } from '@emkit/storage';
import { CREATE_OPTIONS } from './create-options.ts';
import { Field, QED_MAGIC } from './header.ts';

const CERTAIN = 100;
const MAGIC_SIZE = 4;

export const qed: BlockDriver = {
  name: 'qed',
  createOptions: CREATE_OPTIONS,
  probe,
  open: async (storage, options = {}) => (await import('./open.ts')).openQed(storage, options),
  create: async (storage, options) => (await import('./create.ts')).create(storage, options),
};

function probe(head: Uint8Array): number {
  if (head.length < MAGIC_SIZE) return 0;
  return new DataView(head.buffer, head.byteOffset).getUint32(Field.MAGIC, true) === QED_MAGIC ? CERTAIN : 0;
}
