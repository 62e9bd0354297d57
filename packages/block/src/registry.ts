/** The formats that a program knows, and the question which of them a file has. Knows no format itself. */
import { BlockError, type BlockDriver } from '@emkit/storage';

export interface ProbeResult {
  readonly driver: BlockDriver;
  /** 0 to 100, the driver's own. */
  readonly score: number;
  /** Nothing was recognised, so it is taken for raw: whoever writes the first sector decides what it is taken for next time. */
  readonly guessed: boolean;
}

export interface Registry {
  readonly drivers: readonly BlockDriver[];
  find(name: string): BlockDriver | undefined;
  /** Throws `invalid-option`, in QEMU's words, when there is none. */
  get(name: string): BlockDriver;
  /** `head`: the first 2048 bytes. The highest score wins, the earlier driver among equals; throws `invalid-format` when no driver would have it. */
  probe(head: Uint8Array, name?: string): ProbeResult;
}

/** Bytes at the start of a file that drivers may look at. */
export const PROBE_LENGTH = 2048;

export function createRegistry(drivers: readonly BlockDriver[]): Registry {
  const byName = new Map<string, BlockDriver>();
  for (const driver of drivers) {
    if (byName.has(driver.name)) throw new BlockError('invalid-option', `Driver '${driver.name}' is there twice`);
    byName.set(driver.name, driver);
  }
  return {
    drivers: [...drivers],
    find: (name) => byName.get(name),
    get(name) {
      const driver = byName.get(name);
      if (driver === undefined) throw new BlockError('invalid-option', `Unknown driver '${name}'`);
      return driver;
    },
    probe(head, name) {
      let best: BlockDriver | undefined;
      let score = 0;
      for (const driver of byName.values()) {
        if (driver.name === 'raw') continue;
        const own = driver.probe(head, name);
        if (own > score) [best, score] = [driver, own];
      }
      if (best !== undefined) return { driver: best, score, guessed: false };
      const raw = byName.get('raw');
      if (raw === undefined) throw new BlockError('invalid-format', `${name ?? 'the image'} has no known format`);
      return { driver: raw, score: 1, guessed: true };
    },
  };
}
