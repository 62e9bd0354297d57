/** The rig of native vectors in 64-bit code and in compatibility mode: what agrees passes, what differs in any recorded part fails. */
import { describe, expect, it } from 'vitest';
import { benchUserRig } from './bench-rig.ts';
import { runVectorFile } from './native-vectors.ts';
import type { VectorFailure } from './native-vectors.ts';

const le = (bytes: number, value: bigint): number[] =>
  Array.from({ length: bytes }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn));
const DATA = 0x20000400;

interface Record64 {
  readonly code: readonly number[];
  readonly exception?: number;
  readonly error?: number;
  readonly cr2?: bigint;
  /** Register number to value; 16 flags, 17 IP. */
  readonly initial?: ReadonlyMap<number, bigint>;
  readonly final: ReadonlyMap<number, bigint>;
  readonly after?: readonly number[];
}

/** An NVEC file of one record. */
function file(mode: 32 | 64, r: Record64): Uint8Array {
  const width = mode / 8;
  const registers = (values: ReadonlyMap<number, bigint>): number[] => {
    const list = [...values].sort(([a], [b]) => a - b);
    const mask = list.reduce((m, [n]) => m | (1 << n), 0);
    return [...le(4, BigInt(mask)), ...list.flatMap(([n, v]) => le(n === 16 ? 4 : width, v))];
  };
  const exception = r.exception ?? 255;
  const body = [
    ...[0, 0, exception, r.code.length, ...r.code, ...le(4, 0n)],
    ...(exception === 255 ? [] : le(4, BigInt(r.error ?? 0))),
    ...(exception === 14 ? le(width, r.cr2 ?? 0n) : []),
    ...registers(r.initial ?? new Map()),
    0,
    ...registers(r.final),
    ...(r.after === undefined ? [0] : [1, ...le(4, BigInt(DATA)), ...le(2, BigInt(r.after.length)), ...r.after]),
  ];
  const header = new Array<number>(64).fill(0);
  header.splice(0, 12, 0x4e, 0x56, 0x45, 0x43, 1, 0, mode, 0, 1, 0, 0, 0);
  return Uint8Array.from([...header, ...le(2, BigInt(body.length + 2)), ...body]);
}

const next = (code: readonly number[]): [number, bigint] => [17, BigInt(0x10000800 + code.length)];
const rig = benchUserRig('cold', '64');
const failuresOf = (r: Record64): string[] => {
  const found: VectorFailure[] = [];
  const { total } = runVectorFile(rig, file(64, r), 1, (failure) => found.push(failure));
  expect(total).toBe(1);
  return found.flatMap((f) => f.problems);
};

const ADD = [0x48, 0x01, 0xc8]; // add %rcx,%rax
const added = { code: ADD, initial: new Map([[0, 0xffffffffn]]) };
const sum = 0x1111111211111110n;
const AF = 0x10n;

describe('64-bit vectors', () => {
  it('an addition passes, with its carry into the high half', () => {
    expect(failuresOf({ ...added, final: new Map([[0, sum], [16, AF], next(ADD)]) })).toEqual([]);
  });

  it.each([
    ['low half', new Map([[0, sum ^ 1n], [16, AF], next(ADD)]), /^RAX/],
    ['high half', new Map([[0, sum ^ (1n << 63n)], [16, AF], next(ADD)]), /^RAX/],
    ['a register that must not change', new Map([[0, sum], [15, 5n], [16, AF], next(ADD)]), /^R15/],
    ['flags', new Map([[0, sum], [16, 0n], next(ADD)]), /^flags/],
    [
      'instruction pointer',
      new Map([
        [0, sum],
        [16, AF],
        [17, 0x10000804n],
      ]),
      /^RIP/,
    ],
    [
      'its high half',
      new Map([
        [0, sum],
        [16, AF],
        [17, 0x110000803n],
      ]),
      /^RIP/,
    ],
  ])('sees a wrong %s', (_what, final, problem) => {
    const failures = failuresOf({ ...added, final });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(problem);
  });

  it('a store is compared byte by byte', () => {
    const code = [0x48, 0x89, 0x07]; // mov %rax,(%rdi)
    const store = { code, initial: new Map([[7, BigInt(DATA)]]), final: new Map([next(code)]) };
    expect(failuresOf({ ...store, after: le(8, 0x1010101010101010n) })).toEqual([]);
    expect(failuresOf({ ...store, after: le(8, 0x1110101010101010n) })[0]).toMatch(/^memory 20000407/);
    expect(failuresOf(store)[0]).toMatch(/^memory 20000400/);
  });

  it('a page fault has its address of 64 bits and error code', () => {
    const code = [0x48, 0x89, 0x07];
    const at = 0x7fff_1234_5678n;
    const fault = { code, exception: 14, initial: new Map([[7, at]]), final: new Map([[17, 0x10000800n]]) };
    expect(failuresOf({ ...fault, error: 6, cr2: at })).toEqual([]);
    expect(failuresOf({ ...fault, error: 6, cr2: at & 0xffffffffn })[0]).toMatch(/^CR2 7fff12345678/);
    expect(failuresOf({ ...fault, error: 4, cr2: at })[0]).toMatch(/^error code 6/);
    expect(failuresOf({ ...fault, exception: 13 })[0]).toMatch(/^vector 14, recorded 13/);
  });
});

it('compatibility mode runs 32-bit code: REX bytes are INC and DEC', () => {
  const code = [0x40]; // inc %eax
  const found: VectorFailure[] = [];
  const final = new Map([[0, 0x10101011n], [16, 4n], next(code)]);
  runVectorFile(benchUserRig('cold', 'compat'), file(32, { code, final }), 1, (f) => found.push(f));
  expect(found.flatMap((f) => f.problems)).toEqual([]);
});
