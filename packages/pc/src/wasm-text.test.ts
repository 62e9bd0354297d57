import { describe, expect, it } from 'vitest';
import { wasmText } from './wasm-text.ts';

describe('the text of a module', () => {
  it('is empty without code', () => expect(wasmText(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))).toBe(''));
  it('has each instruction with its operands, indented by blocks', () => {
    // (func (param i32) (result i32) (local i64) loop local.get 0 i32.load offset=300 i32.const -5 i32.add br_if 0 end i64.const 2^40 local.set 1 i32.const 7)
    const body = [
      1, 1, 0x7e, 0x03, 0x40, 0x20, 0, 0x28, 2, 0xac, 2, 0x41, 0x7b, 0x6a, 0x0d, 0, 0x0b, 0x42, 0x80, 0x80, 0x80, 0x80,
      0x80, 0x20, 0x21, 1, 0x41, 7, 0x0b,
    ];
    const module = Uint8Array.of(
      0,
      0x61,
      0x73,
      0x6d,
      1,
      0,
      0,
      0,
      1,
      1,
      0,
      10,
      body.length + 2,
      1,
      body.length,
      ...body,
    );
    expect(wasmText(module).split('\n')).toEqual([
      'func 0 (locals 1 i64)',
      '  loop',
      '    local.get 0',
      '    i32.load offset=300 align=4',
      '    i32.const -5',
      '    i32.add',
      '    br_if 0',
      '  end',
      '  i64.const 1099511627776',
      '  local.set 1',
      '  i32.const 7',
      'end',
      '',
    ]);
  });
  it('says when it does not know an opcode', () => {
    const module = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 10, 6, 1, 4, 0, 0xff, 0, 0x0b);
    expect(wasmText(module)).toBe('func 0\n  ;; opcode ff is not known\n');
  });
});
