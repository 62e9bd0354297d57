/**
 * Random operations on a disk. A program is a list of draws (plain numbers, so that fast-check can shrink them); what a draw means is
 * decided when it is its turn, by the size and the snapshots that the disk has then.
 */
import type { BlockImage } from '@emkit/storage';
import { Random } from './random.ts';

export interface Draw {
  /** 0-99: which operation. */
  readonly kind: number;
  /** Any natural numbers. */
  readonly at: number;
  readonly length: number;
  /** 0: zeroes. */
  readonly tag: number;
  /** 0-3: how the range is aligned. */
  readonly shape: number;
}

export type Operation =
  | { readonly op: 'read' | 'status' | 'discard'; readonly offset: number; readonly length: number }
  | { readonly op: 'write' | 'compressed'; readonly offset: number; readonly length: number; readonly tag: number }
  | { readonly op: 'zero'; readonly offset: number; readonly length: number; readonly unmap: boolean }
  | { readonly op: 'flush' | 'reopen' | 'check' | 'verify' }
  | { readonly op: 'resize'; readonly size: number }
  | { readonly op: 'snapshot'; readonly name: string; readonly vmState: number; readonly tag: number }
  | { readonly op: 'apply' | 'delete' | 'peek'; readonly name: string };

export interface Space {
  readonly cluster: number;
  /** The largest disk that resize makes. */
  readonly maxSize: number;
  /** Requests are multiples of this. */
  readonly granularity: number;
  readonly snapshots: readonly string[];
}

/** Weights of the operations; the rest are reads. What the image lacks becomes a write. */
const WEIGHTS = [
  ['write', 40],
  ['zero', 9],
  ['discard', 8],
  ['compressed', 4],
  ['flush', 7],
  ['status', 4],
  ['reopen', 2],
  ['check', 2],
  ['resize', 2],
  ['snapshot', 2],
  ['apply', 1],
  ['delete', 2],
  ['peek', 1],
] as const;

const MAX_SNAPSHOTS = 4;

export function randomDraw(random: Random): Draw {
  return {
    kind: random.below(100),
    at: random.u32(),
    length: random.u32(),
    tag: random.chance(6) ? 0 : random.u32(),
    shape: random.below(4),
  };
}

export interface ProgramOptions {
  readonly seed?: number;
  /** @default 60 */
  readonly operations?: number;
  /** Operations at the same time, at most. @default 1 */
  readonly depth?: number;
}

export function randomProgram(options: ProgramOptions = {}): Draw[][] {
  const { seed = 1, operations = 60, depth = 1 } = options;
  const random = new Random(seed);
  const steps: Draw[][] = [];
  for (let left = operations; left > 0;) {
    const count = Math.min(left, 1 + random.below(depth));
    steps.push(Array.from({ length: count }, () => randomDraw(random)));
    left -= count;
  }
  return steps;
}

export function decodeDraw(draw: Draw, image: BlockImage, space: Space): Operation {
  const { size } = image;
  let kind = kindOf(draw.kind);
  if (!isPossible(kind, image, space)) kind = 'write';
  if (size === 0 && kind !== 'resize') return { op: 'flush' };
  switch (kind) {
    case 'flush':
    case 'reopen':
    case 'check':
      return { op: kind };
    case 'resize':
      return { op: 'resize', size: (1 + (draw.at % Math.floor(space.maxSize / 512))) * 512 };
    case 'snapshot': {
      const vmState = draw.length % 4 === 0 ? 1 + (draw.at % (3 * space.cluster)) : 0;
      return { op: 'snapshot', name: freeName(image), vmState, tag: draw.tag };
    }
    case 'apply':
    case 'delete':
    case 'peek':
      return { op: kind, name: space.snapshots[draw.at % space.snapshots.length] as string };
    case 'compressed': {
      const offset = (draw.at % Math.ceil(size / space.cluster)) * space.cluster;
      // mostly one cluster, as most programs write them
      const clusters = draw.length % 3 === 0 ? 1 + (draw.length % 5) : 1;
      return {
        op: 'compressed',
        offset,
        length: Math.min(clusters * space.cluster, size - offset),
        tag: draw.tag || 1,
      };
    }
    case 'write':
      return { op: 'write', ...range(draw, size, space), tag: draw.tag };
    case 'zero':
      return { op: 'zero', ...range(draw, size, space), unmap: draw.tag % 2 === 0 };
    default:
      return { op: kind, ...range(draw, size, space) };
  }
}

type Kind = (typeof WEIGHTS)[number][0] | 'read';

function kindOf(number: number): Kind {
  let sum = 0;
  for (const [kind, weight] of WEIGHTS) {
    sum += weight;
    if (number < sum) return kind;
  }
  return 'read';
}

function isPossible(kind: Kind, image: BlockImage, { snapshots }: Space): boolean {
  switch (kind) {
    case 'zero':
      return image.writeZeroes !== undefined;
    case 'discard':
      return image.discard !== undefined;
    case 'compressed':
      return image.writeCompressed !== undefined;
    case 'resize':
      return image.resize !== undefined;
    case 'check':
      return image.check !== undefined;
    case 'snapshot':
      return image.snapshots !== undefined && snapshots.length < MAX_SNAPSHOTS;
    case 'apply':
    case 'delete':
    case 'peek':
      return image.snapshots !== undefined && snapshots.length > 0;
    default:
      return true;
  }
}

function freeName(image: BlockImage): string {
  const taken = (image.snapshots?.list() ?? []).map(({ name }) => name);
  for (let i = 0; ; i++) if (!taken.includes(`s${i}`)) return `s${i}`;
}

/** Whole clusters, sectors, any bytes, or one that crosses clusters. Never empty. */
function range(draw: Draw, size: number, space: Space): { offset: number; length: number } {
  const { cluster, granularity } = space;
  const unit = [cluster, 512, 1, 512][draw.shape] as number;
  const step = Math.max(unit, granularity);
  const max = draw.shape === 0 || draw.shape === 3 ? 4 * cluster : 2 * cluster;
  const units = Math.max(1, Math.ceil(size / step));
  const offset = (draw.at % units) * step;
  const wanted = (1 + (draw.length % Math.max(1, Math.floor(max / step)))) * step;
  return { offset, length: Math.min(wanted, size - offset) };
}
