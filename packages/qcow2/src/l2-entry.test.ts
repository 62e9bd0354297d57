import { describe, expect, it } from 'vitest';
import { COPIED_HI, INCOMPAT_EXTL2 } from './constants.ts';
import { Geometry } from './geometry.ts';
import {
  COMPRESSED,
  entryType,
  hostOffset,
  makeRun,
  mapRun,
  NORMAL,
  UNALLOCATED_ALLOC,
  ZERO_ALLOC,
} from './l2-entry.ts';
import { TWO_32 } from './u64.ts';

const CLUSTER = 512;

/** Where the run ends by one look at each subcluster. */
function expectedLength(
  view: DataView,
  geometry: Geometry,
  first: number,
  byCopied: boolean,
  isIdentity: boolean,
): number {
  const { subclusters, subclusterSize, entrySize, isExtended, pieceEntries, clusterSize } = geometry;
  const typeAt = (n: number): number =>
    entryType(view, Math.floor(n / subclusters) * entrySize, n % subclusters, isExtended, isIdentity);
  const entryOf = (n: number): { host: number; isCopied: boolean } => {
    const at = Math.floor(n / subclusters) * entrySize;
    const hi = view.getUint32(at);
    return { host: hostOffset(hi, view.getUint32(at + 4)), isCopied: (hi & COPIED_HI) !== 0 };
  };
  const start = first * subclusters;
  const type = typeAt(start);
  if (type === COMPRESSED) return clusterSize;
  const isPlaced = [NORMAL, ZERO_ALLOC, UNALLOCATED_ALLOC].includes(type);
  let n = start + 1;
  for (; n < pieceEntries * subclusters; n++) {
    if (typeAt(n) !== type) break;
    const clusters = Math.floor(n / subclusters) - first;
    if (byCopied && entryOf(n).isCopied !== entryOf(start).isCopied) break;
    if (isPlaced && entryOf(n).host !== entryOf(start).host + clusters * clusterSize) break;
  }
  return (n - start) * subclusterSize;
}

describe.each([
  ['plain entries', 0n],
  ['extended entries', INCOMPAT_EXTL2],
])('mapRun, %s', (_name, incompatibleFeatures) => {
  const geometry = new Geometry({ clusterBits: 9, incompatibleFeatures, refcountOrder: 4 });
  const { entrySize, pieceEntries, isExtended } = geometry;

  it('ends where a look at each subcluster says', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below;
    const view = new DataView(new ArrayBuffer(geometry.pieceBytes));
    const run = makeRun();
    let longest = 0;
    for (let round = 0; round < 100; round++) {
      // below 4 GiB, across a multiple of it, and none
      let host = [0, CLUSTER * 8, TWO_32 - CLUSTER * 4][random(3)] as number;
      let copied = random(2) === 0;
      let zero = random(3) === 0;
      let bitmap = random(2) === 0 ? [0, 0] : [0, 0xffffffff];
      for (let index = 0; index < pieceEntries; index++) {
        if (random(12) === 0) host = host === 0 ? CLUSTER * (1 + random(64)) : random(2) === 0 ? 0 : host + CLUSTER;
        if (random(20) === 0) copied = !copied;
        if (random(16) === 0) zero = !zero;
        if (random(16) === 0) bitmap = [random(2) * random(TWO_32 - 1), 0];
        const isCompressed = random(40) === 0;
        view.setUint32(
          index * entrySize,
          ((copied ? COPIED_HI : 0) | (isCompressed ? 0x40000000 : 0) | Math.floor(host / TWO_32)) >>> 0,
        );
        view.setUint32(index * entrySize + 4, (host % TWO_32) + (zero && !isExtended ? 1 : 0));
        if (isExtended) bitmap.forEach((bits, n) => view.setUint32(index * entrySize + 8 + 4 * n, bits));
        if (host !== 0) host += CLUSTER;
      }
      for (const byCopied of [false, true])
        for (const isIdentity of [false, true])
          for (let index = 0; index < pieceEntries; index++) {
            const length = expectedLength(view, geometry, index, byCopied, isIdentity);
            mapRun(run, view, geometry, index, 0, Infinity, byCopied, isIdentity);
            expect([round, index, run.length]).toEqual([round, index, length]);
            mapRun(run, view, geometry, index, 0, 700, byCopied, isIdentity);
            expect(run.length).toBe(Math.min(700, length));
            longest = Math.max(longest, length);
          }
    }
    expect(longest).toBeGreaterThan(8 * CLUSTER);
  });
});
