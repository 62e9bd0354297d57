/** Filters by their driver's name, for `driver=throttle,...`: which child they have, and their options in QEMU's names. */
import { BlockError, type BlockErrorKind, type BlockImage } from '@emkit/storage';
import type { BlockClock } from './environment.ts';
import { copyOnRead } from './copy-on-read.ts';
import { faultInjector, type FaultRule } from './fault-injector.ts';
import { throttle, type ThrottleLimits } from './throttle.ts';
import { LIMITS } from './limits.ts';
import { bool, bytes, expectEmpty, number, text } from './node-options.ts';
import type { OptionTree, OptionValue } from './option-tree.ts';

export interface FilterDriver {
  readonly child: 'file' | 'image';
  make(child: BlockImage, own: OptionTree, clock: BlockClock | undefined): BlockImage;
}

const asTree = (value: OptionValue | undefined): OptionTree =>
  typeof value === 'object' && value !== null ? value : {};

export const FILTER_DRIVERS: ReadonlyMap<string, FilterDriver> = new Map<string, FilterDriver>([
  [
    'throttle',
    {
      child: 'file',
      make(child, own, clock) {
        const { limits, ...rest } = own;
        expectEmpty('throttle', rest);
        if (clock === undefined) throw new BlockError('invalid-option', 'throttling needs a clock');
        return throttle(child, throttleLimits(asTree(limits)), clock);
      },
    },
  ],
  [
    'copy-on-read',
    {
      child: 'file',
      make(child, own) {
        expectEmpty('copy-on-read', own);
        return copyOnRead(child);
      },
    },
  ],
  [
    'blkdebug',
    {
      child: 'image',
      make(child, own, clock) {
        const { 'inject-error': errors, align, ...rest } = own;
        expectEmpty('blkdebug', rest);
        if (align !== undefined && align !== 0) throw new BlockError('invalid-option', 'align: use `aligned`');
        return faultInjector(child, faultRules(asTree(errors)), clock);
      },
    },
  ],
]);

/** QEMU's ThrottleLimits, `limits.bps-total=...`. */
const LIMIT_NAMES = {
  'bps-total': 'bpsTotal',
  'bps-read': 'bpsRead',
  'bps-write': 'bpsWrite',
  'iops-total': 'iopsTotal',
  'iops-read': 'iopsRead',
  'iops-write': 'iopsWrite',
  'bps-total-max': 'bpsTotalMax',
  'bps-read-max': 'bpsReadMax',
  'bps-write-max': 'bpsWriteMax',
  'iops-total-max': 'iopsTotalMax',
  'iops-read-max': 'iopsReadMax',
  'iops-write-max': 'iopsWriteMax',
  'burst-length': 'maxLength',
  'iops-size': 'iopsSize',
} as const satisfies Record<string, keyof ThrottleLimits>;

function throttleLimits(tree: OptionTree): ThrottleLimits {
  const limits: { -readonly [K in keyof ThrottleLimits]: number } = {};
  for (const [key, value] of Object.entries(tree)) {
    if (!Object.hasOwn(LIMIT_NAMES, key))
      throw new BlockError('invalid-option', `Block format 'throttle' does not support the option 'limits.${key}'`);
    const size = bytes(`limits.${key}`, value);
    if (size !== undefined) limits[LIMIT_NAMES[key as keyof typeof LIMIT_NAMES]] = size;
  }
  return limits;
}

const OPS: Readonly<Record<string, FaultRule['op']>> = {
  read: 'read',
  write: 'write',
  'write-zeroes': 'writeZeroes',
  discard: 'discard',
  flush: 'flush',
  read_aio: 'read',
  write_aio: 'write',
  flush_to_disk: 'flush',
  pwritev: 'write',
  none: 'any',
};
/** errno of Linux. */
const KINDS: Readonly<Record<number, BlockErrorKind>> = { 5: 'io', 28: 'no-space', 30: 'read-only', 2: 'not-found' };
const SECTOR = 512;

/** QEMU's BlkdebugInjectErrorOptions: `inject-error.0.iotype=write,inject-error.0.errno=28`. */
function faultRules(tree: OptionTree): FaultRule[] {
  const rules: FaultRule[] = [];
  for (const [index, entry] of Object.entries(tree)) {
    if (rules.length >= LIMITS.FAULT_RULES)
      throw new BlockError('invalid-option', `there are more than ${LIMITS.FAULT_RULES} fault rules`);
    const { event, iotype, errno, sector, once, immediately: _immediately, ...rest } = asTree(entry);
    expectEmpty('blkdebug', rest);
    const name = text('iotype', iotype) ?? text('event', event) ?? 'none';
    const op = Object.hasOwn(OPS, name) ? OPS[name] : undefined;
    if (op === undefined) throw new BlockError('invalid-option', `inject-error.${index}: '${name}' is not known here`);
    const at = number('sector', sector);
    rules.push({
      op,
      ...(at === undefined ? {} : { offset: at * SECTOR, length: SECTOR }),
      once: bool('once', once, false),
      error: KINDS[number('errno', errno) ?? 5] ?? 'io',
    });
  }
  return rules;
}
