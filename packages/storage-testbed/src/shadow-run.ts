/**
 * Runs operations on an image and on a byte array beside it, and compares everything that is read. Several draws at once run at the same
 * time where their ranges do not meet. With faults below, an operation may fail with a `BlockError`, and the model then holds both contents.
 */
import { isBlockError, isZero } from '@emkit/storage';
import type { BlockErrorKind, BlockImage, OpenOptions } from '@emkit/storage';
import type { ContentModel } from './content-model.ts';
import type { Directory } from './directory.ts';
import { applyEvent } from './guest-history.ts';
import type { GuestEvent } from './guest-history.ts';
import { openImage, virtualSize } from './image-setup.ts';
import type { ImageSetup } from './image-setup.ts';
import { decodeDraw } from './operation.ts';
import type { Draw, Operation } from './operation.ts';
import { fillContent } from './random.ts';

export interface ShadowOptions {
  /** Stamps the guest's events, for the cut engine; absent: no events are kept. */
  readonly tick?: () => number;
  /** Operations may fail with a `BlockError`. */
  readonly mayFail?: boolean;
  /** `check` may find leaks. */
  readonly mayLeak?: boolean;
  /** What the disk reads as now. */
  readonly model: ContentModel;
  readonly snapshots?: ReadonlyMap<string, ContentModel>;
  readonly openOptions?: Partial<OpenOptions>;
}

const HISTORY = 30;
const CHUNK = 1 << 16;
const REFUSALS: readonly BlockErrorKind[] = ['unsupported-feature', 'invalid-option'];

interface Snapshot {
  readonly content: ContentModel;
  readonly vmState: Uint8Array | undefined;
}

export class ShadowRun {
  readonly events: GuestEvent[] = [];
  model: ContentModel;
  /** Operations that were done. */
  operations = 0;
  /** Bytes that were written. */
  written = 0;
  readonly #setup: ImageSetup;
  readonly #directory: Directory;
  readonly #options: ShadowOptions;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #last: string[] = [];
  #image: BlockImage | undefined;

  constructor(setup: ImageSetup, directory: Directory, options: ShadowOptions) {
    this.#setup = setup;
    this.#directory = directory;
    this.#options = options;
    this.model = options.model.fork();
    for (const [name, content] of options.snapshots ?? []) this.#snapshots.set(name, { content, vmState: undefined });
  }

