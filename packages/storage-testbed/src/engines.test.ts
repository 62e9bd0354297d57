/** The engines must be able to fail: each planted bug of the toy format is caught, and the format without one passes. */
import { describe, expect, it } from 'vitest';
import { runEndurance } from './endurance.ts';
import { runCrash, runFaults, runShadow } from './engines.ts';
import { randomProgram } from './operation.ts';
import type { ToyBug } from './toy-format.ts';
import { toyDriver } from './toy-format.ts';

const setup = (bug?: ToyBug) => ({ driver: toyDriver(bug), size: 24 * 1024 });

describe('shadow programs', () => {
  it('pass on a format that is right', async () => {
    for (let seed = 1; seed <= 20; seed++)
      await runShadow(setup(), randomProgram({ seed, operations: 100, depth: (seed % 4) * 5 + 1 }));
  });

  it('catch an allocation that is not locked', async () => {
    await expect(async () => {
      for (let seed = 1; seed <= 20; seed++) await runShadow(setup('missing-lock'), randomProgram({ seed, depth: 16 }));
    }).rejects.toThrow(/last operations/);
  });

  it('catch a status that is not true', async () => {
    await expect(async () => {
      for (let seed = 1; seed <= 20; seed++) await runShadow(setup('status-lies'), randomProgram({ seed }));
    }).rejects.toThrow(/status says/);
  });
});

describe('power cuts', () => {
  it('pass on a format that keeps its order', async () => {
    let cuts = 0;
    for (let seed = 1; seed <= 10; seed++) cuts += await runCrash(setup(), { seed, depth: (seed % 2) * 8 + 1 });
    expect(cuts).toBeGreaterThan(1000);
  });

  for (const bug of ['missing-flush', 'swapped-order', 'early-reuse'] as const) {
    it(`catch ${bug}`, async () => {
      await expect(async () => {
        for (let seed = 1; seed <= 40; seed++) await runCrash(setup(bug), { seed, operations: 60 });
      }).rejects.toThrow(/seed \d+, cut \d+/);
    });
  }
});

describe('endurance', () => {
  it('goes on until it is told, and counts', async () => {
    const result = await runEndurance(setup(), { round: 500, isOver: ({ rounds }) => rounds === 3 });
    expect(result.operations).toBeGreaterThan(1500);
    expect(result.written).toBeGreaterThan(100_000);
  });
});

describe('faults', () => {
  for (const leaves of ['nothing', 'half', 'everything'] as const)
    for (const sticky of [false, true])
      it(`pass on a format that is right: ${leaves}, ${sticky ? 'sticky' : 'once'}`, async () => {
        let faults = 0;
        for (let seed = 1; seed <= 4; seed++) faults += await runFaults(setup(), { seed, leaves, sticky, depth: 4 });
        expect(faults).toBeGreaterThan(50);
      });

  it('catch an error that is not reported', async () => {
    await expect(async () => {
      for (let seed = 1; seed <= 10; seed++) await runFaults(setup('forgotten-error'), { seed, kinds: ['write'] });
    }).rejects.toThrow(/fault at call/);
  });
});
