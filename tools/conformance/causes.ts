/**
 * Failures grouped by what they have in common (file, mnemonic, kinds of difference), so that a long list of failing
 * vectors shows where to begin.
 */
import { vectorInstruction } from './native-vectors.ts';
import type { VectorFailure } from './native-vectors.ts';

const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

export class Causes {
  readonly #found = new Map<string, { count: number; readonly example: string }>();

  add(file: string, failure: VectorFailure): void {
    const { vector: v, problems } = failure;
    const kinds = problems.map(kindOf);
    const key = `${file} ${mnemonicOf(failure)}: ${[...new Set(kinds)].join(', ')}`;
    const known = this.#found.get(key);
    if (known !== undefined) known.count++;
    else {
      const code = [...v.code].map((x) => x.toString(16).padStart(2, '0')).join(' ');
      this.#found.set(key, { count: 1, example: `vector ${v.index} (${code}): ${problems[0]}` });
    }
  }

  mostFrequent(n: number): string[] {
    return [...this.#found]
      .sort(([, a], [, b]) => b.count - a.count)
      .slice(0, n)
      .map(([key, { count, example }]) => `${String(count).padStart(7)}  ${key}\n         e.g. ${example}`);
  }
}

/** A difference without its values: the exception kept, registers of a kind alike. */
function kindOf(problem: string): string {
  if (/^(vector|host error|did not)/.test(problem)) return problem;
  const name = problem.split(' ')[0];
  return name.replace(/^R(AX|CX|DX|BX|SP|BP|SI|DI|\d+)$/, 'register').replace(/^(XMM|YMM|ST)\d+$/, '$1');
}

/** What the disassembler calls it, else opcode bytes. */
function mnemonicOf({ vector }: VectorFailure): string {
  const text = vectorInstruction(vector);
  if (text !== '' && text !== '(bad)') return text.split(' ')[0];
  const { code } = vector;
  let k = 0;
  while (PREFIXES.includes(code[k])) k++;
  if (vector.mode === 64 && code[k] >>> 4 === 4) k++;
  const bytes = code[k] === 0x0f ? (code[k + 1] === 0x38 || code[k + 1] === 0x3a ? 3 : 2) : 1;
  return [...code.subarray(k, k + bytes)].map((x) => x.toString(16).padStart(2, '0')).join(' ');
}
