/**
 * The setup header of a bzImage, read and checked. Nothing is placed here.
 *
 * Spec: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "Details of Header Fields".
 * Fields newer than the image's protocol version have the documented default.
 */
import { LoadError } from './load-error.ts';

export const SETUP_HEADER = 0x1f1;
export const LOADED_HIGH = 0x01;
export const CAN_USE_HEAP = 0x80;
/** boot.rst "xloadflags". */
const XLF_KERNEL_64 = 1 << 0;

export interface LinuxHeader {
  /** 0x020f = 2.15. */
  readonly version: number;
  /** Bytes of boot sector and setup code: the protected-mode kernel starts here in the file. */
  readonly setupSize: number;
  /** End of the header in the file: 0x202 + the byte at 0x201. */
  readonly headerEnd: number;
  readonly loadflags: number;
  readonly code32Start: number;
  readonly initrdAddrMax: number;
  readonly kernelAlignment: number;
  readonly relocatable: boolean;
  /** Longest command line without its NUL. */
  readonly cmdlineSize: number;
  readonly prefAddress: number;
  readonly initSize: number;
  /** XLF_KERNEL_64: it has a 64-bit entry, so it is an amd64 kernel. */
  readonly kernel64: boolean;
  /** Text that `file` shows, or undefined. Comes from the image: data, not to be trusted. */
  readonly kernelVersion: string | undefined;
}

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);

/** Whether the file has the boot flag and the `HdrS` magic of protocol 2.00 and newer. */
export function isLinuxImage(image: Uint8Array): boolean {
  if (image.length < 0x206) return false;
  const v = view(image);
  return v.getUint16(0x1fe, true) === 0xaa55 && v.getUint32(0x202, true) === 0x5372_6448;
}

export function parseLinuxHeader(image: Uint8Array): LinuxHeader {
  if (!isLinuxImage(image)) throw new LoadError('not-a-kernel', 'not a Linux kernel image: no HdrS header');
  if (image.length < 0x400)
    throw new LoadError('truncated', `Linux kernel is truncated: ${image.length} bytes, the setup code alone has more`);
  const v = view(image);
  const version = v.getUint16(0x206, true);
  if (version < 0x200)
    throw new LoadError(
      'unsupported',
      `Linux boot protocol ${version >> 8}.${version & 0xff} is not supported`,
      '2.00 (Linux 1.3.73) or newer is',
    );
  const headerEnd = 0x202 + image[0x201]!;
  // boot.rst: "if setup_sects is 0, the real value is 4".
  const setupSize = ((image[SETUP_HEADER]! || 4) + 1) * 512;
  if (setupSize >= image.length) {
    throw new LoadError(
      'truncated',
      `Linux kernel is truncated: ${image.length} bytes, the setup code alone has ${setupSize}`,
    );
  }
  const loadflags = image[0x211]!;
  if ((loadflags & LOADED_HIGH) === 0) {
    throw new LoadError(
      'unsupported',
      'this Linux kernel is a zImage (loads below 1 MiB), which is not supported',
      'build a bzImage (make bzImage)',
    );
  }
  // Before 2.04 syssize has 16 bits and is not to be relied upon for bzImages.
  const systemSize = version >= 0x204 ? v.getUint32(0x1f4, true) * 16 : 0;
  if (setupSize + systemSize > image.length) {
    throw new LoadError(
      'truncated',
      `Linux kernel is truncated: ${image.length} bytes, its header says ${setupSize + systemSize}`,
    );
  }
  const prefAddress = version >= 0x20a ? Number(v.getBigUint64(0x258, true)) : 0x10_0000;
  return {
    version,
    setupSize,
    headerEnd,
    loadflags,
    code32Start: v.getUint32(0x214, true),
    initrdAddrMax: version >= 0x203 ? v.getUint32(0x22c, true) : 0x37ff_ffff,
    kernelAlignment: version >= 0x205 ? v.getUint32(0x230, true) : 0x10_0000,
    relocatable: version >= 0x205 && image[0x234] !== 0,
    cmdlineSize: version >= 0x206 ? v.getUint32(0x238, true) : 255,
    prefAddress,
    initSize: version >= 0x20a ? v.getUint32(0x260, true) : 0,
    kernel64: version >= 0x20c && (v.getUint16(0x236, true) & XLF_KERNEL_64) !== 0,
    kernelVersion: readVersion(image, v.getUint16(0x20e, true), setupSize),
  };
}

/** boot.rst "kernel_version": offset less 0x200 of a NUL-terminated string; must lie in the setup code. */
function readVersion(image: Uint8Array, offset: number, setupSize: number): string | undefined {
  if (offset === 0) return undefined;
  const start = offset + 0x200;
  if (start >= setupSize)
    throw new LoadError(
      'bad-header',
      `Linux kernel header: kernel_version offset 0x${offset.toString(16)} lies past the setup code`,
    );
  let text = '';
  for (let i = start; i < setupSize && i < start + 256 && image[i] !== 0; i++) text += String.fromCharCode(image[i]!);
  return text;
}
