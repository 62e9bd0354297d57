/** A long life of one image: requests at random, several at once, snapshots, reopening, and after every so many of them everything is compared. */
import { ContentModel } from './content-model.ts';
import { createImage, initialContent } from './image-setup.ts';
import type { ImageSetup } from './image-setup.ts';
import { randomDraw } from './operation.ts';
import { Random } from './random.ts';
import { ShadowRun } from './shadow-run.ts';

export interface EnduranceOptions {
  readonly seed?: number;
  /** Asked between the rounds. */
  readonly isOver: (done: EnduranceResult) => boolean;
  /** Operations at the same time, at most. @default 16 */
  readonly depth?: number;
  /** Operations between two looks at everything. @default 2000 */
  readonly round?: number;
}

export interface EnduranceResult {
  readonly operations: number;
  /** Bytes that the guest wrote. */
  readonly written: number;
  /** Looks at everything: content, snapshots, `check`, reopened. */
  readonly rounds: number;
}

export async function runEndurance(setup: ImageSetup, options: EnduranceOptions): Promise<EnduranceResult> {
  const { seed = 1, depth = 16, round = 2000, isOver } = options;
  const random = new Random(seed);
  const directory = await createImage(setup);
  const run = new ShadowRun(setup, directory, { model: new ContentModel(await initialContent(setup, directory)) });
  await run.open();
  let rounds = 0;
  const result = (): EnduranceResult => ({ operations: run.operations, written: run.written, rounds });
  do {
    try {
      for (const end = run.operations + round; run.operations < end;)
        await run.step(Array.from({ length: 1 + random.below(depth) }, () => randomDraw(random)));
      for (const op of ['verify', 'check', 'reopen', 'verify'] as const) await run.perform({ op });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}, after ${run.operations} operations: ${text}`, { cause: error });
    }
    rounds++;
  } while (!isOver(result()));
  await run.close();
  return result();
}
