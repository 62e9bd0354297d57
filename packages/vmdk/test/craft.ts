/** Images of kinds that `create` does not make, for tests: footers at the end of streams, COWD, seSparse, absent tables. */
import { zlibSync } from 'fflate';

const SECTOR = 512;

export interface Piece {
  /** Number of the grain. */
  readonly grain: number;
  readonly data: Uint8Array;
}

class Builder {
  bytes = new Uint8Array(0);

  put(offset: number, data: Uint8Array): void {
    if (offset + data.length > this.bytes.length) {
      const grown = new Uint8Array(Math.ceil((offset + data.length) / SECTOR) * SECTOR);
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(data, offset);
  }

  /** At the next sector; gives its number. */
  append(data: Uint8Array): number {
    const sector = this.bytes.length / SECTOR;
    this.put(this.bytes.length, data);
    return sector;
  }
}

function fields(
  size: number,
  values: readonly (readonly [offset: number, bytes: 1 | 2 | 4 | 8, value: number | bigint])[],
): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of values) {
    if (width === 8) view.setBigUint64(offset, BigInt(value), true);
    else if (width === 4) view.setUint32(offset, Number(value), true);
    else if (width === 2) view.setUint16(offset, Number(value), true);
    else view.setUint8(offset, Number(value));
  }
  return bytes;
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function sparseHeader(options: {
  version: number;
  flags: number;
  capacity: number;
  descriptor: number;
  gd: number | bigint;
  compress: number;
  rgd?: number;
}): Uint8Array {
  return fields(SECTOR, [
    [0, 4, 0x564d444b],
    [4, 4, options.version],
    [8, 4, options.flags],
    [12, 8, options.capacity],
    [20, 8, 128],
    [28, 8, options.descriptor === 0 ? 0 : 1],
    [36, 8, options.descriptor],
    [44, 4, 512],
    [48, 8, options.rgd ?? 0],
    [56, 8, options.gd],
    [64, 8, 128],
    [73, 4, 0x0a0d200a],
    [77, 2, options.compress],
  ]);
}

export function descriptorText(createType: string, lines: readonly string[], more = ''): string {
  return `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="${createType}"\n${more}# Extent description\n${lines.join('\n')}\n\n# The Disk Data Base\n#DDB\n\nddb.adapterType = "ide"\n`;
}

/** As VMware's exporters write it: grains, then tables, then the directory, then the footer. */
export function streamWithFooter(sectors: number, pieces: readonly Piece[], version = 3): Uint8Array {
  const builder = new Builder();
  const flags = 0x30001;
  const text = new TextEncoder().encode(descriptorText('streamOptimized', [`RW ${sectors} SPARSE "s.vmdk"`]));
  builder.put(
    0,
    sparseHeader({ version, flags, capacity: sectors, descriptor: 20, gd: 0xffffffffffffffffn, compress: 1 }),
  );
  builder.put(SECTOR, text);
  builder.put(128 * SECTOR - 1, new Uint8Array(1));
  const entries = new Map<number, number>();
  for (const { grain, data } of pieces) {
    const packed = zlibSync(data);
    const marked = new Uint8Array(12 + packed.length);
    marked.set(
      fields(12, [
        [0, 8, grain * 128],
        [8, 4, packed.length],
      ]),
    );
    marked.set(packed, 12);
    entries.set(grain, builder.append(marked));
  }
  const marker = (size: number, type: number): Uint8Array =>
    fields(SECTOR, [
      [0, 8, size],
      [12, 4, type],
    ]);
  const tables = Math.ceil(sectors / 128 / 512);
  const directory: number[] = [];
  for (let table = 0; table < tables; table++) {
    const values = Array.from({ length: 512 }, (_, i) => entries.get(table * 512 + i) ?? 0);
    if (values.every((value) => value === 0)) {
      directory.push(0);
      continue;
    }
    builder.append(marker(4, 1));
    directory.push(builder.append(words(values)));
  }
  builder.append(marker(1, 2));
  const gd = builder.append(words(directory));
  builder.append(marker(1, 3));
  builder.append(sparseHeader({ version, flags, capacity: sectors, descriptor: 20, gd, compress: 1 }));
  builder.append(marker(0, 0));
  return builder.bytes;
}

