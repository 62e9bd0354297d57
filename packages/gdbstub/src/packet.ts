/**
 * Framing of the remote serial protocol: `$payload#cc`, acknowledgements, escapes, the interrupt byte.
 * GDB manual, appendix "GDB Remote Serial Protocol", "Overview".
 */
import { MAX_PACKET } from './limits.ts';

export type Frame =
  | { readonly kind: 'packet'; readonly payload: Uint8Array }
  | { readonly kind: 'bad' }
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'nack' };

const DOLLAR = 0x24;
const HASH = 0x23;
const ESCAPE = 0x7d;
const MINUS = 0x2d;
const CTRL_C = 0x03;

const hexDigit = (c: number): number =>
  c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x61 && c <= 0x66 ? c - 0x57 : c >= 0x41 && c <= 0x46 ? c - 0x37 : -1;

/** Splits a byte stream into frames; keeps what is incomplete. A packet beyond MAX_PACKET is 'bad' and dropped. */
export class PacketReader {
  readonly #payload: number[] = [];
  #state: 'idle' | 'payload' | 'escape' | 'sum1' | 'sum2' = 'idle';
  #sum = 0;
  #given = 0;
  #tooLong = false;

  push(bytes: Uint8Array, onFrame: (frame: Frame) => void): void {
    for (const c of bytes) {
      const frame = this.#byte(c);
      if (frame !== null) onFrame(frame);
    }
  }

  #byte(c: number): Frame | null {
    switch (this.#state) {
      case 'idle':
        if (c === DOLLAR) this.#begin();
        else if (c === CTRL_C) return { kind: 'interrupt' };
        else if (c === MINUS) return { kind: 'nack' };
        return null;
      case 'payload':
        if (c === HASH) this.#state = 'sum1';
        else if (c === DOLLAR) this.#begin();
        else {
          this.#sum = (this.#sum + c) & 0xff;
          if (c === ESCAPE) this.#state = 'escape';
          else this.#append(c);
        }
        return null;
      case 'escape':
        this.#sum = (this.#sum + c) & 0xff;
        this.#append(c ^ 0x20);
        this.#state = 'payload';
        return null;
      case 'sum1':
        this.#given = hexDigit(c) << 4;
        this.#state = 'sum2';
        return null;
      default:
        this.#state = 'idle';
        if (this.#tooLong || (this.#given | hexDigit(c)) !== this.#sum) return { kind: 'bad' };
        return { kind: 'packet', payload: Uint8Array.from(this.#payload) };
    }
  }

  #begin(): void {
    this.#payload.length = 0;
    this.#sum = 0;
    this.#tooLong = false;
    this.#state = 'payload';
  }

  #append(c: number): void {
    if (this.#payload.length >= MAX_PACKET) this.#tooLong = true;
    else this.#payload.push(c);
  }
}

/** A framed packet for an ASCII payload. */
export function framePacket(payload: string): Uint8Array {
  const bytes: number[] = [];
  let sum = 0;
  const put = (c: number): void => {
    bytes.push(c);
    sum = (sum + c) & 0xff;
  };
  for (const ch of payload) {
    const c = ch.charCodeAt(0) & 0xff;
    if (c === DOLLAR || c === HASH || c === ESCAPE || c === 0x2a) {
      put(ESCAPE);
      put(c ^ 0x20);
    } else put(c);
  }
  const digits = sum.toString(16).padStart(2, '0');
  return Uint8Array.of(DOLLAR, ...bytes, HASH, digits.charCodeAt(0), digits.charCodeAt(1));
}

export function toHex(bytes: ArrayLike<number>): string {
  let s = '';
  for (let n = 0; n < bytes.length; n++) s += (bytes[n] & 0xff).toString(16).padStart(2, '0');
  return s;
}

/** Bytes of a hex string, or null when it is not one. */
export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (h) => parseInt(h, 16));
}
