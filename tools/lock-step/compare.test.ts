import { describe, expect, it } from 'vitest';
import { Comparison, isFromOutside, undefinedFlags } from './compare.ts';
import type { CpuState } from './cpu-state.ts';

const state = (
  registers: Record<string, string>,
  flags = 0,
  system: Record<string, string> = {},
  ip = '1000',
): CpuState => ({
  code64: true,
  registers: new Map(Object.entries(registers)),
  ip,
  flags,
  system: new Map(Object.entries(system)),
});

describe('two processors', () => {
  it('differ in a register, the instruction pointer, a flag', () => {
    const c = new Comparison();
    expect(c.differences(state({ AX: '1', BX: '2' }), state({ AX: '1', BX: '2' }), 'mov %eax,%ebx')).toEqual([]);
    expect(c.differences(state({ AX: '1', BX: '3' }), state({ AX: '1', BX: '2' }), 'mov %eax,%ebx')).toEqual([
      'BX 3, reference 2',
    ]);
    expect(c.differences(state({}, 0x46), state({}, 0x6, {}, '1002'), 'cmp %eax,%ebx')).toEqual([
      'IP 1000, reference 1002',
      'flags 44, reference 4',
    ]);
  });
  it('do not in flags that the instruction leaves undefined, nor in RF', () => {
    const c = new Comparison();
    expect(c.differences(state({}, 0x10010), state({}, 0), 'and %eax,%ebx')).toEqual([]);
    expect(c.differences(state({}, 0x10010), state({}, 0), 'add %eax,%ebx')).toEqual(['flags 10, reference 0']);
    expect(c.differences(state({}, 0x800), state({}, 0), 'shl    $0x3,%rax')).toEqual([]);
    expect(c.differences(state({}, 0x1), state({}, 0), 'shl    $0x3,%rax')).toEqual(['flags 1, reference 0']);
  });
  it('do not in what comes from outside', () => {
    const c = new Comparison();
    expect(c.differences(state({ AX: '1' }), state({ AX: '2' }), 'rdtsc')).toEqual([]);
    expect(c.differences(state({ AX: '1' }), state({ AX: '2' }), 'inc %eax')).toHaveLength(1);
  });
  it('differ in a system register once it was equal, or the reference has changed it', () => {
    const c = new Comparison();
    const at = (got: string, want: string): string[] =>
      c.differences(state({}, 0, { CR3: got }), state({}, 0, { CR3: want }), 'nop');
    expect(at('1', '2')).toEqual([]);
    expect(at('1', '2')).toEqual([]);
    expect(at('3', '3')).toEqual([]);
    expect(at('3', '4')).toEqual(['CR3 3, reference 4']);
    const d = new Comparison();
    d.differences(state({}, 0, { CR3: '1' }), state({}, 0, { CR3: '2' }), 'nop');
    expect(d.differences(state({}, 0, { CR3: '1' }), state({}, 0, { CR3: '5' }), 'nop')).toEqual([
      'CR3 1, reference 5',
    ]);
  });
});

describe('instructions by their text', () => {
  it.each([
    ['imulq %rbx,%rax', 0xd4],
    ['divl (%rdi)', 0x8d5],
    ['bsr %rax,%rbx', 0x895],
    ['adc %eax,%eax', 0],
    ['testb $0x4,(%rdi)', 0x10],
    ['xorps %xmm0,%xmm0', 0],
    ['andnps %xmm0,%xmm1', 0],
    ['mulx %rax,%rbx,%rcx', 0],
    ['divps %xmm0,%xmm1', 0],
    ['shlx %rax,%rbx,%rcx', 0],
    ['shufps $0x1,%xmm0,%xmm1', 0],
  ])('%s leaves %i undefined', (text, flags) => {
    expect(undefinedFlags(text)).toBe(flags);
  });
  it.each([
    ['rdtscp', true],
    ['in (%dx),%al', true],
    ['inc %eax', false],
    ['insl (%dx),%es:(%rdi)', true],
    ['rep insb (%dx),%es:(%edi)', true],
    ['insertps $0x1,%xmm0,%xmm1', false],
    ['int3', false],
  ])('%s has its answer from outside: %s', (text, outside) => {
    expect(isFromOutside(text)).toBe(outside);
  });
});
