/** What the hot tier is given. */
import type { Optimisations } from '@emkit/ir';
import type { CodeMap } from './code-map.ts';
import type { CodePlaces } from './code-places.ts';
import type { CompileChannel } from './compile-service.ts';
import type { WasmMemory, WasmTable } from './engine.ts';
import type { TcgProfile } from './profile.ts';
import type { SoftMmu } from './softmmu.ts';
import type { Target } from './target.ts';

export interface HotTierOptions {
  readonly memory: WasmMemory;
  readonly table: WasmTable;
  readonly target: Target;
  readonly mmu: SoftMmu;
  readonly codeMap: CodeMap;
  readonly places: CodePlaces;
  readonly helpers: Record<string, unknown>;
  readonly hotAfter: number;
  readonly optimisations: Optimisations;
  /** `calld`: a helper that calls a device. */
  readonly callDevice: (id: number, a: number, b: number, c: number, d: number) => number;
  /** To the thread that compiles; without: this one does, at once. */
  readonly compileChannel?: CompileChannel | undefined;
  readonly outAsm?: ((pc: number, module: Uint8Array) => void) | undefined;
  readonly profile?: TcgProfile | undefined;
}
