/** The command line as a value: every option checked, nothing opened. */
import type { OpenImageOptions } from '@emkit/block';

export type Address =
  | { readonly type: 'unix'; readonly path: string }
  /** No host: 127.0.0.1 and ::1. */
  | { readonly type: 'tcp'; readonly host: string | undefined; readonly port: number };

export interface ImageOptions {
  /** As typed: a file name, or options with --image-opts. */
  readonly image: string;
  readonly exportName: string;
  readonly description: string | undefined;
}

export interface ServeOptions {
  readonly action: 'serve';
  readonly images: readonly ImageOptions[];
  readonly address: Address;
  readonly format: string | undefined;
  readonly imageOpts: boolean;
  readonly objects: readonly string[];
  readonly readOnly: boolean;
  readonly snapshot: boolean;
  readonly loadSnapshot: string | undefined;
  readonly offset: number;
  readonly allocationDepth: boolean;
  readonly bitmaps: readonly string[];
  /** Clients at a time, per export; Infinity: no limit. */
  readonly shared: number;
  readonly persistent: boolean;
  readonly verbose: boolean;
  readonly pidFile: string | undefined;
  readonly cache: OpenImageOptions['cache'];
  readonly discard: 'ignore' | 'unmap';
  readonly detectZeroes: 'off' | 'on' | 'unmap';
  /** File calls in the thread pool instead of on this thread. */
  readonly threads: boolean;
}

export interface ListOptions {
  readonly action: 'list';
  readonly address: Address;
}

export type Options = ServeOptions | ListOptions | { readonly action: 'help' | 'version' };
