/**
 * The IR verifier. Invariants, in the order they are checked:
 *  1. every op id is in the table; operand count and types match it; operands are defined earlier;
 *  2. `get`/`set` name an existing global of the op's type;
 *  3. exactly one terminator, and it is last;
 *  4. the block's first effectful op belongs to an instruction (follows an `insn_start`);
 *  5. precise exits: within one guest instruction no op that may leave the block (guest memory access, guard) follows
 *     a `set` or `envst`, because leaving restarts the instruction. A store may follow a store (it is repeated).
 */
import type { IrBlock } from './block.ts';
import { HOT_ONLY, MEM_SUPERVISOR, OPS } from './ops.ts';
import { NONE, TYPE_NAMES } from './types.ts';
import type { GlobalDef } from './types.ts';

/** Problems found, one line each, naming op index and op; empty when the block is well formed. */
export function verify(
  block: IrBlock,
  globals: readonly GlobalDef[],
  options: { readonly cold?: boolean } = {},
): string[] {
  const problems: string[] = [];
  const at = (i: number, text: string): void => {
    problems.push(`op ${i} ${OPS[block.op[i]]?.name ?? '?'}: ${text}`);
  };
  let inInsn = false;
  let changedBy = -1;
  for (let i = 0; i < block.count; i++) {
    const def = OPS[block.op[i]];
    if (def === undefined) {
      at(i, `unknown op id ${block.op[i]}`);
      continue;
    }
    def.ins.forEach((type, n) => {
      const v = block.operand(i, n);
      if (v < 0 || v >= i) at(i, `operand ${n} (value ${v}) is not defined before its use`);
      else if (OPS[block.op[v]].out === NONE) at(i, `operand ${n} names op ${v}, which defines no value`);
      else if (OPS[block.op[v]].out !== type)
        at(i, `operand ${n} is ${TYPE_NAMES[OPS[block.op[v]].out]}, expected ${TYPE_NAMES[type]}`);
    });
    switch (def.effect) {
      case 'get':
      case 'set': {
        const g = globals[block.imm[i]];
        if (g === undefined) at(i, `no global ${block.imm[i]}`);
        else if (!def.name.endsWith(TYPE_NAMES[g.type])) at(i, `global ${g.name} is ${TYPE_NAMES[g.type]}`);
        if (def.effect === 'set') changedBy = i;
        break;
      }
      case 'envst':
        changedBy = i;
        break;
      case 'calld':
        if (changedBy >= 0) at(i, `may leave after op ${changedBy} changed state in the same instruction`);
        if (options.cold === true) at(i, 'call of a device in cold code');
        changedBy = i;
        break;
      case 'load':
      case 'store':
      case 'bulk':
      case 'guard':
        if (changedBy >= 0) at(i, `may leave after op ${changedBy} changed state in the same instruction`);
        if (HOT_ONLY[block.op[i]] === 1 && options.cold === true) at(i, 'hot op in cold code');
        if (
          (def.effect === 'load' || def.effect === 'store') &&
          (block.imm[i] & MEM_SUPERVISOR) !== 0 &&
          options.cold === true
        )
          at(i, 'access as supervisor in cold code');
        break;
      case 'term':
        if (i !== block.count - 1) at(i, 'terminator is not last');
        break;
      default:
    }
    if (def.name === 'insn_start') {
      inInsn = true;
      changedBy = -1;
    } else if (!inInsn && def.effect !== 'pure' && def.effect !== 'marker') at(i, 'effect before the first insn_start');
  }
  if (block.count === 0 || OPS[block.op[block.count - 1]]?.effect !== 'term')
    problems.push('block does not end in a terminator');
  return problems;
}
