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

/**
 * `scratch` has a word for each global and then one for each op. A global's is the first op that may leave behind the set that comes next, 0 for
 * none: while that op is the next one that may leave, nobody sees an earlier set. An op's is 1 when something uses its value.
 */
export function removeDead(block: IrBlock, globals: number, scratch: Int32Array): void {
  const { count, op, a, b, imm } = block;
  scratch.fill(0, 0, globals + count);
  let leave = count;
  for (let i = count - 1; i >= 0; i--) {
    const o = op[i]!;
    switch (SWEEP[o]) {
      case DROP_IF_UNUSED:
        if (scratch[globals + i] === 0) {
          op[i] = NOP;
          continue;
        }
        break;
      case GETS:
        if (scratch[globals + i] === 0) {
          op[i] = NOP;
          continue;
        }
        scratch[imm[i]!] = 0;
        break;
      case SETS:
        if (scratch[imm[i]!]! === leave) {
          op[i] = NOP;
          a[i] = -1;
          continue;
        }
        scratch[imm[i]!] = leave;
        break;
      case LEAVES:
        leave = i;
        break;
      default:
    }
    const n = INS[o]!;
    if (n === 0) continue;
    scratch[globals + a[i]!] = 1;
    if (n > 1) scratch[globals + b[i]!] = 1;
    if (n > 2) for (let k = 2; k < n; k++) scratch[globals + block.operand(i, k)] = 1;
  }
}
