/**
 * What `openImage` of `@emkit/block` needs, for a Node program: all formats, files, NBD servers and URLs. Nothing is opened by making it.
 * QEMU's manners where they are safe; a backing file whose format is not recorded is probed with a warning, as qemu-img does.
 */
import { statSync } from 'node:fs';
import type { BlockEnvironment } from '@emkit/block';
import { protectHeader } from '@emkit/raw';
import { fileProtocol, type Blocking } from '@emkit/storage-node';
import { httpProtocol } from './http-protocol.ts';
import { nbdProtocol } from './nbd-protocol.ts';
import { allFormats } from './registry.ts';

export interface NodeEnvironmentOptions {
  /** File calls block the thread: right for a tool or a worker of its own; `quick-reads` for what a copy reads. Default false. */
  readonly blocking?: Blocking | undefined;
  readonly secret?: ((id: string) => Promise<Uint8Array> | Uint8Array) | undefined;
  /** The file that `zstd-worker.ts` was bundled to: zstd then works in threads of its own. */
  readonly zstdWorker?: URL | undefined;
  /** One line for people, without the newline. */
  readonly warn?: ((line: string) => void) | undefined;
}

export function nodeEnvironment(options: NodeEnvironmentOptions = {}): BlockEnvironment {
  const { blocking = false, secret, warn, zstdWorker } = options;
  const registry = allFormats({ zstdWorker });
  const nbd = nbdProtocol();
  const http = httpProtocol();
  return {
    registry,
    protocols: { file: fileProtocol({ blocking }), nbd, 'nbd+unix': nbd, http, https: http },
    secret,
    warn,
    guessBackingFormat: true,
    guardRaw: (image) => protectHeader(image, (head) => registry.probe(head).driver.name),
  };
}

/** Bytes that a file takes on its disk; undefined: not a file here. */
export function diskUsage(path: string | undefined): number | undefined {
  if (path === undefined) return undefined;
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : stat.blocks * 512;
}

/** Whether two names are one file, through links too. */
export function isSameFile(a: string, b: string): boolean {
  const [left, right] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return left !== undefined && right !== undefined && left.dev === right.dev && left.ino === right.ino;
}