  get image(): BlockImage {
    if (this.#image === undefined) throw new Error('the image is not open');
    return this.#image;
  }

  get isOpen(): boolean {
    return this.#image !== undefined;
  }

  /** The last operations, for a failure's message. */
  describe(): string {
    return this.#last.join('\n');
  }

  async open(): Promise<void> {
    this.#image = await openImage(this.#setup, this.#directory, this.#options.openOptions);
    const { size } = this.#image;
    const { sizes } = this.model;
    const { isElastic = this.#setup.driver.name === 'raw' } = this.#setup;
    if (!sizes.includes(size) && !(isElastic && size >= Math.min(...sizes) && size <= Math.max(...sizes)))
      throw new Error(`opened with ${size} bytes, wanted ${sizes.join(' or ')}`);
    if (size !== this.model.size || sizes.length > 1) this.model.resize(size);
  }

  /** Draws of one call run at the same time, as far as they do not meet. */
  async step(draws: readonly Draw[]): Promise<void> {
    const taken: (readonly [number, number])[] = [];
    const together: Promise<void>[] = [];
    for (const draw of draws) {
      const operation = decodeDraw(draw, this.image, this.#space());
      if (!('offset' in operation)) {
        await settleAll(together.splice(0));
        taken.length = 0;
        await this.perform(operation);
        if (!this.isOpen) return;
        continue;
      }
      const { offset, length } = operation;
      if (taken.some(([start, end]) => offset < end && start < offset + length)) continue;
      taken.push([offset, offset + length]);
      together.push(this.perform(operation));
    }
    await settleAll(together);
  }

  async perform(operation: Operation): Promise<void> {
    this.operations++;
    if (this.#last.push(JSON.stringify(operation)) > HISTORY) this.#last.shift();
    const events = this.#eventsOf(operation);
    const started = this.#options.tick?.() ?? 0;
    const event =
      events === undefined ? undefined : ({ ...events, started, done: Infinity, failed: false } as GuestEvent);
    if (event !== undefined && this.#options.tick !== undefined) this.events.push(event);
    try {
      const isDone = await this.#run(operation);
      if (event === undefined || !isDone) return this.#forget(event);
      event.done = this.#options.tick?.() ?? 0;
    } catch (error) {
      if (event !== undefined) {
        event.failed = true;
        event.done = this.#options.tick?.() ?? 0;
      }
      if (this.#options.mayFail !== true || !isBlockError(error)) throw this.#explain(error, operation);
    }
    if (event !== undefined) applyEvent(this.model, event, true);
  }

  /** What must hold after a power cut or a fault. */
  async checkAfterCut(): Promise<void> {
    if (this.#setup.checkAfterCut === undefined) await this.perform({ op: 'check' });
    else await this.#setup.checkAfterCut(this.image);
  }

  /** Reads everything, and every snapshot. */
  async verify(): Promise<void> {
    const { image } = this;
    const buffer = new Uint8Array(CHUNK);
    for (let at = 0; at < image.size; at += CHUNK)
      await this.#compare(at, buffer.subarray(0, Math.min(CHUNK, image.size - at)));
    for (const name of image.snapshots === undefined ? [] : this.#snapshots.keys()) await this.#peek(name);
  }

  /** Closes; the last thing that is called. */
  async close(): Promise<void> {
    const { image } = this;
    this.#image = undefined;
    await image.close();
  }

  #space(): Parameters<typeof decodeDraw>[2] {
    return {
      cluster: this.#setup.cluster ?? this.image.clusterSize ?? 4096,
      granularity: this.#setup.granularity ?? 1,
      maxSize: virtualSize(this.#setup) * 2,
      snapshots: [...this.#snapshots.keys()],
    };
  }

  /** What the operation changes, if it is one that does. */
  #eventsOf(o: Operation): object | undefined {
    switch (o.op) {
      case 'write':
      case 'compressed': {
        const data = new Uint8Array(o.length);
        fillContent(data, o.tag);
        return { kind: 'change', change: { offset: o.offset, length: o.length, data }, isHint: false };
      }
      case 'zero':
      case 'discard':
        return { kind: 'change', change: { offset: o.offset, length: o.length }, isHint: o.op === 'discard' };
      case 'flush':
      case 'reopen':
        return { kind: 'flush' };
      case 'resize':
        return { kind: 'resize', size: o.size, fresh: this.#setup.fresh ?? 'zero' };
      case 'snapshot':
        return { kind: 'snapshot', name: o.name, content: this.model.fork() };
      case 'apply':
        return { kind: 'apply', content: (this.#snapshots.get(o.name) as Snapshot).content };
      case 'delete':
        return { kind: 'delete', name: o.name };
      default:
        return undefined;
    }
  }

  /** False: the format refused, and nothing has changed. */
  async #run(o: Operation): Promise<boolean> {
    const { image } = this;
    switch (o.op) {
      case 'read':
        return this.#compare(o.offset, new Uint8Array(o.length));
      case 'write':
      case 'compressed': {
        const data = new Uint8Array(o.length);
        fillContent(data, o.tag);
        this.written += o.length;
        if (o.op === 'write') await image.write?.(o.offset, data);
        else return this.#accepted(image.writeCompressed?.(o.offset, data));
        return true;
      }
      case 'zero':
        await image.writeZeroes?.(o.offset, o.length, { unmap: o.unmap });
        return true;
      case 'discard':
        await image.discard?.(o.offset, o.length);
        return true;
      case 'flush':
        await image.flush?.();
        return true;
      case 'reopen':
        await this.close();
        await this.open();
        return true;
      case 'status':
        return this.#status(o.offset, o.length);
      case 'check':
        return this.#check();
      case 'verify':
        await this.verify();
        return true;
      case 'resize':
        return this.#accepted(image.resize?.(o.size, { shrink: true }));
      default:
        return this.#snapshot(o);
    }
  }

  async #snapshot(o: Operation & { readonly name: string }): Promise<boolean> {
    const store = this.image.snapshots;
    if (store === undefined) throw new Error('the image has no snapshots any more');
    if (o.op === 'apply') return this.#accepted(store.apply(o.name));
    if (o.op === 'peek') return this.#peek(o.name);
    if (o.op === 'delete') {
      this.#snapshots.delete(o.name);
      return this.#accepted(store.delete(o.name));
    }
    if (o.op !== 'snapshot') return false;
    const vmState = o.vmState === 0 ? undefined : new Uint8Array(o.vmState);
    if (vmState !== undefined) fillContent(vmState, o.tag || 1);
    const content = this.model.fork();
    const isDone = await this.#accepted(
      store.create({ name: o.name, ...(vmState === undefined ? {} : { vmState }) }),
      // a refcount may be too narrow for one more snapshot
      this.#options.mayFail === true ? [] : ['no-space'],
    );
    if (isDone) this.#snapshots.set(o.name, { content, vmState });
    return isDone;
  }

  async #peek(name: string): Promise<boolean> {
    const { content, vmState } = this.#snapshots.get(name) as Snapshot;
    const store = this.image.snapshots;
    const disk = await store?.open(name);
    if (store === undefined || disk === undefined) throw new Error(`snapshot ${name} is not there`);
    if (!content.sizes.includes(disk.size))
      throw new Error(`snapshot ${name} has ${disk.size} bytes, wanted ${content.sizes.join(' or ')}`);
    for (let at = 0; at < disk.size; at += CHUNK) {
      const buffer = new Uint8Array(Math.min(CHUNK, disk.size - at)).fill(0xa5);
      await disk.read(at, buffer);
      const wrong = content.check(at, buffer);
      if (wrong !== undefined) throw new Error(`snapshot ${name} ${wrong}`);
    }
    if (vmState === undefined) return true;
    const buffer = new Uint8Array(vmState.length).fill(0xa5);
    await store.readVmState(name, 0, buffer);
    if (buffer.some((byte, i) => byte !== vmState[i])) throw new Error(`snapshot ${name} has another machine state`);
    return true;
  }

  async #compare(offset: number, buffer: Uint8Array): Promise<boolean> {
    // a byte that is not written to shows up
    buffer.fill(0xa5);
    await this.image.read(offset, buffer);
    const wrong = this.model.check(offset, buffer);
    if (wrong !== undefined) throw new Error(wrong);
    this.model.settle(offset, buffer);
    return true;
  }

  async #status(offset: number, length: number): Promise<boolean> {
    for (let at = offset; at < offset + length;) {
      const wanted = offset + length - at;
      const status = await this.image.status(at, wanted);
      if (!(Number.isInteger(status.length) && status.length > 0 && status.length <= wanted))
        throw new Error(`status at ${at} covers ${status.length} bytes where ${wanted} were asked about`);
      // of a whole disk only a piece is looked at, to stay quick
      const piece = new Uint8Array(Math.min(status.length, CHUNK));
      if (status.zero) {
        await this.image.read(at, piece);
        if (!isZero(piece) && !(status.allocated === false && this.image.backing !== undefined))
          throw new Error(`status says zero at ${at}, and it reads otherwise`);
      }
      if (!status.allocated && this.image.backing === undefined && !this.model.isZero(at, piece.length))
        throw new Error(`status says unallocated at ${at}, where there is data`);
      at += status.length;
    }
    return true;
  }

  async #check(): Promise<boolean> {
    const lines: string[] = [];
    const result = await this.image.check?.({ report: (line) => void lines.push(line) });
    if (result === undefined) return true;
    const leaks = this.#options.mayLeak === true ? 0 : result.leaks;
    if (result.corruptions > 0 || result.checkErrors > 0 || leaks > 0)
      throw new Error(
        `check: ${result.corruptions} corruptions, ${result.leaks} leaks, ${result.checkErrors} errors\n${lines.slice(0, 10).join('\n')}`,
      );
    return true;
  }

  /** False when the format says that it does not do this here. */
  async #accepted(work: Promise<unknown> | undefined, more: readonly BlockErrorKind[] = []): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      if (isBlockError(error) && [...REFUSALS, ...more].includes(error.kind)) return false;
      throw error;
    }
  }

  #forget(event: GuestEvent | undefined): void {
    if (event !== undefined && this.events.includes(event)) this.events.splice(this.events.indexOf(event), 1);
  }

  #explain(error: unknown, operation: Operation): Error {
    const text = error instanceof Error ? error.message : String(error);
    return new Error(`${JSON.stringify(operation)}: ${text}\nlast operations:\n${this.describe()}`, { cause: error });
  }
}

/** All of them end before the first error is thrown. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
