/**
 * A slow page walker for tests, written from the tables of SDM Vol. 3A chapter 4 with BigInt entries, one generic loop
 * for all modes. Deliberately shares no code or constants with src/system/paging.ts.
 */
import type { Bench } from './fake-host.ts';

export type WalkOutcome = { phys: number; prot: number; bits: number; global: boolean } | { fault: number };

const bit = (v: bigint, n: number): boolean => ((v >> BigInt(n)) & 1n) === 1n;
/** Any bit set in [low, high]. */
const any = (v: bigint, low: number, high: number): boolean =>
  ((v >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)) !== 0n;

interface Level {
  /** log2 of what one entry maps. */
  shift: number;
  indexBits: number;
}

export function referenceWalk(b: Bench, lin: number, access: number, user: boolean): WalkOutcome {
  const { cpu } = b;
  const cr0 = BigInt(cpu.cr(0));
  const cr4 = BigInt(cpu.cr(4));
  const pae = bit(cr4, 5);
  const nxe = bit(BigInt(cpu.env32(0x2b8)), 11);
  const pse36 = (cpu.features.edx1 & (1 << 17)) !== 0;
  const a20 = (pa: bigint): bigint => (cpu.env32(0x278) === 0xffffffff ? pa : pa & ~(1n << 20n));
  const read = (pa: bigint): bigint => {
    const at = Number(a20(pa));
    const low = BigInt(b.r32(at));
    return pae ? low | (BigInt(b.r32(Number(a20(pa + 4n)))) << 32n) : low;
  };
  const fault = (present: boolean, reserved: boolean): WalkOutcome => {
    let code = present ? 1 : 0;
    if (access === 1) code += 2;
    if (user) code += 4;
    if (reserved) code += 8;
    if (access === 2 && pae && nxe) code += 16;
    return { fault: code };
  };

  const levels: Level[] = pae
    ? [
        { shift: 21, indexBits: 9 },
        { shift: 12, indexBits: 9 },
      ]
    : [
        { shift: 22, indexBits: 10 },
        { shift: 12, indexBits: 10 },
      ];
  let table: bigint;
  if (pae) {
    const slot = Math.floor(lin / 2 ** 30);
    const pdpte = BigInt(cpu.pdptes[slot * 2]) | (BigInt(cpu.pdptes[slot * 2 + 1]) << 32n);
    if (!bit(pdpte, 0)) return fault(false, false);
    table = pdpte & 0xffffff000n;
  } else table = BigInt(cpu.cr(3)) & 0xfffff000n;

  const used: { at: bigint; entry: bigint }[] = [];
  let writable = true;
  let userOk = true;
  let noExecute = false;
  for (const level of levels) {
    const index = BigInt(Math.floor(lin / 2 ** level.shift) % 2 ** level.indexBits);
    const at = table + index * (pae ? 8n : 4n);
    const entry = read(at);
    if (!bit(entry, 0)) return fault(false, false);
    const leaf = level.shift === 12 || (bit(entry, 7) && (pae || bit(cr4, 4)));
    // Reserved bits: Tables 4-4 to 4-6 and 4-9 to 4-11 with MAXPHYADDR 36 (32 without PSE-36 and PAE).
    let reserved = false;
    if (pae) {
      reserved = any(entry, 36, 62) || (!nxe && bit(entry, 63));
      if (leaf && level.shift === 21) reserved ||= any(entry, 13, 20);
    } else if (leaf && level.shift === 22) reserved = pse36 ? any(entry, 17, 21) : any(entry, 13, 21);
    if (reserved) return fault(true, true);
    writable &&= bit(entry, 1);
    userOk &&= bit(entry, 2);
    noExecute ||= pae && bit(entry, 63);
    used.push({ at, entry });
    if (!leaf) {
      table = entry & (pae ? 0xffffff000n : 0xfffff000n);
      continue;
    }
    const mayWrite = user ? writable : writable || !bit(cr0, 16);
    if ((user && !userOk) || (access === 1 && !mayWrite) || (access === 2 && noExecute)) return fault(true, false);
    for (const u of used) {
      let next = u.entry | 0x20n;
      if (u.at === at && access === 1) next |= 0x40n;
      b.w32(Number(a20(u.at)), Number(next & 0xffffffffn));
      u.entry = next;
    }
    const size = 1n << BigInt(level.shift);
    let base = entry & ~(size - 1n) & 0xffffff000n;
    if (!pae && level.shift === 22) base = (entry & 0xffc00000n) | (pse36 ? ((entry >> 13n) & 15n) << 32n : 0n);
    const dirty = bit(used[used.length - 1].entry, 6);
    return {
      phys: Number(a20(base + (BigInt(lin) & (size - 1n)))),
      prot: 1 + (mayWrite && dirty ? 2 : 0) + (noExecute ? 0 : 4),
      bits: level.shift,
      global: bit(entry, 8) && bit(cr4, 7),
    };
  }
  throw new Error('unreachable');
}
