/**
 * A guest that uses a disk while jobs run on it: random writes, zeroes, discards and flushes, each noted with its times, so that `GuestHistory` can tell
 * what must be on the disk at any moment. One request at a time; what it has written is in `model`.
 */
import type { BlockNode } from '../src/index.ts';
import {
  applyEvent,
  type ContentModel,
  fillContent,
  Random,
  type GuestEvent,
  type WriteLog,
} from '@emkit/storage-testbed';

const UNIT = 512;
const MOST_UNITS = 12;

export class JobGuest {
  readonly events: GuestEvent[] = [];
  readonly model: ContentModel;
  readonly #disk: BlockNode;
  readonly #log: WriteLog;
  readonly #random: Random;
  #isOn = false;
  #work: Promise<void> = Promise.resolve();

  constructor(disk: BlockNode, initial: ContentModel, log: WriteLog, seed: number) {
    this.#disk = disk;
    this.model = initial.fork();
    this.#log = log;
    this.#random = new Random(seed);
  }

  /** Goes on by itself until `pause`, or for so many requests. */
  start(most = Infinity): void {
    this.#isOn = true;
    this.#work = this.#run(most);
  }

  /** Resolves when nothing of it is in flight. */
  async pause(): Promise<void> {
    this.#isOn = false;
    await this.#work;
  }

  /** Waits until it has done the requests it was started for. */
  async finished(): Promise<void> {
    await this.#work;
  }

  async #run(most: number): Promise<void> {
    for (let n = 0; this.#isOn && n < most; n++) {
      await this.#request();
      // the job has its turns too: more or fewer each time
      for (let turns = this.#random.below(24); turns > 0; turns--) await Promise.resolve();
    }
  }

  async #request(): Promise<void> {
    const disk = this.#disk;
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 20) return this.#note({ kind: 'flush' }, () => disk.flush?.());
    const sectors = disk.size / UNIT;
    const first = random.below(sectors);
    const offset = first * UNIT;
    const length = Math.min(1 + random.below(MOST_UNITS), sectors - first) * UNIT;
    const none = { kind: 'change', change: { offset, length } } as const;
    if (kind < 35)
      return this.#note({ ...none, isHint: false }, () =>
        disk.writeZeroes?.(offset, length, { unmap: random.chance(50) }),
      );
    if (kind < 45) return this.#note({ ...none, isHint: true }, () => disk.discard?.(offset, length));
    const data = new Uint8Array(length);
    fillContent(data, random.u32());
    await this.#note({ kind: 'change', change: { offset, length, data }, isHint: false }, () =>
      disk.write?.(offset, data),
    );
  }

  async #note(what: object, work: () => Promise<void> | undefined): Promise<void> {
    const event = { ...what, started: this.#log.tick(), done: Infinity, failed: false } as GuestEvent;
    this.events.push(event);
    await work();
    event.done = this.#log.tick();
    applyEvent(this.model, event, true);
  }
}
