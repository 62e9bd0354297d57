import { describe, expect, it } from 'vitest';
import {
  AddressSpace,
  formatFlatView,
  formatMtree,
  MAX_REGION_DEPTH,
  MemoryMapError,
  MemoryRegion,
  RamBlock,
  SIZE_2_64,
} from './index.ts';

const ram = (name: string, size: number): MemoryRegion => MemoryRegion.ram(name, new RamBlock({ name, size }));
const layout = (space: AddressSpace): string =>
  space.view.ranges
    .map(
      (r) =>
        `${r.start.toString(16)}-${r.end.toString(16)} ${r.region.name}+${r.regionOffset.toString(16)}${r.readonly ? ' ro' : ''}`,
    )
    .join('; ');

describe('MemoryRegion', () => {
  it('lets the higher priority win and shows the lower around it', () => {
    const root = MemoryRegion.container('root');
    root.add(0, ram('low', 0x3000));
    root.add(0x1000, ram('high', 0x1000), 1);
    const space = new AddressSpace({ name: 'm', root });
    expect(layout(space)).toBe('0-1000 low+0; 1000-2000 high+0; 2000-3000 low+2000');
  });

  it('lets the later of equal priorities win', () => {
    const root = MemoryRegion.container('root');
    root.add(0, ram('first', 0x1000));
    root.add(0, ram('second', 0x1000));
    expect(layout(new AddressSpace({ name: 'm', root }))).toBe('0-1000 second+0');
  });

  it('clips children to their container and aliases to their window', () => {
    const root = MemoryRegion.container('root');
    const box = MemoryRegion.container('box', 0x1800);
    const block = ram('ram', 0x4000);
    box.add(0x1000, block);
    root.add(0x10000, box);
    root.add(0x20000, MemoryRegion.alias('window', block, { offset: 0x800, size: 0x1000, readonly: true }));
    expect(layout(new AddressSpace({ name: 'm', root }))).toBe('11000-11800 ram+0; 20000-21000 ram+800 ro');
  });

  it('follows enable, move, resize, priority and alias changes, also through aliases', () => {
    const root = MemoryRegion.container('root');
    const pci = MemoryRegion.container('pci');
    const bar = MemoryRegion.io('bar', 0x100, { read: () => 1, write: () => {} });
    pci.add(0xf0000000, bar);
    root.add(0, MemoryRegion.alias('all of pci', pci), -1);
    const space = new AddressSpace({ name: 'm', root });
    const other = new AddressSpace({ name: 'n', root: pci });
    expect(layout(space)).toBe('f0000000-f0000100 bar+0');
    bar.setOffset(0xe0000000);
    expect(layout(space)).toBe('e0000000-e0000100 bar+0');
    expect(layout(other)).toBe('e0000000-e0000100 bar+0');
    bar.setSize(0x80);
    expect(layout(space)).toBe('e0000000-e0000080 bar+0');
    bar.setEnabled(false);
    expect(layout(space)).toBe('');
    bar.setEnabled(true);
    bar.unmap();
    bar.unmap();
    expect(layout(space)).toBe('');
  });

  it('rebuilds once per transaction and reports the difference to listeners', () => {
    const root = MemoryRegion.container('root');
    const a = ram('a', 0x1000);
    root.add(0, a);
    const space = new AddressSpace({ name: 'm', root });
    const log: string[] = [];
    space.addListener({
      regionAdded: (r) => log.push(`+${r.region.name}@${r.start}`),
      regionRemoved: (r) => log.push(`-${r.region.name}@${r.start}`),
      commit: () => log.push('commit'),
    });
    expect(log.splice(0)).toEqual(['+a@0', 'commit']);
    a.transaction(() => {
      a.setOffset(0x1000);
      root.transaction(() => root.add(0x8000, ram('b', 0x1000)));
      a.setOffset(0x2000);
      expect(log).toEqual([]);
    });
    expect(log.splice(0)).toEqual(['-a@0', '+a@8192', '+b@32768', 'commit']);
    a.setPriority(5); // same picture: no commit
    expect(log).toEqual([]);
  });

  it('refuses cycles, double mapping, excessive depth and bad sizes by name', () => {
    const a = MemoryRegion.container('a', 0x1000);
    const b = MemoryRegion.container('b', 0x1000);
    a.add(0, b);
    expect(() => b.add(0, a)).toThrow(/cycle/);
    expect(() => a.add(0, a)).toThrow(/cycle/);
    expect(() => b.add(0, MemoryRegion.alias('loop', a))).toThrow(/cycle/);
    expect(() => MemoryRegion.container('c').add(0, b)).toThrow(/already mapped in a/);
    expect(() => MemoryRegion.container('bad', 0)).toThrow(MemoryMapError);
    expect(() => MemoryRegion.container('bad', 2 ** 60)).toThrow(MemoryMapError);
    expect(() => a.add(-1, MemoryRegion.container('x', 1))).toThrow(MemoryMapError);
    expect(() => MemoryRegion.ram('r', new RamBlock({ name: 'r', size: 16 }), 8, 16)).toThrow(/exceeds/);
    let deep = MemoryRegion.container('leaf', 16);
    const build = (levels: number): void => {
      for (let i = 0; i < levels; i++) {
        const up = MemoryRegion.container(`level ${i}`, 16);
        up.add(0, deep);
        deep = up;
      }
    };
    build(MAX_REGION_DEPTH - 1); // the leaf is a level too
    expect(() => build(1)).toThrow(/deeper than/);
  });

  it('prints the tree and the flat view', () => {
    const root = MemoryRegion.container('system');
    const block = ram('pc.ram', 0x8000000);
    root.add(0, MemoryRegion.alias('ram-below-4g', block, { size: 0x8000000 }));
    root.add(0xfee00000, MemoryRegion.io('apic-msi', 0x100000, { read: () => 0, write: () => {} }), 4096);
    const space = new AddressSpace({ name: 'memory', root });
    expect(root.size).toBe(SIZE_2_64);
    expect(formatMtree(space)).toBe(
      [
        'address-space: memory',
        '  0000000000000000-ffffffffffffffff (prio 0, i/o): system',
        '    0000000000000000-0000000007ffffff (prio 0, ram): alias ram-below-4g @pc.ram 0000000000000000-0000000007ffffff',
        '    00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi',
        '',
        'memory-region: pc.ram',
        '  0000000000000000-0000000007ffffff (prio 0, ram): pc.ram',
        '',
      ].join('\n'),
    );
    expect(formatFlatView(space)).toContain('  0000000000000000-0000000007ffffff (ram): pc.ram\n');
  });
});
