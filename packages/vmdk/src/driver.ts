/** The driver: what `@emkit/block` and programs use. A program that only probes does not load the rest. */
import type { BlockDriver } from '@emkit/storage';
import { JS_CODEC, type GrainCodec } from './codec.ts';
import { COWD_MAGIC } from './cowd-header.ts';
import { CREATE_OPTIONS } from './create-options.ts';
import { looksLikeDescriptor } from './descriptor.ts';
import { SPARSE_MAGIC } from './sparse-header.ts';

/** The driver with another codec for compressed grains, such as Node's zlib, which works in its thread pool. */
export function createVmdkDriver(codec: GrainCodec): BlockDriver {
  return {
    name: 'vmdk',
    probe(head) {
      if (head.length < 4) return 0;
      const magic = new DataView(head.buffer, head.byteOffset, 4).getUint32(0, true);
      if (magic === SPARSE_MAGIC || magic === COWD_MAGIC) return 100;
      return looksLikeDescriptor(head) ? 100 : 0;
    },
    async open(storage, options = {}) {
      return (await import('./open.ts')).openVmdk(storage, options, codec);
    },
    async create(storage, options) {
      await (await import('./create.ts')).createVmdk(storage, options, codec);
    },
    createOptions: CREATE_OPTIONS,
  };
}

export const vmdk: BlockDriver = createVmdkDriver(JS_CODEC);
