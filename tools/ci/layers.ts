/**
 * What `npm test` runs, cheap things first. One row per layer; the order is the order of starting.
 * A layer that prints `N passed, N failed` or leaves a vitest report is counted by it, any other counts as one check.
 */
export interface Layer {
  readonly name: string;
  readonly command: string;
  /** Seconds after which the layer is ended and counts as failed. */
  readonly limit: number;
  /** Runs with no other layer beside it: it uses both cores itself, or measures time. */
  readonly alone?: boolean;
  /** A layer that must have passed first. */
  readonly needs?: string;
  /** Failures that are known, listed and explained in docs/conformance.md; any more fail the layer. */
  readonly known?: number;
  /** Vitest's JSON report is written here (see run.ts) and counted. */
  readonly vitest?: boolean;
}

const VECTORS = '../shared/conformance';

export const LAYERS: readonly Layer[] = [
  { name: 'types', command: 'npm run -s typecheck', limit: 240 },
  { name: 'format', command: 'npm run -s lint:format', limit: 120 },
  { name: 'lint', command: 'npm run -s lint:code', limit: 180 },
  { name: 'boundaries', command: 'npm run -s lint:boundaries', limit: 120 },
  { name: 'unused', command: 'npm run -s lint:unused', limit: 120 },
  { name: 'unit', command: 'npm run -s test:quick --', limit: 600, alone: true, vitest: true },
  { name: 'readme', command: 'npm run -s readme', limit: 180 },
  { name: 'gen', command: 'npm run -s check:gen', limit: 180 },
  { name: 'build', command: 'npm run -s build', limit: 400, alone: true },
  { name: 'pack', command: 'node_modules/.bin/tsx tools/packed-test/main.ts', limit: 240, needs: 'build' },
  { name: 'docs', command: 'npm run -s docs', limit: 180 },
  { name: 'browser', command: 'npm run -s test:browser --', limit: 400, alone: true, vitest: true },
  // the longest, in one process: all that follow run one by one beside it
  { name: 'e2e', command: 'npm run -s test:e2e --', limit: 1200, needs: 'build', vitest: true },
  {
    name: 'native-vectors',
    command: `npm run -s conformance -- native-vectors ${VECTORS}/native-vectors --tier both`,
    limit: 900,
  },
  {
    // 32-bit vectors under a 64-bit system: a part of them here, all by hand without --every
    name: 'native-vectors-compat',
    command: `npm run -s conformance -- native-vectors ${VECTORS}/native-vectors --tier both --mode compat --every 10`,
    limit: 300,
  },
  {
    name: 'host-vectors',
    command: 'npm run -s conformance -- host-vectors --tier both --count 1000',
    limit: 300,
  },
  { name: '80286', command: `npm run -s conformance -- 80286 ${VECTORS}/80286 --tier both`, limit: 600 },
  { name: 'test386', command: `npm run -s conformance -- test386 ${VECTORS}/test386 --tier both`, limit: 300 },
  { name: 'disk-images', command: `npm run -s conformance -- disk-images ${VECTORS}/disk-images`, limit: 300 },
  { name: 'crash', command: 'node_modules/.bin/tsx --conditions=@emkit/source tools/storage/crash-ci.ts', limit: 400 },
  { name: 'fuzz', command: 'npm run -s fuzz -- all --seconds 5 --seed 1', limit: 300 },
];
