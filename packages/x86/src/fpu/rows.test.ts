import { describe, expect, it } from 'vitest';
import { OPCODES, buildTable } from '../decode/table.ts';
import { WASM_HELPERS, wasmHelperIndex } from '../wasm-helpers.ts';
import { FPU_HANDLERS } from './handlers.ts';
import { FPU_ROWS } from './rows.ts';

describe('x87 and SIMD opcode rows', () => {
  const table = buildTable(FPU_ROWS);

  it('name a handler each, and no handler is left over', () => {
    const named = new Set(table.rows.map((r) => r.fn));
    expect([...named].filter((fn) => FPU_HANDLERS[fn] === undefined)).toEqual([]);
    const all = new Set(OPCODES.rows.map((r) => r.fn));
    expect(Object.keys(FPU_HANDLERS).filter((fn) => !all.has(fn))).toEqual([]);
  });

  it('ask for a CPU feature, all but the x87', () => {
    expect(table.rows.filter((r) => r.feature === 0 && !r.mnemonic.startsWith('F')).map((r) => r.mnemonic)).toEqual([]);
  });
});

describe('wasm helper names', () => {
  it('are unique and indexed in order', () => {
    expect(new Set(WASM_HELPERS).size).toBe(WASM_HELPERS.length);
    expect(wasmHelperIndex(WASM_HELPERS[7]!)).toBe(7);
  });
  it('an unknown name is an error', () => {
    expect(() => wasmHelperIndex('f80_frobnicate')).toThrow(/unknown wasm helper 'f80_frobnicate'/);
  });
});
