/**
 * A place in the graph: an open image with a name, its children, its users, and the rules for requests on their way in (drain, limit of requests in
 * flight, zero detection, discard mode, write tracking). It is itself an image, so nodes stack and the image inside can be exchanged.
 *
 * Does no translation of data: that is the driver's. Invariants: `inFlight` <= the limit; while drained nothing is in flight, and new
 * requests wait in order; a write is marked in the bitmaps before its promise settles.
 */
import {
  BlockError,
  checkAborted,
  isZero,
  type BlockImage,
  type BlockStatus,
  type ImageInfo,
  type IoOptions,
  type Reference,
  type Storage,
  type ZeroOptions,
} from '@emkit/storage';
import type { BlockGraph } from './block-graph.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import { LIMITS } from './limits.ts';
import type { OptionTree } from './option-tree.ts';
import { adoptEdge, createEdge, type BlockEdge, type EdgeRequest } from './permissions.ts';
import { RangeLock } from './range-lock.ts';

export interface NodeOptions {
  /** `node-name`; default a generated one. */
  readonly name?: string | undefined;
  /** The name that the image was opened by, for messages and relative names. */
  readonly filename?: string | undefined;
  readonly guessedRaw?: boolean | undefined;
  readonly options?: OptionTree | undefined;
  readonly detectZeroes?: 'off' | 'on' | 'unmap' | undefined;
  readonly discard?: 'unmap' | 'ignore' | undefined;
  readonly writeThrough?: boolean | undefined;
  readonly noFlush?: boolean | undefined;
  readonly maxInFlight?: number | undefined;
  /** Opens the same image again, for reading only or not; called with the node drained and the old image closed. */
  readonly reopen?: ((readOnly: boolean, node: BlockNode) => Promise<BlockImage>) | undefined;
  /** What closes after the image: storages that were opened for it. */
  readonly onClose?: (() => Promise<void>) | undefined;
}

/** Is told of a write before it happens; the write waits for the promise. */
export type BeforeWrite = (offset: number, length: number) => Promise<void> | undefined;

export class BlockNode implements BlockImage {
  readonly graph: BlockGraph;
  readonly name: string;
  declare write?: NonNullable<BlockImage['write']>;
  declare flush?: NonNullable<BlockImage['flush']>;
  declare truncate?: NonNullable<BlockImage['truncate']>;
  declare writeZeroes?: NonNullable<BlockImage['writeZeroes']>;
  declare discard?: NonNullable<BlockImage['discard']>;
  declare extent?: NonNullable<BlockImage['extent']>;
  #image: BlockImage;
  #how: NodeOptions;
  readonly #limit: number;
  #children = new Map<string, BlockEdge>();
  readonly #edges = new Set<BlockEdge>();
  #owned = new Set<BlockNode>();
  readonly #bitmaps = new Set<DirtyBitmap>();
  readonly #beforeWrite = new Set<BeforeWrite>();
  readonly #waiting: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];
  #serial: RangeLock | undefined;
  #serializers = 0;
  #inFlight = 0;
  #drains = 0;
  #closed = false;
  /** The image is being closed by the node, which then sees to the children itself. */
  #isReplacing = false;

  constructor(graph: BlockGraph, image: BlockImage, how: NodeOptions = {}) {
    this.graph = graph;
    this.#image = image;
    this.#how = how;
    this.#limit = Math.max(1, Math.min(how.maxInFlight ?? LIMITS.IN_FLIGHT, LIMITS.IN_FLIGHT));
    this.name = graph.add(this, how.name);
    this.#offer();
  }

