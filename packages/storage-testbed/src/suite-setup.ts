/** What a format tells the conformance suite about itself. */
import type { BlockDriver } from '@emkit/storage';
import type { ImageSetup } from './image-setup.ts';

/** What the suite needs of a test framework. */
export interface TestApi {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>, timeout?: number): void;
}

export interface BlockDriverSetup extends ImageSetup {
  /** Of vitest, or of anything like it. */
  readonly test: TestApi;
  readonly driver: BlockDriver;
  /** What sets this setup apart from the format's others. */
  readonly name?: string;
  /** The format takes any bytes for an image: as raw. */
  readonly opensAnything?: boolean;
  /** The format gives no guarantee in a power cut, or cannot be written: no cuts. */
  readonly crashSafe?: boolean;
  /** Amounts; the defaults take about 3 s of a slow core for a quick format. */
  readonly shadowPrograms?: number;
  readonly cuts?: number;
  readonly faults?: number;
}

export const TIMEOUT = 120_000;
