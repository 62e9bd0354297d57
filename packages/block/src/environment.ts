/** What `openImage` is given to work with: nothing is opened, asked for or printed but through this. */
import type { BlockImage, IoOptions, Storage } from '@emkit/storage';
import type { OptionTree } from './option-tree.ts';
import type { Registry } from './registry.ts';

export interface ProtocolRequest extends IoOptions {
  readonly readOnly: boolean;
  /** Others may use and change it at the same time (`-U`, `force-share`): take no lock. */
  readonly forceShare: boolean;
  /** `cache.direct`. */
  readonly direct: boolean;
}

/** Opens what an image is stored in: files, sockets, URLs. */
export interface ProtocolOpener {
  /** `options` without `driver`: `{ filename }` for files, `{ host, port, export }` and such for others. Unknown ones are `invalid-option`. */
  open(options: OptionTree, request: ProtocolRequest): Promise<Storage>;
  /** A new and empty file; one that exists is emptied. Absent: cannot be made, must be there. */
  create?(options: OptionTree, request: IoOptions): Promise<Storage>;
  /** Options in a name of this protocol, such as `nbd://host/export`; default `{ filename: name }`. */
  parseName?(name: string): OptionTree;
  /** Two options that mean the same file give the same text; for cycles, and relative names. Default: `options.filename`. */
  canonicalName?(options: OptionTree): string;
}

/** Nanoseconds since some point, and a sleep: the clock behind throttling and speed limits. */
export interface BlockClock {
  now(): number;
  /** Rejects with the signal's reason or an error when aborted. */
  sleep(ns: number, signal?: IoOptions['signal']): Promise<void>;
}

export interface BlockEnvironment {
  readonly registry: Registry;
  /** By driver name: `file`, `nbd`, `http`, ... A name without a scheme is `file`; a scheme that is not here is `invalid-option`. */
  readonly protocols: Readonly<Record<string, ProtocolOpener>>;
  /** The passphrase of `encrypt.key-secret=ID` and `key-secret=ID`. */
  readonly secret?: ((id: string) => Promise<Uint8Array> | Uint8Array) | undefined;
  /** One line for people, in QEMU's words, without the newline. */
  readonly warn?: ((line: string) => void) | undefined;
  /**
   * Protects the head of an image that was taken for raw by guess and is open for writing: `protectHeader` of `@emkit/raw`. `probe` tells what a head
   * would be taken for. Absent: such an image is `refused` for writing.
   */
  readonly guardRaw?: ((image: BlockImage, probe: (head: Uint8Array) => string) => BlockImage) | undefined;
  /**
   * Whether a backing file whose format the image does not say may be probed. Default false: such an image is `refused`, since its
   * guest could choose the format by what it writes. True: as QEMU, with a warning.
   */
  readonly guessBackingFormat?: boolean | undefined;
  /** For `snapshot=on`: an empty storage for a temporary qcow2. Absent: the changes are held in memory. */
  readonly temporary?: (() => Promise<Storage>) | undefined;
  readonly clock?: BlockClock | undefined;
}
