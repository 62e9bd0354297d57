/**
 * The conformance suite of a disk format: `describeBlockDriver({ test: { describe, it }, driver, ... })` in a test file. What the driver lacks
 * is left out. It is about behaviour that all formats share; what is in the bytes of a format is its own tests' matter.
 */
import { runCrash, runFaults, runShadow } from './engines.ts';
import { randomProgram } from './operation.ts';
import { checkShadowProperty } from './property.ts';
import { describeImages } from './suite-images.ts';
import { describeRequests } from './suite-requests.ts';
import { TIMEOUT } from './suite-setup.ts';
import type { BlockDriverSetup } from './suite-setup.ts';
import { must } from './verdict.ts';

export function describeBlockDriver(setup: BlockDriverSetup): void {
  const { test, driver, name } = setup;
  test.describe(`block driver ${driver.name}${name === undefined ? '' : `, ${name}`}`, () => {
    describeImages(setup);
    describeRequests(setup);
    describeEngines(setup);
  });
}

function describeEngines(setup: BlockDriverSetup): void {
  const { test, shadowPrograms = 12, cuts = 800, faults = 200 } = setup;
  const it = (what: string, body: () => Promise<void>): void => test.it(what, body, TIMEOUT);
  it('random programs read as a byte array does', async () => {
    for (let seed = 1; seed <= shadowPrograms; seed++)
      await named(seed, runShadow(setup, randomProgram({ seed, operations: 80 })));
  });
  it('random programs with requests at the same time read as a byte array does', async () => {
    for (let seed = 1; seed <= shadowPrograms; seed++)
      await named(seed, runShadow(setup, randomProgram({ seed: 1000 + seed, operations: 120, depth: 16 })));
  });
  it('a program that fails shrinks to a small one', () => checkShadowProperty(setup, Math.ceil(shadowPrograms / 2)));
  it('a fault at any call loses nothing that was flushed', async () => {
    let done = 0;
    for (let seed = 1; done < faults; seed++) {
      const sticky = seed % 2 === 0;
      const error = seed % 3 === 0 ? 'no-space' : 'io';
      const leaves = (['nothing', 'half', 'everything'] as const)[seed % 3] as 'nothing';
      const limit = Math.max(1, Math.ceil((faults - done) / 2));
      const injected = await runFaults(setup, { seed, sticky, error, leaves, depth: (seed % 3) + 1, limit });
      must(injected > 0, 'no fault was injected: the image does not use its storage');
      done += injected;
    }
  });
  if (setup.crashSafe === false) return;
  it('a power cut at any moment loses nothing that was flushed', async () => {
    let done = 0;
    for (let seed = 1; done < cuts; seed++) {
      const limit = Math.max(50, Math.ceil((cuts - done) / 2));
      done += Math.max(1, await runCrash(setup, { seed, limit, depth: (seed % 3) * 3 + 1 }));
    }
  });
}

async function named(seed: number, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
