/**
 * The built-in demo guest as bytes: a multiboot 1 kernel (address fields, loads at 1 MiB, needs 8 MiB of RAM).
 *
 * It talks on COM1, waits at a `demo> ` prompt, and powers off through port 0x604, 0xB004, 0x501 or 0xF4, whichever the machine
 * has. The word `once` on its command line makes it power off after its self-check. Source: src/guest.asm.
 */
import { GUEST_BASE64 } from './gen/guest.ts';

/** Name for messages and for the first word of the multiboot command line. */
export const DEMO_GUEST_NAME = 'demo-guest';

/** Bytes of guest memory it uses, from 0. */
export const DEMO_GUEST_MEMORY = 8 * 1024 * 1024;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** A fresh copy of the kernel image. */
export function demoGuest(): Uint8Array {
  const values = new Uint8Array(128);
  for (let i = 0; i < 64; i++) values[ALPHABET.charCodeAt(i)] = i;
  const text = GUEST_BASE64.replace(/=+$/, '');
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    bits = ((bits << 6) | values[text.charCodeAt(i)]!) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[at++] = (bits >> held) & 0xff;
  }
  return out;
}
