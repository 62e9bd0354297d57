/** The coverage table: counts come from vectors that ran, and the document keeps the rest of its text. */
import { describe, expect, it } from 'vitest';
import { OPCODES } from '@emkit/x86';
import { coverageTable, formsIn, withTable } from './coverage.ts';

/** One 32-bit vector that ends behind `length` bytes of its code. */
function file(code: readonly number[], exception: number, length: number): Uint8Array {
  const le32 = (v: number): number[] => [v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24];
  const body = [
    0,
    0,
    exception,
    code.length,
    ...code,
    ...le32(0),
    ...(exception === 255 ? [] : le32(0)),
    ...le32(0),
    0,
  ];
  body.push(...le32(0x20000), ...le32(0x10000800 + length), 0);
  const header = new Array<number>(64).fill(0);
  header.splice(0, 9, 0x4e, 0x56, 0x45, 0x43, 1, 0, 32, 0, 1);
  return Uint8Array.from([...header, body.length + 2, 0, ...body]);
}
const mnemonics = (seen: ReadonlySet<number>): string[] => [...seen].map((id) => OPCODES.rows[id].mnemonic);
const none = new Set<number>();

describe('coverage', () => {
  it('counts instructions that ran: all of a block, none that was refused, none behind the end', () => {
    expect(mnemonics(formsIn(file([0x90, 0x0f, 0xa2], 255, 3)))).toEqual(['NOP', 'CPUID']);
    expect(mnemonics(formsIn(file([0x90, 0x0f, 0xa2], 255, 1)))).toEqual(['NOP']);
    expect(mnemonics(formsIn(file([0x90], 6, 0)))).toEqual([]);
  });

  it('has a row per feature, and names what no vector has', () => {
    const movbe = OPCODES.rows.filter((row) => row.mnemonic === 'MOVBE');
    const line = (table: string): string | undefined => table.split('\n').find((text) => text.startsWith('| movbe'));
    expect(line(coverageTable({ recorded32: none, recorded64: none, host: none }))).toBe(
      `| movbe | ${movbe.length} | yes | 0 | 0 | 0 | MOVBE |`,
    );
    const all = new Set(movbe.map((row) => row.id));
    const some = new Set([movbe[0].id]);
    expect(line(coverageTable({ recorded32: all, recorded64: some, host: none }))).toBe(
      `| movbe | ${movbe.length} | yes | ${movbe.length} | 1 | 0 |  |`,
    );
  });

  it('replaces what is between the markers only', () => {
    const document =
      'a\n<!-- coverage: made by npm run conformance -- coverage; do not edit -->\nold\n<!-- end of coverage -->\nb';
    const changed = withTable(document, 'new');
    expect(changed).not.toContain('old');
    expect(changed).toMatch(/^a\n<!-- .* -->\n\nnew\n\n<!-- end of coverage -->\nb$/);
    expect(() => withTable('nothing', 'new')).toThrow(/markers/);
  });
});
