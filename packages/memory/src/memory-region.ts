/**
 * The tree from which an address space is made: containers hold regions at offsets, aliases show a part of another
 * region, RAM/ROM/IO regions end a branch. Where regions overlap, the higher priority wins; of equal priorities the
 * one added last.
 *
 * Any change is told upwards (through containers and aliases) to the address spaces that show the region; they
 * rebuild at once, or at the end of the outermost `transaction`.
 * Sizes and offsets are bytes as safe integers; the one larger size allowed is SIZE_2_64.
 */
import { IoHandler, type IoOps } from './io-ops.ts';
import { MAX_REGION_DEPTH, SIZE_2_64 } from './limits.ts';
import { MemoryMapError } from './mem-tx.ts';
import type { RamBlock } from './ram-block.ts';

export type RegionKind = 'container' | 'ram' | 'rom' | 'io' | 'alias';

/** An address space seen from below. */
export interface RegionObserver {
  regionChanged(): void;
  hold(): void;
  release(): void;
}

interface RegionInit {
  readonly kind: RegionKind;
  readonly name: string;
  readonly size: number;
  readonly block?: RamBlock;
  readonly blockOffset?: number;
  readonly handler?: IoHandler;
  readonly target?: MemoryRegion;
  readonly targetOffset?: number;
  readonly readonly?: boolean;
}

export interface AliasOptions {
  /** First byte of the target that is shown. @default 0 */
  readonly offset?: number;
  /** Bytes shown. @default the rest of the target */
  readonly size?: number;
  /** Stores through this alias are ignored. @default false */
  readonly readonly?: boolean;
}

export class MemoryRegion {
  readonly name: string;
  readonly kind: RegionKind;
  /** RAM and ROM only. */
  readonly block: RamBlock | null;
  readonly blockOffset: number;
  /** IO only. */
  readonly handler: IoHandler | null;
  /** Alias only. */
  readonly target: MemoryRegion | null;
  readonly observers = new Set<RegionObserver>();

  #size: number;
  #readonly: boolean;
  #enabled = true;
  #targetOffset: number;
  #parent: MemoryRegion | null = null;
  #offset = 0;
  #priority = 0;
  /** Highest priority first; the order in which a view is filled. */
  readonly #children: MemoryRegion[] = [];
  readonly #aliases = new Set<MemoryRegion>();

  private constructor(init: RegionInit) {
    checkSize(init.name, init.size);
    this.name = init.name;
    this.kind = init.kind;
    this.#size = init.size;
    this.block = init.block ?? null;
    this.blockOffset = init.blockOffset ?? 0;
    this.handler = init.handler ?? null;
    this.target = init.target ?? null;
    this.#targetOffset = init.targetOffset ?? 0;
    this.#readonly = init.readonly ?? false;
    if (this.target !== null) this.target.#aliases.add(this);
  }

  /** A region that only holds others; its gaps are open bus. */
  static container(name: string, size: number = SIZE_2_64): MemoryRegion {
    return new MemoryRegion({ kind: 'container', name, size });
  }

  /** All of `block`, or `size` bytes of it from `offset`. */
  static ram(name: string, block: RamBlock, offset = 0, size = block.size - offset): MemoryRegion {
    return new MemoryRegion({ kind: 'ram', name, size, block, blockOffset: checkSlice(name, block, offset, size) });
  }

  /** Like `ram`, but stores are ignored (as a mask ROM does). */
  static rom(name: string, block: RamBlock, offset = 0, size = block.size - offset): MemoryRegion {
    return new MemoryRegion({
      kind: 'rom',
      name,
      size,
      block,
      blockOffset: checkSlice(name, block, offset, size),
      readonly: true,
    });
  }

  static io(name: string, size: number, ops: IoOps): MemoryRegion {
    return new MemoryRegion({ kind: 'io', name, size, handler: new IoHandler(ops) });
  }

  /** A window onto a part of `target`, which may be mapped elsewhere too, or nowhere. */
  static alias(name: string, target: MemoryRegion, options: AliasOptions = {}): MemoryRegion {
    const offset = options.offset ?? 0;
    const size = options.size ?? target.size - offset;
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new MemoryMapError(`alias ${name}: offset ${offset} is not a byte count`);
    return new MemoryRegion({
      kind: 'alias',
      name,
      size,
      target,
      targetOffset: offset,
      readonly: options.readonly ?? false,
    });
  }

  get size(): number {
    return this.#size;
  }
  get readonly(): boolean {
    return this.#readonly;
  }
  get enabled(): boolean {
    return this.#enabled;
  }
  get parent(): MemoryRegion | null {
    return this.#parent;
  }
  /** Where the region starts in its parent. */
  get offset(): number {
    return this.#offset;
  }
  get priority(): number {
    return this.#priority;
  }
  get targetOffset(): number {
    return this.#targetOffset;
  }
  get children(): readonly MemoryRegion[] {
    return this.#children;
  }

