/**
 * Random specs, backing names and graphs: `npm run fuzz -- block`. Images name each other (and nonsense) at will; whatever opens is read, written, asked for
 * its status and put through a job. Only a BlockError may come out, nothing stays open, and a job that ends well leaves the disk as it read.
 */
import { isBlockError, MemoryStorage } from '@emkit/storage';
import { content, Folder } from '../src/layer-format.test-support.ts';
import { chainStatus, openImage, parseImageSpec, startJob, type JobRequest, type OptionTree } from '../src/index.ts';

/** Mulberry32. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
type Random = ReturnType<typeof random>;

const WORDS = [
  'driver',
  'file',
  'filename',
  'backing',
  'layer',
  'raw',
  'throttle',
  'blkdebug',
  'image',
  'copy-on-read',
  'on',
  'off',
  'limits',
  'bps-total',
]
  .concat([
    'node-name',
    'read-only',
    'a',
    'b',
    'c',
    'd',
    '__proto__',
    'constructor',
    '0',
    '-1',
    '1e400',
    'x'.repeat(40),
    'json:{}',
    'nbd:',
    '#',
    '',
    'cache',
    'no-flush',
  ])
  .concat([
    'inject-error',
    'iotype',
    'read',
    'detect-zeroes',
    'unmap',
    'discard',
    'encrypt',
    'key-secret',
    'snapshot',
    'force-share',
  ]);

const word = (r: Random): string => WORDS[r(WORDS.length)] as string;

function tree(r: Random, depth: number): unknown {
  switch (r(depth > 4 ? 4 : 8)) {
    case 0:
      return r(2) === 0;
    case 1:
      return r(100_000) - 1000;
    case 2:
      return null;
    case 3:
      return word(r);
    default:
      return Object.fromEntries(Array.from({ length: r(4) }, () => [word(r), tree(r, depth + 1)]));
  }
}

/** Mostly right, with something wrong here and there. */
function spec(r: Random): string | OptionTree {
  const name = 'abcd'[r(4)] as string;
  const options = { ...(tree(r, 3) as object) };
  switch (r(6)) {
    case 0:
      return name;
    case 1:
      return `json:${JSON.stringify(tree(r, 0))}`;
    case 2:
      return { ...options, driver: 'layer', file: { filename: name } } as OptionTree;
    case 3:
      return { driver: word(r), file: { driver: 'layer', file: { filename: name } }, ...options } as OptionTree;
    case 4:
      return `${word(r)}:${word(r)}`;
    default:
      return parseImageSpec(
        Array.from({ length: r(6) + 1 }, () => `${word(r)}${r(3) ? '.' + word(r) : ''}=${word(r)}`).join(),
        { imageOpts: true },
      );
  }
}

async function runOne(seed: number): Promise<void> {
  const r = random(seed);
  const folder = new Folder();
  for (const name of 'abcd') {
    const backing =
      r(3) === 0
        ? {}
        : { backing: r(5) === 0 ? word(r) : ('abcd'[r(4)] as string), ...(r(4) ? { format: 'layer' } : {}) };
    await folder.make(name, 1 + r(20), { ...backing, fill: [[0, 65 + r(20)]] });
  }
  if (r(4) === 0) folder.files.set('d', new MemoryStorage(r(5000)));
  let now = 0;
  const sleep = (ns: number): Promise<void> => ((now += ns), Promise.resolve());
  const env = folder.env({
    guessBackingFormat: r(2) === 0,
    guardRaw: (image) => image,
    clock: { now: () => now, sleep },
  });
  try {
    const node = await openImage(spec(r), env, { readOnly: r(2) === 0 });
    try {
      if (node.size > 0) {
        const length = 1 + r(node.size);
        await node.write?.(r(node.size - length + 1), new Uint8Array(length).fill(r(256)));
        for (let at = 0; at < node.size;) at += (await chainStatus(node, at, node.size - at)).length;
        const before = await content(node);
        const request: JobRequest = r(2) === 0 ? { type: 'stream', node } : { type: 'commit', node, automatic: true };
        const job = startJob(request, { parallel: 1 + r(4), bufferSize: 4096 });
        if (r(2) === 0) await job.cancel();
        await job.done.catch((error: unknown) => {
          if (!isBlockError(error)) throw error;
        });
        if (!(await content(node)).startsWith(before)) throw new Error(`${request.type} changed the disk`);
      }
    } finally {
      await node.close();
    }
  } catch (error) {
    if (!isBlockError(error)) throw error;
  }
  if (folder.open !== 0) throw new Error(`${folder.open} files stayed open`);
}

export const target = {
  name: 'block',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
    const findings: string[] = [];
    for (let i = 0; i < iterations; i++) {
      await runOne(seed + i).catch((error: unknown) => {
        findings.push(`seed ${seed + i}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      });
    }
    return { inputs: iterations, findings };
  },
};
