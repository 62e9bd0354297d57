/** As QEMU's blkdebug: faults at chosen requests, for tests of what stands above. */
import {
  BlockError,
  checkAborted,
  type BlockErrorKind,
  type BlockImage,
  type IoOptions,
  type ZeroOptions,
} from '@emkit/storage';
import type { BlockClock } from './environment.ts';
import { FilterImage } from './filter-image.ts';
import { LIMITS } from './limits.ts';

export interface FaultRule {
  readonly op: 'read' | 'write' | 'flush' | 'writeZeroes' | 'discard' | 'truncate' | 'any';
  /** Only requests that touch these bytes; default all. */
  readonly offset?: number;
  readonly length?: number;
  /** Pass that many matching requests first. */
  readonly after?: number;
  /** One time only. */
  readonly once?: boolean;
  /** Fail with this; absent: no failure (a delay only). The message is QEMU's. */
  readonly error?: BlockErrorKind;
  /** Do it, then fail: the answer was lost. */
  readonly late?: boolean;
  readonly delayNs?: number;
}

/** `rules` may be exchanged while it runs. */
export interface FaultInjector extends BlockImage {
  rules: readonly FaultRule[];
}

const MESSAGES: Partial<Record<BlockErrorKind, string>> = {
  io: 'Input/output error',
  'no-space': 'No space left on device',
  'read-only': 'Read-only file system',
};

class FaultImage extends FilterImage implements FaultInjector {
  readonly #clock: BlockClock | undefined;
  /** How often a rule has matched. */
  readonly #seen = new Map<FaultRule, number>();
  #rules: readonly FaultRule[] = [];

  constructor(child: BlockImage, rules: readonly FaultRule[], clock: BlockClock | undefined) {
    super('blkdebug', child);
    this.#clock = clock;
    this.rules = rules;
  }

  get rules(): readonly FaultRule[] {
    return this.#rules;
  }
  set rules(rules: readonly FaultRule[]) {
    if (rules.length > LIMITS.FAULT_RULES)
      throw new BlockError('invalid-option', `there are more than ${LIMITS.FAULT_RULES} fault rules`);
    if (this.#clock === undefined && rules.some(({ delayNs = 0 }) => delayNs > 0))
      throw new BlockError('invalid-option', 'a delay needs a clock');
    this.#rules = [...rules];
    this.#seen.clear();
  }

  override read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#meet('read', offset, buffer.length, options, () => this.child.read(offset, buffer, options));
  }
  protected override onWrite(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#meet('write', offset, buffer.length, options, () => super.onWrite(offset, buffer, options));
  }
  protected override onFlush(options?: IoOptions): Promise<void> {
    return this.#meet('flush', 0, Number.MAX_SAFE_INTEGER, options, () => super.onFlush(options));
  }
  protected override onTruncate(size: number, options?: IoOptions): Promise<void> {
    return this.#meet('truncate', 0, Number.MAX_SAFE_INTEGER, options, () => super.onTruncate(size, options));
  }
  protected override onWriteZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    return this.#meet('writeZeroes', offset, length, options, () => super.onWriteZeroes(offset, length, options));
  }
  protected override onDiscard(offset: number, length: number, options?: IoOptions): Promise<void> {
    return this.#meet('discard', offset, length, options, () => super.onDiscard(offset, length, options));
  }

  async #meet(
    op: FaultRule['op'],
    offset: number,
    length: number,
    options: IoOptions | undefined,
    body: () => Promise<void>,
  ): Promise<void> {
    const rule = this.#find(op, offset, length);
    if (rule === undefined) return body();
    if (rule.delayNs !== undefined && rule.delayNs > 0) await this.#clock?.sleep(rule.delayNs, options?.signal);
    checkAborted(options?.signal);
    if (rule.error === undefined) return body();
    if (rule.late === true) await body();
    throw new BlockError(rule.error, MESSAGES[rule.error] ?? `injected: ${rule.error}`, { offset });
  }

  #find(op: FaultRule['op'], offset: number, length: number): FaultRule | undefined {
    for (const rule of this.#rules) {
      if (rule.op !== 'any' && rule.op !== op) continue;
      const start = rule.offset ?? 0;
      if (offset >= start + (rule.length ?? Number.MAX_SAFE_INTEGER - start) || offset + length <= start) continue;
      const seen = this.#seen.get(rule) ?? 0;
      this.#seen.set(rule, seen + 1);
      const after = rule.after ?? 0;
      if (seen < after || (rule.once === true && seen > after)) continue;
      return rule;
    }
    return undefined;
  }
}

export const faultInjector = (child: BlockImage, rules: readonly FaultRule[], clock?: BlockClock): FaultInjector =>
  new FaultImage(child, rules, clock);
