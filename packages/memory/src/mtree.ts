/** Text of a region tree and of its flat view, in the form of the monitor's `info mtree` and `info mtree -f`. */
import type { AddressSpace } from './address-space.ts';
import type { MemoryRegion } from './memory-region.ts';
import { SIZE_2_64 } from './limits.ts';

/** One line per region, children indented below their parent. */
export function formatMtree(space: AddressSpace): string {
  const lines = [`address-space: ${space.name}`];
  const targets: MemoryRegion[] = [];
  appendTree(lines, targets, space.root, 0, 1);
  const shown = new Set<MemoryRegion>();
  for (const target of targets) {
    // grows while it is walked: alias targets may hold aliases
    if (shown.has(target) || isBelow(target, space.root)) continue;
    shown.add(target);
    lines.push('', `memory-region: ${target.name}`);
    appendTree(lines, targets, target, 0, 1);
  }
  return lines.join('\n') + '\n';
}

/** One line per range that an access can hit. */
export function formatFlatView(space: AddressSpace): string {
  const lines = [`FlatView of ${space.name}`];
  for (const range of space.view.ranges) {
    const shift = range.regionOffset === 0 ? '' : ` @${hex(range.regionOffset)}`;
    const kind = range.region.kind === 'ram' && range.readonly ? 'rom' : kindName(range.region);
    lines.push(`  ${hex(range.start)}-${hex(range.end - 1)} (${kind}): ${range.region.name}${shift}`);
  }
  if (space.view.ranges.length === 0) lines.push('  No rendered FlatView');
  return lines.join('\n') + '\n';
}

function appendTree(lines: string[], targets: MemoryRegion[], region: MemoryRegion, base: number, depth: number): void {
  const span = `${hex(base)}-${hex(lastByte(base, region.size))}`;
  const off = region.enabled ? '' : ' [disabled]';
  const head = `${'  '.repeat(depth)}${span} (prio ${region.priority}, ${kindName(region)}): `;
  if (region.target !== null) {
    const part = `${hex(region.targetOffset)}-${hex(lastByte(region.targetOffset, region.size))}`;
    lines.push(`${head}alias ${region.name} @${region.target.name} ${part}${off}`);
    targets.push(region.target);
    return;
  }
  lines.push(`${head}${region.name}${off}`);
  for (const child of [...region.children].sort((a, b) => a.offset - b.offset))
    appendTree(lines, targets, child, base + child.offset, depth + 1);
}

function isBelow(region: MemoryRegion, root: MemoryRegion): boolean {
  for (let at: MemoryRegion | null = region; at !== null; at = at.parent) if (at === root) return true;
  return false;
}

function kindName(region: MemoryRegion): string {
  if (region.kind === 'alias' && region.target !== null)
    return region.readonly && kindName(region.target) === 'ram' ? 'rom' : kindName(region.target);
  return region.kind === 'container' || region.kind === 'io' ? 'i/o' : region.kind;
}

function lastByte(base: number, size: number): number {
  return size === SIZE_2_64 ? SIZE_2_64 : base + size - 1;
}

/** 16 hexadecimal digits; 2^64 - 1 is not a double, so 2^64 stands for it. */
function hex(value: number): string {
  return value >= SIZE_2_64 ? 'f'.repeat(16) : value.toString(16).padStart(16, '0');
}
