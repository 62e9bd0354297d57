/** What the page walker asks of a page: where plain RAM has it (MMU.RANGES), and whether it holds code. */
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import { CODE_PAGES, MMU } from './mmu-layout.ts';

/** findRam(physical page) -> host page, 0: not plain RAM. */
export function buildFindRam(f: FunctionBuilder): void {
  const page = 0;
  const range = f.addLocal(VALTYPE.i32);
  f.i32Const(MMU.RANGES).set(range);
  const next = f.loop();
  const offset = f.addLocal(VALTYPE.i32);
  f.get(page).get(range).load(OP.i32_load, 2, 0).op(OP.i32_sub).tee(offset);
  f.get(range).load(OP.i32_load, 2, 4).op(OP.i32_lt_u);
  f.if_();
  f.get(range).load(OP.i32_load, 2, 8).get(offset).op(OP.i32_add).return_();
  f.end();
  f.get(range).i32Const(MMU.RANGE_SIZE).op(OP.i32_add).tee(range);
  f.load(OP.i32_load, 2, 4).brIf(next);
  f.end();
  f.i32Const(0);
}

/** Pushes 1 when the host page in a local holds code. */
export function isCodePage(f: FunctionBuilder, page: number): void {
  f.get(page).i32Const(3).op(OP.i32_shr_u).load(OP.i32_load8_u, 0, CODE_PAGES.BASE);
  f.get(page).i32Const(7).op(OP.i32_and).op(OP.i32_shr_u).i32Const(1).op(OP.i32_and);
}
