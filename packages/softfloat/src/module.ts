/** Assembles the whole module. Order matters only in that a function is defined before those that call it. */
import { Lib } from './emit.ts';
import { defineAes } from './aes.ts';
import { defineClmul } from './clmul.ts';
import { defineSha } from './sha.ts';
import { defineStringCompare } from './string-compare.ts';
import { defineWide } from './wide.ts';
import { defineRound } from './round.ts';
import { defineNan } from './x87-nan.ts';
import { defineSseApprox } from './sse-approx.ts';
import { defineSseArith } from './sse-arith.ts';
import { defineSseCompare } from './sse-compare.ts';
import { defineSseConvert } from './sse-convert.ts';
import { defineSseFma } from './sse-fma.ts';
import { defineX87Arith } from './x87-arith.ts';
import { defineWideFloat } from './wide-float.ts';
import { defineX87Atan } from './x87-atan.ts';
import { defineX87ExpLog } from './x87-exp-log.ts';
import { defineX87Trig } from './x87-trig.ts';
import { defineX87Compare } from './x87-compare.ts';
import { defineX87Convert } from './x87-convert.ts';
import { defineX87Integer } from './x87-integer.ts';
import { defineX87Misc } from './x87-misc.ts';
import { defineX86Flags } from './x86-flags.ts';

export interface SoftFloatOptions {
  /** Minimum size of the imported memory in 64 KiB pages. @default 1 */
  readonly minPages?: number;
  /** Maximum size; required when `shared`. */
  readonly maxPages?: number;
  /** The memory is shared. @default false */
  readonly shared?: boolean;
}

/** The bytes of a module that imports `env.memory` and exports every function of `SOFTFLOAT_FUNCTIONS`. */
export function buildSoftFloatModule(options: SoftFloatOptions = {}): Uint8Array {
  const lib = new Lib(options.minPages ?? 1, options.maxPages, options.shared);
  const core = { wide: defineWide(lib), round: defineRound(lib), nan: defineNan(lib) };
  defineX87Arith(lib, core);
  defineX87Compare(lib);
  defineX87Convert(lib, core.round);
  defineX87Integer(lib, core.nan);
  defineX87Misc(lib, core);
  const wideFloat = defineWideFloat(lib, core.wide);
  defineX87Trig(lib, core, wideFloat);
  defineX87Atan(lib, core, wideFloat);
  defineX87ExpLog(lib, core, wideFloat);
  defineSseArith(lib, core.round, core.wide);
  defineSseCompare(lib);
  defineSseConvert(lib, core.round);
  defineSseApprox(lib);
  defineSseFma(lib, core.round);
  defineAes(lib);
  defineClmul(lib);
  defineSha(lib);
  defineStringCompare(lib);
  defineX86Flags(lib);
  return lib.module.finish();
}
