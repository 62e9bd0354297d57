/** Whether a guest wants a 64-bit processor, from its image: decides which of QEMU's programs runs it, which model, and which peers can. */
export type GuestBits = 32 | 64;

const ELF = [0x7f, 0x45, 0x4c, 0x46];
const EM_X86_64 = 62;
/** Linux x86 boot protocol: setup header. */
const HDRS = { magic: 0x202, version: 0x206, xloadflags: 0x236 };
const XLOADFLAGS_SINCE = 0x20c;
const XLF_KERNEL_64 = 1;

/**
 * A multiboot guest is wrapped in a 32-bit ELF even when it goes on to long mode (the loader wants it so): then its file's name
 * says it, as in bench64.elf.
 */
export function guestBits(image: Uint8Array, fileName: string): GuestBits {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length > 20 && ELF.every((byte, n) => image[n] === byte))
    return view.getUint16(18, true) === EM_X86_64 || /64[^/]*$/.test(fileName) ? 64 : 32;
  if (
    image.length > HDRS.xloadflags + 2 &&
    String.fromCharCode(...image.subarray(HDRS.magic, HDRS.magic + 4)) === 'HdrS'
  )
    return view.getUint16(HDRS.version, true) >= XLOADFLAGS_SINCE &&
      (view.getUint16(HDRS.xloadflags, true) & XLF_KERNEL_64) !== 0
      ? 64
      : 32;
  return 32;
}
