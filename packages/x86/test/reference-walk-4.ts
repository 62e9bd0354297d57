/**
 * A slow page walker of four or (CR4 bit 12) five levels for tests, written from SDM Vol. 3A §4.5 to §4.7 with BigInt entries.
 * Deliberately shares no code or constants with src/system.
 */
import type { Bench } from './fake-host.ts';
import type { WalkOutcome } from './reference-walk.ts';

const bit = (v: bigint, n: number): boolean => ((v >> BigInt(n)) & 1n) === 1n;
const any = (v: bigint, low: number, high: number): boolean =>
  ((v >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)) !== 0n;

export function referenceWalk4(b: Bench, lin: number | bigint, access: number, user: boolean): WalkOutcome {
  const { cpu } = b;
  const cr0 = BigInt(cpu.cr(0));
  const cr4 = BigInt(cpu.cr(4));
  const nxe = bit(BigInt(cpu.env32(0x2b8)), 11);
  const ac = bit(BigInt(cpu.env32(0xb0)), 18) && cpu.cpl !== 3;
  const wp = bit(cr0, 16);
  const [smep, smap, pke] = [bit(cr4, 20), bit(cr4, 21), bit(cr4, 22)];
  const address = BigInt.asUintN(64, BigInt(lin));
  const read = (pa: bigint): bigint => BigInt(b.r32(Number(pa))) | (BigInt(b.r32(Number(pa) + 4)) << 32n);
  const fault = (present: boolean, reserved: boolean, key = false): WalkOutcome => ({
    fault:
      (present ? 1 : 0) +
      (access === 1 ? 2 : 0) +
      (user ? 4 : 0) +
      (reserved ? 8 : 0) +
      (access === 2 && (nxe || smep) ? 16 : 0) +
      (key ? 32 : 0),
  });
  let table = (BigInt(cpu.cr(3)) | (BigInt(cpu.crHigh(3)) << 32n)) & 0xfffffff000n;
  const used: { at: bigint; entry: bigint }[] = [];
  let [writable, userPage, executable] = [true, true, true];
  for (const shift of bit(cr4, 12) ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]) {
    const at = table + ((address >> BigInt(shift)) & 511n) * 8n;
    const entry = read(at);
    if (!bit(entry, 0)) return fault(false, false);
    const leaf = shift === 12 || (shift < 39 && bit(entry, 7));
    let reserved = any(entry, 40, 51) || (!nxe && bit(entry, 63)) || (shift >= 39 && bit(entry, 7));
    if (leaf && shift > 12) reserved ||= any(entry, 13, shift - 1);
    if (reserved) return fault(true, true);
    writable &&= bit(entry, 1);
    userPage &&= bit(entry, 2);
    executable &&= !bit(entry, 63);
    used.push({ at, entry });
    table = entry & 0xfffffff000n;
    if (!leaf) continue;
    let [r, w, x] = [true, writable || (!user && !wp), executable];
    if (user && !userPage) r = w = x = false;
    if (!user && userPage) {
      if (smep) x = false;
      if (smap && !ac) r = w = false;
    }
    if (![r, w, x][access]) return fault(true, false);
    if (pke && userPage) {
      const key = Number((entry >> 59n) & 15n);
      const rights = (cpu.env32(0x528) >>> (2 * key)) & 3;
      const noRead = (rights & 1) !== 0;
      const noWrite = noRead || ((rights & 2) !== 0 && (user || wp));
      if ((access === 0 && noRead) || (access === 1 && noWrite)) return fault(true, false, true);
      if (noRead) r = false;
      if (noWrite) w = false;
    }
    for (const u of used) {
      // entries may be one and the same
      const now = read(u.at) | 0x20n | (u.at === at && access === 1 ? 0x40n : 0n);
      b.w32(Number(u.at), Number(now & 0xffffffffn));
    }
    const size = 1n << BigInt(shift);
    const dirty = bit(read(at), 6);
    return {
      phys: Number((entry & 0xfffffff000n & ~(size - 1n)) + (address & (size - 1n))),
      prot: (r ? 1 : 0) + (w && dirty ? 2 : 0) + (x ? 4 : 0),
      bits: shift,
      global: bit(entry, 8) && bit(cr4, 7),
    };
  }
  throw new Error('unreachable');
}
