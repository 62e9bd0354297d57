/** What a toy machine has around its processor: RAM and nothing else. */
import { AddressSpace, MemoryRegion, RamBlock } from '@emkit/memory';
import type { TcgOptions } from './tcg-options.ts';

const NO_HELPERS = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

export const toyHost = (ramBytes: number): Omit<TcgOptions, 'createTarget'> => ({
  ramBytes,
  createSpace: (memory, offset) => {
    const root = MemoryRegion.container('memory', 2 ** 32);
    root.add(0, MemoryRegion.ram('ram', new RamBlock({ name: 'ram', size: ramBytes, memory, offset })));
    return new AddressSpace({ name: 'memory', root });
  },
  portIn: () => 0xff,
  portOut: () => undefined,
  acknowledgeInterrupt: () => 0,
  tsc: () => 0,
  shutdown: () => undefined,
  helperModule: NO_HELPERS,
});
