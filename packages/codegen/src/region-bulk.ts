/** Guest memory in bulk in a region: the IR's `copy` and `fill`. */
import { opId } from '@emkit/ir';
import type { IrType } from '@emkit/ir';
import { MISC, OP } from '@emkit/wasm';
import type { FunctionBuilder, Label } from '@emkit/wasm';
import { hostAddress, tlbMissesRange, tlbOffset } from './memory-ops.ts';
import { pushExit } from './region-exit.ts';
import type { RegionExit } from './region-exit.ts';

export interface BulkContext {
  readonly f: FunctionBuilder;
  /** The common exit, and this instruction's way out. The operand stack is empty, so that every check may leave. */
  readonly exit: Label;
  readonly sideExit: RegionExit;
  /** Table of the TLB; type of addresses. */
  readonly tlb: number;
  readonly type: IrType;
  /** Locals: a guest address of the type, offset of a TLB entry, and what their names say. */
  readonly address: number;
  readonly entry: number;
  readonly bytes: number;
  readonly to: number;
  readonly from: number;
}

const COPIES = new Set([opId('copy'), opId('copy_a64')]);

/** `push`: an operand of the op. */
export function emitBulk(x: BulkContext, op: number, push: (n: number) => void): void {
  const { f, bytes, to, from } = x;
  push(2);
  f.set(bytes);
  push(0);
  range(x, true);
  f.set(to);
  if (!COPIES.has(op)) {
    f.get(to);
    push(1);
    f.get(bytes).misc(MISC.memory_fill);
    return;
  }
  push(1);
  range(x, false);
  f.set(from);
  // a destination within the source would be read again after it was written
  pushExit(f, x.sideExit);
  f.get(to).get(from).op(OP.i32_sub).get(bytes).op(OP.i32_lt_u);
  f.unlikely().brIf(x.exit).drop();
  f.get(to).get(from).get(bytes).misc(MISC.memory_copy);
}

/** Guest address on the stack -> host address; leaves unless all bytes from it on lie in one page that the TLB knows. */
function range({ f, exit, sideExit, tlb, type, address, entry, bytes }: BulkContext, write: boolean): void {
  f.set(address);
  tlbOffset(f, address, type);
  f.set(entry);
  pushExit(f, sideExit);
  tlbMissesRange(f, address, type, entry, tlb, bytes, write);
  f.unlikely().brIf(exit).drop();
  hostAddress(f, address, type, entry, tlb);
}
