/**
 * Text form of a block, one op a line: `v12 = i32_add v3 v4`, `set_i32 @eax v12`, `insn_start 0x401000`.
 * `parse(print(b))` gives the same ops (dead ops are left out, so values are renumbered). For tests and `-d op`.
 */
import { IrBlock } from './block.ts';
import { OPS, opNamed } from './ops.ts';
import { NONE } from './types.ts';
import type { GlobalDef } from './types.ts';

const hex = (v: number): string => `0x${(v >>> 0).toString(16)}`;
const hasGlobal = (name: string): boolean => name.startsWith('get_') || name.startsWith('set_');
const hasVector = (name: string): boolean => name === 'v128_const' || name === 'i8x16_shuffle';

/** How many immediates the text form of an op shows (the table's docs say what they mean). */
function immediates(name: string): 0 | 1 | 2 {
  if (name === 'i64_const' || name === 'insn_start' || name === 'jmp' || name === 'br' || name === 'raise_if') return 2;
  if (/^(i32_const|env_addr|envld|envst|callw|callj|jmp_ind|exit)/.test(name)) return 1;
  if (/_lane(_s|_u)?$/.test(name) || /^(ld|st)\d/.test(name)) return 1;
  return 0;
}

export function print(block: IrBlock, globals: readonly GlobalDef[]): string {
  const lines: string[] = [];
  for (let i = 0; i < block.count; i++) {
    const def = OPS[block.op[i]];
    if (def.name === 'nop') continue;
    const parts: string[] = [def.name];
    if (hasGlobal(def.name)) parts.push(`@${globals[block.imm[i]]?.name ?? block.imm[i]}`);
    if (hasVector(def.name))
      parts.push(`#${[...block.vectors[block.imm[i]]].map((x) => x.toString(16).padStart(2, '0')).join('')}`);
    def.ins.forEach((_, n) => parts.push(`v${block.operand(i, n)}`));
    const n = immediates(def.name);
    if (n > 0) parts.push(hex(block.imm[i]));
    if (n > 1) parts.push(hex(block.imm2[i]));
    const line = parts.join(' ');
    lines.push(def.name === 'insn_start' ? line : `  ${def.out === NONE ? '' : `v${i} = `}${line}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Inverse of `print`; throws with the line number on text that is not IR. */
export function parse(text: string, globals: readonly GlobalDef[]): IrBlock {
  const block = new IrBlock();
  const values = new Map<string, number>();
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith(';')) return;
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${line}`);
    };
    const m = /^(?:(v\d+) = )?(\S+)(.*)$/.exec(line) ?? fail('not an op');
    const def = opNamed(m[2]);
    const operands: number[] = [];
    const imms: number[] = [];
    for (const word of m[3]
      .trim()
      .split(/\s+/)
      .filter((w) => w !== '')) {
      if (word.startsWith('@')) {
        const g = globals.findIndex((x) => x.name === word.slice(1));
        imms.push(g >= 0 ? g : fail(`unknown global ${word}`));
      } else if (word.startsWith('#')) {
        imms.push(block.vectors.push(Uint8Array.from(word.slice(1).match(/../g) ?? [], (h) => parseInt(h, 16))) - 1);
      } else if (/^v\d+$/.test(word)) operands.push(values.get(word) ?? fail(`undefined value ${word}`));
      else if (/^-?(0x[0-9a-f]+|\d+)$/.test(word)) imms.push(Number(word) | 0);
      else fail(`unexpected '${word}'`);
    }
    if (operands.length !== def.ins.length) fail(`${def.name} takes ${def.ins.length} operands`);
    const third = def.name === 'insn_start' ? block.insnCount : -1;
    const v = block.push(
      def.id,
      operands[0] ?? -1,
      operands[1] ?? -1,
      operands[2] ?? third,
      imms[0] ?? 0,
      imms[1] ?? 0,
    );
    for (let n = 3; n < operands.length; n++) block.setOperand(v, n, operands[n]);
    if (def.name === 'insn_start') block.insnCount++;
    if (m[1] !== undefined) values.set(m[1], v);
  });
  return block;
}
