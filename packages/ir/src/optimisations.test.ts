import { describe, expect, it } from 'vitest';
import { IrBlock } from './block.ts';
import { IrBuilder } from './builder.ts';
import { chooseOptimisations, OPTIMISATION_NAMES, OPTIMISATIONS } from './optimisations.ts';
import type { OptimisationChoice } from './optimisations.ts';
import { print } from './text.ts';
import { I32 } from './types.ts';

const GLOBALS = [
  { name: 'a', type: I32, offset: 0 },
  { name: 'b', type: I32, offset: 8 },
] as const;

describe('the table of optimisations', () => {
  it('has each name once, in the spelling of an option', () => {
    expect(new Set(OPTIMISATION_NAMES).size).toBe(OPTIMISATIONS.length);
    for (const { name, help } of OPTIMISATIONS) {
      expect(name).toMatch(/^[a-z][a-z-]*[a-z]$/);
      expect(help).not.toBe('');
    }
  });

  it('gives what is on: all that nobody switched off', () => {
    expect(Object.values(chooseOptimisations()).every((on) => on)).toBe(true);
    const some = chooseOptimisations({ ports: false, links: true });
    expect(OPTIMISATION_NAMES.filter((name) => !some[name])).toEqual(['ports']);
  });

  it('refuses a name that does not exist', () => {
    const refused = (choice: object) => expect(() => chooseOptimisations(choice as OptimisationChoice));
    refused({ port: false }).toThrow("no optimisation is named 'port'");
    refused({ toString: false }).toThrow(RangeError);
  });

  it.each([
    ['folding', (b: IrBuilder): void => b.set(0, b.add(b.i32(2), b.i32(3))), 'i32_add'],
    [
      'sharing',
      (b: IrBuilder): void => b.set(0, b.xor(b.mul(b.get(0), b.get(1)), b.mul(b.get(0), b.get(1)))),
      'i32_mul',
    ],
    ['dead-code', (b: IrBuilder): void => void b.mul(b.get(0), b.get(1)), 'i32_mul'],
  ] as const)('%s: the builder does it where it is on, and only there', (name, build, op) => {
    const [on, off] = [true, false].map((choice): number => {
      const b = new IrBuilder(GLOBALS, new IrBlock(), chooseOptimisations({ [name]: choice }));
      b.insnStart(0x1000);
      build(b);
      b.jmp(0x1001);
      return print(b.finish(), GLOBALS).split(op).length - 1;
    });
    expect(on).toBeLessThan(off!);
  });
});
