import { describe, expect, it } from 'vitest';
import { chooseOptimisations, OPTIMISATION_NAMES, OPTIMISATIONS } from './optimisations.ts';

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
    expect(() => chooseOptimisations({ port: false })).toThrow("no optimisation is named 'port'");
    expect(() => chooseOptimisations({ toString: false })).toThrow(RangeError);
  });
});
