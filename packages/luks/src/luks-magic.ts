/** The first bytes of a LUKS1 volume: "LUKS", 0xBA 0xBE, version 1. LUKS1 §2 "Partition header". */
export const LUKS_MAGIC = [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe] as const;

export function isLuks(head: Uint8Array): boolean {
  return head.length >= 8 && LUKS_MAGIC.every((byte, i) => head[i] === byte) && head[6] === 0 && head[7] === 1;
}
