/** v86 as one process of the benchmark: `{ guest, memoryMib, firmware }` as JSON, serial port on standard output. */
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { V86 } from 'v86';

const { guest, memoryMib, firmware } = JSON.parse(process.argv[2]);

const image = (name) => {
  const bytes = readFileSync(name);
  return { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) };
};
const [bios, vgaBios] = firmware;
const emulator = new V86({
  wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
  memory_size: memoryMib * 2 ** 20,
  vga_memory_size: 8 * 2 ** 20,
  ...(bios === undefined ? {} : { bios: image(bios), vga_bios: image(vgaBios) }),
  ...(guest.kind === 'multiboot'
    ? { multiboot: image(guest.elf) }
    : { bzimage: image(guest.kernel), initrd: image(guest.initrd) }),
  cmdline: guest.commandLine,
  autostart: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});

// A write per line; what ends without one (a prompt) goes out when the emulator next yields.
let pending = [];
let scheduled = false;
function flush() {
  scheduled = false;
  const bytes = Uint8Array.from(pending);
  pending = [];
  for (let sent = 0; sent < bytes.length;) sent += writeSync(1, bytes, sent);
}
emulator.add_listener('serial0-output-byte', (byte) => {
  pending.push(byte);
  if (byte === 10) flush();
  else if (!scheduled) {
    scheduled = true;
    setImmediate(flush);
  }
});
