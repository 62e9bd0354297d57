/**
 * Logs what a format does to its disks: every change and flush with its data and the times it began and ended, on one clock for all disks
 * of an image. `powerCuts` makes disks out of a log. The clock counts events; nothing here takes real time.
 */
import type { Extent, IoOptions, WritableStorage, ZeroOptions } from '@emkit/storage';
import type { Disk } from './disk.ts';

export type LogEntry = {
  /** Index in `WriteLog.disks`. */
  readonly disk: number;
  readonly started: number;
  /** Infinity while it is under way, and for ever when it failed. */
  done: number;
} & (
  | { readonly kind: 'write'; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: 'zero' | 'discard'; readonly offset: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly size: number }
  | { readonly kind: 'flush' }
);

type WithoutTimes<T> = T extends unknown ? Omit<T, 'started' | 'done'> : never;

export class WriteLog {
  /** Each disk as it was when its recording began. */
  readonly disks: { readonly name: string; readonly base: Disk }[] = [];
  readonly entries: LogEntry[] = [];
  #now = 0;

  /** The next moment; callers stamp their own operations with it. */
  tick(): number {
    return ++this.#now;
  }

  begin(entry: WithoutTimes<LogEntry>): LogEntry {
    const logged = { ...entry, started: this.tick(), done: Infinity } as LogEntry;
    this.entries.push(logged);
    return logged;
  }

  /** One line per entry, for a failure's message. */
  describe(last = 40): string {
    return this.entries
      .slice(-last)
      .map((e) => `${e.started}-${e.done} ${this.disks[e.disk]?.name ?? ''} ${what(e)}`)
      .join('\n');
  }
}

function what(e: LogEntry): string {
  if (e.kind === 'write') return `write ${e.data.length} at ${e.offset}`;
  if (e.kind === 'flush') return 'flush';
  return e.kind === 'truncate' ? `truncate to ${e.size}` : `${e.kind} ${e.length} at ${e.offset}`;
}

/** Passes everything on to a disk and logs it. */
export class Recorder implements WritableStorage {
  readonly log: WriteLog;
  readonly #disk: Disk;
  readonly #index: number;

  constructor(disk: Disk, log: WriteLog = new WriteLog(), name = disk.name ?? 'image') {
    this.log = log;
    this.#disk = disk;
    this.#index = log.disks.push({ name, base: disk.fork() }) - 1;
  }

  get size(): number {
    return this.#disk.size;
  }

  get name(): string | undefined {
    return this.#disk.name;
  }

  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#disk.read(offset, buffer, options);
  }

  extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    return this.#disk.extent(offset, length, options);
  }

  write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const data = buffer.slice();
    return this.#run({ kind: 'write', disk: this.#index, offset, data }, this.#disk.write(offset, data, options));
  }

  flush(options?: IoOptions): Promise<void> {
    return this.#run({ kind: 'flush', disk: this.#index }, this.#disk.flush(options));
  }

  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.#run({ kind: 'truncate', disk: this.#index, size }, this.#disk.truncate(size, options));
  }

  writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    const done = this.#disk.writeZeroes(offset, length, options);
    return this.#run({ kind: 'zero', disk: this.#index, offset, length }, done);
  }

  discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    const done = this.#disk.discard(offset, length, options);
    return this.#run({ kind: 'discard', disk: this.#index, offset, length }, done);
  }

  async #run(entry: WithoutTimes<LogEntry>, work: Promise<void>): Promise<void> {
    const logged = this.log.begin(entry);
    await work;
    logged.done = this.log.tick();
  }
}
