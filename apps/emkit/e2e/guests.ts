/** Tiny multiboot kernels for the command's whole-machine tests: code at 1 MiB + 0x20, entered in flat 32-bit protected mode. */
const BASE = 0x10_0000;
const HEADER = 32;

export function tinyGuest(code: readonly number[]): Uint8Array {
  const image = new Uint8Array(HEADER + code.length);
  const end = BASE + image.length;
  const words = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, end, end + 0x1000, BASE + HEADER];
  words.forEach((w, i) => new DataView(image.buffer).setInt32(i * 4, w | 0, true));
  image.set(code, HEADER);
  return image;
}

const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** mov dx, port; out dx, al */
const outAl = (port: number): number[] => [0x66, 0xba, port & 0xff, port >> 8, 0xee];
const movAl = (n: number): number[] => [0xb0, n];
export const HALT = [0xf4, 0xeb, 0xfd];
/** cli; loop: jmp loop */
export const SPIN = [0xfa, 0xeb, 0xfe];

/** Writes to COM1 without waiting: short texts fit its FIFO, and a machine's UART has no line to wait for. */
export const print = (text: string): number[] => [...text].flatMap((c) => [...movAl(c.charCodeAt(0)), ...outAl(0x3f8)]);
export const debugExit = (value: number): number[] => [...movAl(value), ...outAl(0x501)];
/** lidt of an empty table, then a breakpoint: three faults in a row. */
export const TRIPLE_FAULT = [0x0f, 0x01, 0x1d, ...u32(BASE + HEADER + 0x800), 0xcc];
/** mov eax, address; jmp eax */
export const jumpTo = (address: number): number[] => [0xb8, ...u32(address), 0xff, 0xe0];
/** mov eax, [address]; mov [address], eax; mov dx, 0x501; out dx, al */
export const readAndExit = (address: number): number[] => [
  0xa1,
  ...u32(address),
  0xa3,
  ...u32(address),
  ...outAl(0x501),
];
/** ACPI soft off: mov dx, 0x604; mov ax, 0x2000; out dx, ax */
export const POWER_OFF = [0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef];
/** Keyboard controller reset: mov al, 0xfe; out 0x64, al */
export const KEYBOARD_RESET = [0xb0, 0xfe, 0xe6, 0x64];