/** A plain sparse extent whose directory has no tables yet. */
export function sparseWithoutTables(sectors: number, isRedundant: boolean): Uint8Array {
  const builder = new Builder();
  const text = new TextEncoder().encode(descriptorText('monolithicSparse', [`RW ${sectors} SPARSE "n.vmdk"`]));
  const flags = isRedundant ? 3 : 1;
  builder.put(
    0,
    sparseHeader({
      version: 1,
      flags,
      capacity: sectors,
      descriptor: 20,
      gd: 22,
      compress: 0,
      rgd: isRedundant ? 21 : 0,
    }),
  );
  builder.put(SECTOR, text);
  builder.put(128 * SECTOR - 1, new Uint8Array(1));
  return builder.bytes;
}

/** An ESX delta, grains of one sector. */
export function cowd(sectors: number, pieces: readonly Piece[], grainSectors = 1): Uint8Array {
  const builder = new Builder();
  const tables = Math.ceil(sectors / grainSectors / 4096);
  const directorySectors = Math.ceil((tables * 4) / SECTOR);
  builder.put(
    0,
    fields(2048, [
      [0, 4, 0x44574f43],
      [4, 4, 1],
      [8, 4, 3],
      [12, 4, sectors],
      [16, 4, grainSectors],
      [20, 4, 4],
      [24, 4, tables],
    ]),
  );
  builder.put(4 * SECTOR, new Uint8Array(directorySectors * SECTOR));
  const tableOf = new Map<number, number>();
  for (const { grain, data } of pieces) {
    const table = Math.floor(grain / 4096);
    let at = tableOf.get(table);
    if (at === undefined) {
      at = builder.append(new Uint8Array(4096 * 4));
      tableOf.set(table, at);
      builder.put(4 * SECTOR + table * 4, words([at]));
    }
    const sector = builder.append(data);
    builder.put(at * SECTOR + (grain % 4096) * 4, words([sector]));
  }
  return builder.bytes;
}

/** An ESX 6.5 delta, grains of 4 KiB. `zeroed`, `unmapped`: numbers of grains. */
export function seSparse(
  sectors: number,
  pieces: readonly Piece[],
  other: { zeroed?: readonly number[]; unmapped?: readonly number[]; replay?: boolean } = {},
): Uint8Array {
  const builder = new Builder();
  const tables = Math.ceil(sectors / 8 / 4096);
  const directorySectors = Math.ceil((tables * 8) / SECTOR);
  const tablesAt = 8 + directorySectors;
  const grainsAt = Math.ceil((tablesAt + tables * 64) / 8) * 8;
  builder.put(
    0,
    fields(SECTOR, [
      [0, 8, 0xcafebaben],
      [8, 8, 0x200000001n],
      [16, 8, sectors],
      [24, 8, 8],
      [32, 8, 64],
      [80, 8, 1],
      [88, 8, 1],
      [96, 8, 2],
      [104, 8, 2],
      [112, 8, 4],
      [120, 8, 4],
      [128, 8, 8],
      [136, 8, directorySectors],
      [144, 8, tablesAt],
      [152, 8, tables * 64],
      [160, 8, grainsAt],
      [168, 8, 0],
      [176, 8, grainsAt],
      [184, 8, 0],
      [192, 8, grainsAt],
      [200, 8, 1 << 20],
    ]),
  );
  builder.put(
    SECTOR,
    fields(SECTOR, [
      [0, 8, 0xcafecafen],
      [24, 1, other.replay === true ? 1 : 0],
    ]),
  );
  for (let table = 0; table < tables; table++)
    builder.put(8 * SECTOR + table * 8, fields(8, [[0, 8, 0x1000000000000000n | BigInt(table)]]));
  builder.put(grainsAt * SECTOR - 1, new Uint8Array(1));
  const enter = (grain: number, value: bigint): void =>
    builder.put(tablesAt * SECTOR + grain * 8, fields(8, [[0, 8, value]]));
  pieces.forEach(({ grain, data }, i) => {
    // numbers above 4095 use the field's other half
    const number = BigInt(i % 2 === 0 ? i : 4096 + i);
    enter(grain, 0x3000000000000000n | ((number & 0xfffn) << 48n) | (number >> 12n));
    builder.put(grainsAt * SECTOR + Number(number) * 4096, data);
  });
  for (const grain of other.unmapped ?? []) enter(grain, 0x1000000000000000n);
  for (const grain of other.zeroed ?? []) enter(grain, 0x2000000000000000n);
  return builder.bytes;
}
