import { describe, expect, it } from 'vitest';
import { HANDLERS } from '../translate/handlers.ts';
import { compileRow, row } from './row.ts';
import { OPCODES, buildTable } from './table.ts';

describe('opcode rows', () => {
  it('all have a handler', () => {
    expect(HANDLERS.length).toBe(OPCODES.rows.length);
    expect(OPCODES.rows.filter((r) => HANDLERS[r.id] === undefined)).toEqual([]);
  });

  it('reject two rows for one encoding', () => {
    expect(() => buildTable([row('A', 'Ev,Gv', '01 /r'), row('B', 'Eb,Gb', '01 /r')])).toThrow(
      /conflict: 'A Ev,Gv = 01 \/r' and 'B/,
    );
    expect(() => buildTable([row('A', '', '40+r'), row('B', '', '43')])).toThrow(/conflict/);
  });

  it('reject rows of one opcode that disagree about ModRM', () => {
    expect(() => buildTable([row('A', '', 'F3 90'), row('B', 'Ev', '90 /0')])).toThrow(/disagree about ModRM/);
  });

  it('let the more particular row win', () => {
    const t = buildTable([row('A', 'Ev', '0F 01 /1'), row('B', '', '0F 01 C8'), row('C', 'Ev', 'F3 0F 01 /1')]);
    const at = (prefix: number, modrm: number): number => t.entries[t.base[256 + 1] + prefix * 256 + modrm];
    expect([at(0, 0xc8), at(0, 0xc9), at(2, 0x08), at(0, 0x00)]).toEqual([1, 0, 2, -1]);
  });

  it('reject what they do not understand, naming the row', () => {
    expect(() => compileRow(row('X', 'Kv', '00 /r'), 0)).toThrow("opcode row 'X Kv = 00 /r': operand 'Kv'");
    expect(() => compileRow(row('X', 'Ev', '00 /9'), 0)).toThrow(/token/);
    expect(() => compileRow(row('X', 'Ev,Gv', '00'), 0)).toThrow(/ModRM/);
    expect(() => compileRow(row('X', '', '00', { feature: 'warp' }), 0)).toThrow(/feature 'warp'/);
  });
});