  /** Maps `child` at `offset`. A region has one parent; show it twice with an alias. The part beyond this region's end is cut off. */
  add(offset: number, child: MemoryRegion, priority = 0): void {
    checkOffset(child.name, offset);
    if (child.#parent !== null)
      throw new MemoryMapError(`region ${child.name} is already mapped in ${child.#parent.name}; use an alias`);
    if (this.kind === 'alias')
      throw new MemoryMapError(`region ${child.name} cannot be mapped in the alias ${this.name}`);
    this.#refuseCycle(child);
    child.#offset = offset;
    child.#priority = priority;
    child.#parent = this;
    this.#insert(child);
    this.#changed();
  }

  /** Unmaps `child`. Does nothing when it is not mapped here, so that unplug may run twice. */
  remove(child: MemoryRegion): void {
    const index = this.#children.indexOf(child);
    if (index < 0) return;
    this.#children.splice(index, 1);
    child.#parent = null;
    this.#changed();
  }

  /** Takes the region out of its parent, if it has one. */
  unmap(): void {
    this.#parent?.remove(this);
  }

  /** A disabled region (and all below it) is as if it were not mapped. */
  setEnabled(enabled: boolean): void {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    this.#changed();
  }

  /** Moves a mapped region within its parent. */
  setOffset(offset: number): void {
    checkOffset(this.name, offset);
    if (offset === this.#offset) return;
    this.#offset = offset;
    this.#changed();
  }

  setSize(size: number): void {
    checkSize(this.name, size);
    if (this.kind === 'ram' || this.kind === 'rom')
      throw new MemoryMapError(`region ${this.name}: RAM cannot be resized`);
    if (size === this.#size) return;
    this.#size = size;
    this.#changed();
  }

  setPriority(priority: number): void {
    if (priority === this.#priority) return;
    this.#priority = priority;
    if (this.#parent === null) return;
    this.#parent.#children.splice(this.#parent.#children.indexOf(this), 1);
    this.#parent.#insert(this);
    this.#changed();
  }

  setReadonly(readonly: boolean): void {
    if (readonly === this.#readonly) return;
    if (this.kind === 'rom') throw new MemoryMapError(`region ${this.name}: a ROM stays read-only`);
    this.#readonly = readonly;
    this.#changed();
  }

  /** Alias only: shows another part of the target. */
  setTargetOffset(offset: number): void {
    checkOffset(this.name, offset);
    if (offset === this.#targetOffset) return;
    this.#targetOffset = offset;
    this.#changed();
  }

  /** Runs `change`; address spaces that show this region rebuild once, at its end. May be nested. */
  transaction(change: () => void): void {
    const observers = this.#collectObservers();
    for (const observer of observers) observer.hold();
    try {
      change();
    } finally {
      for (const observer of observers) observer.release();
    }
  }

  #insert(child: MemoryRegion): void {
    const list = this.#children;
    let at = 0;
    while (at < list.length && (list[at] as MemoryRegion).#priority > child.#priority) at++;
    list.splice(at, 0, child);
  }

  #changed(): void {
    for (const observer of this.#collectObservers()) observer.regionChanged();
  }

  /** Every region that shows this one, itself included. */
  #ancestors(): Set<MemoryRegion> {
    const seen = new Set<MemoryRegion>([this]);
    for (const region of seen) {
      // a Set's iterator visits what is added meanwhile
      if (region.#parent !== null) seen.add(region.#parent);
      for (const alias of region.#aliases) seen.add(alias);
    }
    return seen;
  }

  #collectObservers(): Set<RegionObserver> {
    const found = new Set<RegionObserver>();
    for (const region of this.#ancestors()) for (const observer of region.observers) found.add(observer);
    return found;
  }

  /** A region must not come to contain itself, also not through aliases; and the tree must stay shallow. */
  #refuseCycle(child: MemoryRegion): void {
    if (this.#ancestors().has(child))
      throw new MemoryMapError(`mapping ${child.name} in ${this.name} would form a cycle`);
    const depth = this.#height() + 1 + child.#depth();
    if (depth > MAX_REGION_DEPTH)
      throw new MemoryMapError(`mapping ${child.name} in ${this.name}: tree deeper than ${MAX_REGION_DEPTH}`);
  }

  /** Longest path to a root; #refuseCycle has made sure that there is one. */
  #height(): number {
    let height = this.#parent === null ? 0 : 1 + this.#parent.#height();
    for (const alias of this.#aliases) height = Math.max(height, 1 + alias.#height());
    return height;
  }

  #depth(): number {
    let depth = this.target === null ? 1 : 1 + this.target.#depth();
    for (const child of this.#children) depth = Math.max(depth, 1 + child.#depth());
    return depth;
  }
}

function checkSize(name: string, size: number): void {
  if (size !== SIZE_2_64 && (!Number.isSafeInteger(size) || size <= 0))
    throw new MemoryMapError(`region ${name}: size ${size} is not in 1..2^53-1 or 2^64`);
}

function checkOffset(name: string, offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new MemoryMapError(`region ${name}: offset ${offset} is not in 0..2^53-1`);
}

function checkSlice(name: string, block: RamBlock, offset: number, size: number): number {
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + size > block.size) {
    throw new MemoryMapError(
      `region ${name}: ${offset}+${size} exceeds RAM block ${block.name} of ${block.size} bytes`,
    );
  }
  return offset;
}
