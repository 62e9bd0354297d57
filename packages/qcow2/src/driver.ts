/** The format as a value. */
import type { BlockDriver } from '@emkit/storage';
import { DEFAULT_CODECS, type Codecs } from './codecs.ts';
import { Header, QCOW_MAGIC } from './constants.ts';
import { CREATE_OPTIONS } from './create-options.ts';
import { createQcow2Image } from './create.ts';
import { measureImage } from './measure.ts';
import { openQcow2 } from './open.ts';
import { viewOf } from './u64.ts';

/** A driver that compresses with the platform's codecs: `createQcow2({ ...nodeCodecs })`. What is not given is the default's. */
export function createQcow2(codecs: Partial<Codecs> = {}): BlockDriver {
  const all = { ...DEFAULT_CODECS, ...codecs };
  return {
    name: 'qcow2',
    probe(head) {
      if (head.length < Header.VERSION + 4 || viewOf(head).getUint32(Header.MAGIC) !== QCOW_MAGIC) return 0;
      return viewOf(head).getUint32(Header.VERSION) >= 2 ? 100 : 0;
    },
    open: (storage, options = {}) => openQcow2(storage, options, all),
    create: (storage, options) => createQcow2Image(storage, options, all),
    createOptions: CREATE_OPTIONS,
    measure: measureImage,
  };
}

export const qcow2: BlockDriver = createQcow2();