  /** The driver's image, for what a node does not pass on (`check`, `resize`, `snapshots`, ...). Another one after `reopen`. */
  get image(): BlockImage {
    return this.#image;
  }
  /** The name that the image was opened by. */
  get filename(): string | undefined {
    return this.#how.filename;
  }
  get guessedRaw(): boolean {
    return this.#how.guessedRaw ?? false;
  }
  get options(): OptionTree {
    return this.#how.options ?? {};
  }
  get driver(): string {
    return this.#image.driver;
  }
  get size(): number {
    return this.#image.size;
  }
  get readOnly(): boolean {
    return this.#image.readOnly;
  }
  get alignment(): number {
    return this.#image.alignment;
  }
  get clusterSize(): number | undefined {
    return this.#image.clusterSize;
  }
  get mayBlock(): boolean | undefined {
    return this.#image.mayBlock;
  }
  get file(): Storage {
    return this.#image.file;
  }
  get backing(): Storage | undefined {
    return this.#image.backing;
  }
  get backingReference(): Reference | undefined {
    return this.#image.backingReference;
  }
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Nodes that this one uses, by role: `file`, `backing`, `data-file`. */
  get children(): ReadonlyMap<string, BlockNode> {
    return new Map([...this.#children].map(([role, edge]) => [role, edge.node]));
  }
  /** Its users. */
  get edges(): ReadonlySet<BlockEdge> {
    return this.#edges;
  }
  /** Whether `node` is below this one. */
  uses(node: BlockNode): boolean {
    for (const edge of this.#children.values()) if (edge.node === node || edge.node.uses(node)) return true;
    return false;
  }

  /** Throws `locked` in QEMU's words when it conflicts with another user. */
  attach(request: EdgeRequest): BlockEdge {
    if (this.#closed) throw new BlockError('closed', `node '${this.name}' is closed`);
    return createEdge(this, this.#edges, request);
  }

  /**
   * For those who build a graph: puts `child` into a role, in place of what was there. `owned`: this node closes it, if nobody else uses it then.
   */
  setChild(role: string, child: BlockNode | undefined, request?: EdgeRequest, owned = true): void {
    if (child !== undefined && (child === this || child.uses(this)))
      throw new BlockError('invalid-option', `Making '${child.name}' a ${role} of '${this.name}' would create a cycle`);
    const old = this.#children.get(role);
    const edge = child?.attach(
      request ?? { user: this.name, role: 'backing', uses: ['read'], shares: ['read'], parent: this },
    );
    old?.detach();
    if (edge === undefined) this.#children.delete(role);
    else this.#children.set(role, edge);
    if (child !== undefined && owned) this.#owned.add(child);
  }

  /** The use that this node makes of a child, for jobs that must change what it lets others do. */
  childEdge(role: string): BlockEdge | undefined {
    return this.#children.get(role);
  }

  /** Hot path. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    if (this.#drains > 0 || this.#inFlight >= this.#limit)
      return this.#queued(() => this.#image.read(offset, buffer, options), options);
    this.#inFlight++;
    return this.#leaving(() => this.#image.read(offset, buffer, options));
  }

  status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    return this.#request(() => this.#image.status(offset, length, options), options);
  }
  info(options?: IoOptions): Promise<ImageInfo> {
    return this.#request(() => this.#image.info(options), options);
  }

  /** Stops new requests and waits for those in flight. Counted: as many `drainEnd`. */
  async drainBegin(): Promise<void> {
    this.#drains++;
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  drainEnd(): void {
    this.#drains--;
    while (this.#drains === 0 && this.#inFlight < this.#limit && this.#waiting.length > 0) {
      this.#inFlight++;
      this.#waiting.shift()?.();
    }
  }

  /** From now on marks what is written, until the returned function is called. */
  trackWrites(bitmap: DirtyBitmap): () => void {
    this.#bitmaps.add(bitmap);
    return () => void this.#bitmaps.delete(bitmap);
  }

  /** From now on asks before each write (zeroes, discards and truncation included), until the returned function is called. */
  interceptWrites(hook: BeforeWrite): () => void {
    this.#beforeWrite.add(hook);
    return () => void this.#beforeWrite.delete(hook);
  }

  /**
   * While somebody holds this, `serialized` can be used, and writes that overlap go one after the other. Starts with the node drained, so that no write
   * is unknown.
   */
  async serializeWrites(): Promise<() => void> {
    await this.graph.drained([this], () => {
      this.#serial ??= new RangeLock();
      this.#serializers++;
    });
    return () => {
      if (--this.#serializers === 0) this.#serial = undefined;
    };
  }

  /** Runs `body` with no write to the range in flight; new ones wait. `body` uses `image`, and `serializeWrites` is held. */
  serialized<T>(offset: number, length: number, body: () => Promise<T>): Promise<T> {
    if (this.#serial === undefined) throw new BlockError('invalid-option', 'writes are not serialized');
    return this.#serial.run(offset, length, body);
  }

  /**
   * The two nodes change places: whoever uses this one uses `other`'s image from now on. Names and users stay. Both are drained, and neither is
   * below the other.
   */
  exchange(other: BlockNode): void {
    [this.#image, other.#image] = [other.#image, this.#image];
    [this.#how, other.#how] = [other.#how, this.#how];
    [this.#children, other.#children] = [other.#children, this.#children];
    [this.#owned, other.#owned] = [other.#owned, this.#owned];
    for (const node of [this, other]) {
      for (const edge of node.#children.values()) adoptEdge(edge, node);
      node.#offer();
    }
  }

  /** Exchanges the backing file while the node is drained; the header is not changed. Throws `invalid-option` if the driver cannot. */
  async replaceBacking(backing: BlockNode | undefined): Promise<void> {
    if (this.#image.setBacking === undefined)
      throw new BlockError('invalid-option', `The driver '${this.driver}' cannot exchange a backing file`);
    await this.graph.drained([this], () => {
      this.setChild('backing', backing);
      this.#image.setBacking?.(backing);
    });
  }

  /** For reading and writing, or reading only. Rejects with `read-only` if the node cannot be reopened; when it fails the node is as before. */
  async reopen(readOnly: boolean): Promise<void> {
    if (readOnly === this.readOnly) return;
    const open = this.#how.reopen;
    if (open === undefined) throw new BlockError('read-only', `Block node '${this.name}' is read-only`);
    await this.graph.drained([this], async () => {
      this.#isReplacing = true;
      try {
        await this.#image.close();
        this.#image = await open(readOnly, this).catch(async (error: unknown) => {
          this.#image = await open(!readOnly, this);
          throw error;
        });
      } finally {
        this.#isReplacing = false;
        this.#offer();
      }
      for (const edge of this.#children.values())
        if (edge.role !== 'backing') edge.change(readOnly ? ['read'] : ['read', 'write', 'resize'], edge.shares);
    });
  }

  /**
   * Closes the image, then every child that it owns and that has no other user. Rejects with `locked` while somebody uses the node; of a driver
   * that closes what it was given it is nothing, since the node above does so itself.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#edges.size > 0) {
      const users = [...this.#edges];
      if (users.some(({ parent }) => parent !== undefined && (parent.#closed || parent.#isReplacing))) return;
      throw new BlockError('locked', `Node '${this.name}' is busy: used by '${users[0]?.user}' as '${users[0]?.role}'`);
    }
    this.#closed = true;
    await this.drainBegin();
    this.drainEnd();
    this.graph.remove(this);
    const failures: unknown[] = [];
    await this.#image.close().catch((error: unknown) => failures.push(error));
    const children = [...this.#children.values()];
    this.#children.clear();
    for (const edge of children) edge.detach();
    await this.#how.onClose?.().catch((error: unknown) => failures.push(error));
    for (const { node } of children)
      if (this.#owned.has(node) && node.edges.size === 0)
        await node.close().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  /** Capabilities are the image's: a method is there if and only if the image has it. */
  #offer(): void {
    const image = this.#image;
    const how = this.#how;
    for (const key of ['write', 'flush', 'truncate', 'writeZeroes', 'discard', 'extent'] as const)
      Reflect.deleteProperty(this, key);
    if (image.extent !== undefined)
      this.extent = (offset, length, options) =>
        this.#request(() => this.#present('extent')(offset, length, options), options);
    if (image.write === undefined || image.readOnly) return;
    this.write = (offset, buffer, options) => this.#write(offset, buffer, options);
    this.flush = (options) =>
      how.noFlush === true ? Promise.resolve() : this.#request(() => this.#present('flush')(options), options);
    if (image.truncate !== undefined)
      this.truncate = (size, options) =>
        this.#change(
          Math.min(size, this.size),
          Math.abs(size - this.size),
          () => this.#present('truncate')(size, options),
          options,
        );
    if (image.writeZeroes !== undefined)
      this.writeZeroes = (offset, length, options) => this.#writeZeroes(offset, length, options);
    if (image.discard !== undefined)
      this.discard = (offset, length, options) =>
        how.discard === 'unmap'
          ? this.#change(offset, length, () => this.#present('discard')(offset, length, options), options)
          : Promise.resolve();
  }

  #present<K extends 'write' | 'flush' | 'truncate' | 'writeZeroes' | 'discard' | 'extent'>(
    key: K,
  ): NonNullable<BlockImage[K]> {
    const method = this.#image[key];
    if (method === undefined) throw new BlockError('read-only', `Block node '${this.name}' is read-only`);
    return method.bind(this.#image) as NonNullable<BlockImage[K]>;
  }

  #write(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    const { detectZeroes } = this.#how;
    if (detectZeroes !== undefined && detectZeroes !== 'off' && this.writeZeroes !== undefined && isZero(buffer))
      return this.#writeZeroes(offset, buffer.length, { ...options, unmap: detectZeroes === 'unmap' });
    return this.#change(offset, buffer.length, () => this.#present('write')(offset, buffer, options), options);
  }

  #writeZeroes(offset: number, length: number, options: ZeroOptions | undefined): Promise<void> {
    return this.#change(offset, length, () => this.#present('writeZeroes')(offset, length, options), options);
  }

  #request<T>(start: () => Promise<T>, options: IoOptions | undefined): Promise<T> {
    if (this.#drains > 0 || this.#inFlight >= this.#limit) return this.#queued(start, options);
    this.#inFlight++;
    return this.#leaving(start);
  }

  /** A request that changes the range. */
  #change(offset: number, length: number, start: () => Promise<void>, options: IoOptions | undefined): Promise<void> {
    const isPlain =
      this.#bitmaps.size === 0 &&
      this.#beforeWrite.size === 0 &&
      this.#serial === undefined &&
      this.#how.writeThrough !== true;
    // what tracks writes can appear while the request waits, so a waiting request decides when its turn has come
    if (isPlain && this.#drains === 0 && this.#inFlight < this.#limit) return this.#request(start, options);
    const watched = async (): Promise<void> => {
      try {
        for (const hook of this.#beforeWrite) await hook(offset, length);
        await start();
        if (this.#how.writeThrough === true) await this.#image.flush?.(options);
      } finally {
        for (const bitmap of this.#bitmaps) bitmap.set(offset, length);
      }
    };
    return this.#request(
      () => (this.#serial === undefined ? watched() : this.#serial.run(offset, length, watched)),
      options,
    );
  }

  async #queued<T>(start: () => Promise<T>, options: IoOptions | undefined): Promise<T> {
    const signal = options?.signal;
    checkAborted(signal);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (signal?.aborted === true) {
      this.#leave();
      checkAborted(signal);
    }
    return this.#leaving(start);
  }

  /** Counts the request out when it ends, also when the driver throws at once. */
  #leaving<T>(start: () => Promise<T>): Promise<T> {
    try {
      return start().then(this.#ended, this.#failed) as Promise<T>;
    } catch (error) {
      this.#leave();
      return Promise.reject(error);
    }
  }

  readonly #ended = (value: unknown): unknown => {
    this.#leave();
    return value;
  };
  readonly #failed = (error: unknown): never => {
    this.#leave();
    throw error;
  };

  /** Hands the place to the next in line. */
  #leave(): void {
    const next = this.#drains === 0 ? this.#waiting.shift() : undefined;
    if (next !== undefined) return next();
    this.#inFlight--;
    if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
