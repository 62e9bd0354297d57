/** The error code of a fault that the page walker has found, for MMU.FAULT. */
import { OP } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import { MMU } from './mmu-layout.ts';
import type { PageWalk } from './page-walk.ts';

const WRITE = 1;
const EXEC = 2;

/** Locals: parameters of the walk, its control word, the bit for `present`, whether entries have 8 bytes. */
type Locals = readonly [access: number, user: number, control: number, present: number, bytes8: number];

export function noteFault(f: FunctionBuilder, { faults, control: flags }: PageWalk, locals: Locals): void {
  if (faults === undefined) return;
  const [access, user, control, present, bytes8] = locals;
  const flag = (mask: number): FunctionBuilder => f.get(control).i32Const(mask).op(OP.i32_and);
  const isAccess = (kind: number): FunctionBuilder => f.get(access).i32Const(kind).op(OP.i32_eq);
  f.i32Const(MMU.FAULT).get(present);
  isAccess(WRITE).i32Const(faults.write).op(OP.i32_mul).op(OP.i32_or);
  f.get(user).i32Const(faults.user).op(OP.i32_mul).op(OP.i32_or);
  f.i32Const(faults.fetch).i32Const(0);
  isAccess(EXEC);
  flag(flags.noUserExecute);
  flag(flags.noExecute).i32Const(0).get(bytes8).op(OP.select).op(OP.i32_or);
  f.i32Const(0).op(OP.i32_ne).op(OP.i32_and).op(OP.select).op(OP.i32_or);
  f.store(OP.i32_store, 2, 0);
}
