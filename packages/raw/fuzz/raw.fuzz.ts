/** Random files, options and requests for raw images and windows: `npm run fuzz -- raw`. Only a BlockError may come out. */
import { isBlockError, MemoryStorage } from '@emkit/storage';
import { protectHeader, raw } from '../src/index.ts';

/** Mulberry32: small, seeded, good enough to choose requests. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const NUMBERS = [-1, 0, 1, 511, 512, 513, 2047, 2048, 65536, 100_001, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 0.5, NaN];
/** Buffers are the caller's, so their length is bounded here. */
const MAX_BUFFER = 70_000;

async function runOne(seed: number): Promise<void> {
  const r = random(seed);
  const number = () => (r(3) === 0 ? (NUMBERS[r(NUMBERS.length)] as number) : r(100_000));
  const driverOptions: Record<string, string> = {};
  if (r(2) === 0) driverOptions['offset'] = String(number());
  if (r(3) === 0) driverOptions['size'] = String(r(2) === 0 ? r(100) * 512 : number());
  const memory = new MemoryStorage(Uint8Array.from({ length: r(5000) }, () => r(256)));
  const opened = await raw.open(memory, { driverOptions, readOnly: r(8) === 0 });
  const image = r(2) === 0 ? opened : protectHeader(opened, (head) => (head[0] === 0x51 ? 'qed' : 'raw'));
  for (let step = 0; step < 12; step++) {
    const buffer = () => new Uint8Array(Math.min(MAX_BUFFER, Math.max(0, Math.trunc(number()) || 0))).fill(r(256));
    const requests = [
      () => image.read(number(), buffer()),
      () => image.write!(Math.min(number(), 200_000), buffer()),
      () => image.writeZeroes!(number(), number()),
      () => image.discard!(number(), number()),
      () => image.status(number(), number()),
      () =>
        image.resize!(Math.min(number(), 1_000_000), {
          shrink: r(2) === 0,
          preallocation: r(2) === 0 ? 'off' : 'full',
        }),
      () => image.info(),
      () => image.flush!(),
    ];
    await requests[r(requests.length)]!().catch((error: unknown) => {
      if (!isBlockError(error)) throw error;
    });
  }
  await image.close();
}

export const target = {
  name: 'raw',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
    const findings: string[] = [];
    let inputs = 0;
    for (; inputs < iterations && findings.length < 3; inputs++) {
      const one = (Math.imul(seed, 0x9e3779b1) + inputs) >>> 0;
      try {
        await runOne(one);
      } catch (error) {
        if (!isBlockError(error)) findings.push(`seed ${one}: ${String((error as Error).stack ?? error)}`);
      }
    }
    return { inputs, findings };
  },
};
