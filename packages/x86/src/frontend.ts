/**
 * What translating x86 code needs, and nothing of a running processor: layout of the state, registers, blocks to IR. Good in a thread
 * that only compiles, too.
 */
import type { GlobalDef, IrBuilder, TranslateRequest, TranslateResult } from '@emkit/ir';
import type { CpuFeatures } from './models/features.ts';
import { ENV, GLOBALS_32, GLOBALS_64, HF_CPL, HF_CS64 } from './state.ts';
import { BlockTranslator } from './translate/block.ts';
import { WASM_HELPERS } from './wasm-helpers.ts';

export class X86Frontend {
  readonly name = 'x86';
  readonly offsets = { pc: ENV.EIP, flags: ENV.HFLAGS, csBase: ENV.CS_BASE } as const;
  readonly userMask = HF_CPL;
  readonly userValue = 3;
  readonly envSize = ENV.SIZE;
  readonly wasmHelpers = WASM_HELPERS;
  readonly #translator: BlockTranslator;

  constructor(features: CpuFeatures) {
    this.#translator = new BlockTranslator(features);
  }

  translate(b: IrBuilder, request: TranslateRequest, result: TranslateResult): void {
    this.#translator.translate(b, request, result);
  }
  globalsFor(flags: number): readonly GlobalDef[] {
    return (flags & HF_CS64) !== 0 ? GLOBALS_64 : GLOBALS_32;
  }
}
