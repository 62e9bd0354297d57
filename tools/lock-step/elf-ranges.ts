/** Where an ELF file is loaded, as START+SIZE for -dfilter: physical and linked addresses. System V ABI, "Program Header". */
const PT_LOAD = 1;

export function loadedRanges(file: Uint8Array): string[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46) return [];
  const wide = file[4] === 2;
  const word = (at: number): bigint => (wide ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  const table = Number(word(wide ? 32 : 28));
  const size = view.getUint16(wide ? 54 : 42, true);
  const ranges = new Set<string>();
  for (let n = 0; n < view.getUint16(wide ? 56 : 44, true); n++) {
    const at = table + size * n;
    if (at + size > file.length || view.getUint32(at, true) !== PT_LOAD) continue;
    const [linked, physical, bytes] = wide
      ? [word(at + 16), word(at + 24), word(at + 40)]
      : [word(at + 8), word(at + 12), word(at + 20)];
    if (bytes === 0n) continue;
    for (const start of [physical, linked]) ranges.add(`0x${start.toString(16)}+0x${bytes.toString(16)}`);
  }
  return [...ranges];
}
