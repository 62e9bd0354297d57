/**
 * Removes what nobody sees from a finished block, in one pass backwards: values without a use, and sets of a global that
 * is set again before the block could be left. Ops become `nop` in place, so that value ids stay.
 */
import type { IrBlock } from './block.ts';
import { OPS, opId } from './ops.ts';

const NOP = opId('nop');
const INS = Uint8Array.from(OPS, (o) => o.ins.length);
/** What dead-code removal does with an op. */
const KEEP = 0;
const DROP_IF_UNUSED = 1;
const GETS = 2;
const SETS = 3;
const LEAVES = 4;
const SWEEP = Uint8Array.from(OPS, (o) => {
  switch (o.effect) {
    case 'pure':
    case 'envld':
      return DROP_IF_UNUSED;
    case 'get':
      return GETS;
    case 'set':
      return SETS;
    case 'load':
    case 'store':
    case 'bulk':
    case 'guard':
    case 'callj':
    case 'term':
      return LEAVES;
    default:
      return KEEP;
  }
});

/** May the block be left at this op (1), so that sets before it can be seen? */
export const MAY_LEAVE = SWEEP.map((what) => (what === LEAVES ? 1 : 0));

/** `live` (by op) and `over` (by global) are scratch of sufficient length. */
export function removeDead(block: IrBlock, live: Uint8Array, over: Uint8Array): void {
  const { op, a, imm } = block;
  over.fill(0);
  live.fill(0, 0, block.count);
  for (let i = block.count - 1; i >= 0; i--) {
    const o = op[i]!;
    switch (SWEEP[o]) {
      case DROP_IF_UNUSED:
        if (live[i] === 0) {
          op[i] = NOP;
          continue;
        }
        break;
      case GETS:
        if (live[i] === 0) {
          op[i] = NOP;
          continue;
        }
        over[imm[i]!] = 0;
        break;
      case SETS:
        if (over[imm[i]!] !== 0) {
          op[i] = NOP;
          a[i] = -1;
          continue;
        }
        over[imm[i]!] = 1;
        break;
      case LEAVES:
        over.fill(0);
        break;
      default:
    }
    const n = INS[o]!;
    if (n > 0) live[a[i]!] = 1;
    if (n > 1) live[block.b[i]!] = 1;
    if (n > 2) for (let k = 2; k < n; k++) live[block.operand(i, k)] = 1;
  }
}
