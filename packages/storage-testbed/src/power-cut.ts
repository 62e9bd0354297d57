/**
 * The disks as a power cut can leave them, at every moment of a log. What a completed flush covers (the writes that had resolved before it
 * was called) is there; of everything else any part may be, sector by sector: a disk and a host's cache write back in any order, but a
 * sector is never half old and half new. Versions of one sector follow each other in order.
 */
import type { Disk } from './disk.ts';
import { Random } from './random.ts';
import type { LogEntry, WriteLog } from './recorder.ts';

/** A write of one sector is atomic. */
export const SECTOR = 512;

export interface Cut {
  /** Everything that began up to this moment of the log's clock may be on the disks. */
  readonly time: number;
  /**
   * `prefix`: all writes in order up to here. `torn`: the same, the last one in part. `subset`: any of the un-flushed writes, whole or in
   * part. `none`: none of them.
   */
  readonly kind: 'prefix' | 'torn' | 'subset' | 'none';
  /** By index as in the log; may be written to. */
  readonly disks: readonly Disk[];
}

export interface CutOptions {
  readonly seed?: number;
  /** Random subsets at each moment. @default 2 */
  readonly subsets?: number;
  /** Versions of a torn last write at each moment. @default 1 */
  readonly torn?: number;
}

/** Lazily: who has seen enough stops asking. */
export function* powerCuts(log: WriteLog, options: CutOptions = {}): Generator<Cut, void> {
  const { seed = 1, subsets = 2, torn = 1 } = options;
  const random = new Random(seed);
  const durable = log.disks.map(({ base }) => base.fork());
  const full = durable.map((disk) => disk.fork());
  let volatile: LogEntry[] = [];
  const fork = (disks: readonly Disk[]): Disk[] => disks.map((disk) => disk.fork());
  for (const { time, entry, ends } of moments(log)) {
    if (ends) {
      const covered = (e: LogEntry): boolean => e.disk === entry.disk && e.done < entry.started;
      for (const e of volatile) if (covered(e)) apply(durable, e);
      volatile = volatile.filter((e) => !covered(e));
    } else {
      for (let i = 0; i < torn && spansSectors(entry); i++) {
        const disks = fork(full);
        applyPart(disks, entry, random);
        yield { time, kind: 'torn', disks };
      }
      apply(full, entry);
      volatile.push(entry);
    }
    yield { time, kind: 'prefix', disks: fork(full) };
    if (volatile.length === 0) continue;
    if (subsets > 0 && volatile.length > 1) yield { time, kind: 'none', disks: fork(durable) };
    for (let i = 0; i < subsets; i++) {
      const disks = fork(durable);
      const keep = random.pick([15, 50, 85]);
      for (const e of volatile) {
        if (!random.chance(keep)) continue;
        if (spansSectors(e) && random.chance(30)) applyPart(disks, e, random);
        else apply(disks, e);
      }
      yield { time, kind: 'subset', disks };
    }
  }
}

interface Moment {
  readonly time: number;
  readonly entry: LogEntry;
  /** A flush has completed; otherwise a change has begun. */
  readonly ends: boolean;
}

function moments(log: WriteLog): Moment[] {
  const all: Moment[] = [];
  for (const entry of log.entries) {
    if (entry.kind !== 'flush') all.push({ time: entry.started, entry, ends: false });
    else if (entry.done !== Infinity) all.push({ time: entry.done, entry, ends: true });
  }
  return all.sort((a, b) => a.time - b.time);
}

function spansSectors(e: LogEntry): boolean {
  if (e.kind === 'write') return Math.floor(e.offset / SECTOR) < Math.floor((e.offset + e.data.length - 1) / SECTOR);
  return (e.kind === 'zero' || e.kind === 'discard') && e.length > SECTOR;
}

function apply(disks: readonly Disk[], e: LogEntry): void {
  const disk = disks[e.disk] as Disk;
  if (e.kind === 'write') disk.put(e.offset, e.data);
  else if (e.kind === 'truncate') disk.resize(e.size);
  else if (e.kind === 'zero' || e.kind === 'discard') {
    if (e.kind === 'zero' && e.offset + e.length > disk.size) disk.resize(e.offset + e.length);
    disk.clear(e.offset, e.length);
  }
}

/** Some of the sectors of a change: the first ones, or any. The file may have its new length without them. */
function applyPart(disks: readonly Disk[], e: LogEntry, random: Random): void {
  if (e.kind !== 'write' && e.kind !== 'zero' && e.kind !== 'discard') return;
  const disk = disks[e.disk] as Disk;
  const end = e.offset + (e.kind === 'write' ? e.data.length : e.length);
  if (e.kind !== 'discard' && end > disk.size && random.chance(30)) disk.resize(end);
  const isPrefix = random.chance(50);
  const sectors = Math.ceil(end / SECTOR) - Math.floor(e.offset / SECTOR);
  let left = random.below(sectors);
  for (let at = e.offset; at < end;) {
    const next = Math.min((Math.floor(at / SECTOR) + 1) * SECTOR, end);
    if (isPrefix ? left-- > 0 : random.chance(50)) {
      if (e.kind === 'write') disk.put(at, e.data.subarray(at - e.offset, next - e.offset));
      else {
        if (e.kind === 'zero' && next > disk.size) disk.resize(next);
        disk.clear(at, next - at);
      }
    }
    at = next;
  }
}
