/** Bytes of a descriptor as text. The encoding is the descriptor's own choice; an unknown one, or bytes that are not text in it, read as Latin-1. */

interface Decoder {
  decode(bytes: Uint8Array): string;
}

const host = globalThis as unknown as {
  readonly TextDecoder: new (label: string, options: { fatal: boolean }) => Decoder;
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
};

export function decodeText(bytes: Uint8Array, encoding = 'utf-8'): string {
  try {
    return new host.TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return latin1(bytes);
  }
}

export function encodeText(text: string): Uint8Array {
  return new host.TextEncoder().encode(text);
}

/** One character per byte, so that positions in the text are positions in the file. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, Math.min(at + 8192, bytes.length)));
  return text;
}

/** Back to the bytes that `latin1` was given. */
export function fromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
