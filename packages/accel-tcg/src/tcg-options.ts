/** What the owner of a processor gives its accelerator. */
import type { OptimisationChoice } from '@emkit/ir';
import type { AddressSpace } from '@emkit/memory';
import type { CompileChannel } from './compile-service.ts';
import type { WasmMemory } from './engine.ts';
import type { TcgProfile } from './profile.ts';
import type { Target, TargetHost } from './target.ts';
import type { TcgTrace } from './trace.ts';

/** See docs/adr/0019. */
export interface TranslationOptions {
  /** Names all that translations depend on besides the guest's code: the exact build of the program, the target's features, what is optimised. */
  readonly key: string;
  /**
   * What `keptTranslations` gave in an earlier run; what is damaged or of another key is ignored. It decides what the guest's code does: it must
   * come from nobody else.
   */
  readonly kept?: Uint8Array | undefined;
}

export interface TcgOptions {
  /** Bytes of guest RAM in the linear memory, from `ramBase`. */
  readonly ramBytes: number;
  /** Make the target, given the services it needs. */
  readonly createTarget: (host: TargetHost) => Target;
  /** Physical memory as the CPU sees it; called once, with the memory that RAM must live in. */
  readonly createSpace: (memory: WasmMemory, ramBase: number) => AddressSpace;
  readonly portIn: (port: number, size: 1 | 2 | 4) => number;
  readonly portOut: (port: number, size: 1 | 2 | 4, value: number) => void;
  readonly acknowledgeInterrupt: () => number;
  readonly tsc: () => number;
  readonly shutdown: (reason: string) => void;
  /** Bytes of the module whose exports are the target's WebAssembly helpers. */
  readonly helperModule: Uint8Array;
  /** 'cold': never compile regions. 'hot': compile as soon as possible. Default: by execution counts. */
  readonly tier?: 'auto' | 'cold' | 'hot';
  /** What is not named is on; see `OPTIMISATIONS` of `@emkit/ir`. A name that does not exist is a `RangeError`. */
  readonly optimisations?: OptimisationChoice;
  /** Translations are kept from run to run. */
  readonly translations?: TranslationOptions;
  /** To another thread that runs `serveCompiler` for the same target and optimisations; without: regions are compiled between slices. */
  readonly compileChannel?: CompileChannel | undefined;
  readonly trace?: TcgTrace;
  /** Counts what runs and why it leaves; of one Tcg only. */
  readonly profile?: TcgProfile;
}
