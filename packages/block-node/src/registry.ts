/** Every disk format of emkit with Node's codecs, in the order in which a probe asks them. */
import { createRegistry, type Registry } from '@emkit/block';
import { createLuksDriver } from '@emkit/luks';
import { createQcow2 } from '@emkit/qcow2';
import { qed } from '@emkit/qed';
import { raw } from '@emkit/raw';
import { createVmdkDriver } from '@emkit/vmdk';
import { nodeAes } from '@emkit/storage-node';
import { nodeGrainCodec, nodeQcow2Codecs } from './codecs.ts';

/** `zstdWorker`: the file that `zstd-worker.ts` was bundled to; without it zstd works on this thread. */
export function allFormats({ zstdWorker }: { readonly zstdWorker?: URL | undefined } = {}): Registry {
  return createRegistry([
    createQcow2(nodeQcow2Codecs(zstdWorker)),
    createVmdkDriver(nodeGrainCodec),
    qed,
    createLuksDriver({ aes: nodeAes }),
    raw,
  ]);
}
