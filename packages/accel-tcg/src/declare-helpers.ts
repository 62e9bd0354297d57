/** Imports of the WebAssembly helpers that blocks of IR call, into the module that they are compiled into. */
import type { RegionBlock } from '@emkit/codegen';
import { OPS } from '@emkit/ir';
import { VALTYPE } from '@emkit/wasm';
import type { ModuleBuilder } from '@emkit/wasm';

const CALLW = OPS.map((o) => o.effect === 'callw');

/** Adds to `helpers` the function indices of those that are not in it yet. */
export function declareHelpers(
  mb: ModuleBuilder,
  blocks: readonly Pick<RegionBlock, 'ir' | 'stopAt'>[],
  nameOf: (index: number) => string,
  helpers: Map<number, number>,
): void {
  for (const { ir, stopAt } of blocks) {
    const end = stopAt >= 0 ? stopAt : ir.count;
    for (let i = 0; i < end; i++) {
      const o = ir.op[i];
      if (!CALLW[o] || helpers.has(ir.imm[i])) continue;
      const type = mb.addType(
        OPS[o].ins.map(() => VALTYPE.i32),
        [VALTYPE.i32],
      );
      helpers.set(ir.imm[i], mb.importFunction('helpers', nameOf(ir.imm[i]), type));
    }
  }
}
