/** Names in headers are UTF-8; the platform's own codec, without DOM types. */

interface Platform {
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
  readonly TextDecoder: new () => { decode(bytes: Uint8Array): string };
}

const platform = globalThis as unknown as Platform;

export function encodeName(name: string): Uint8Array {
  return new platform.TextEncoder().encode(name);
}

/** Up to the first NUL. What is no UTF-8 gets replacement characters: it names no file then, and does no harm. */
export function decodeName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new platform.TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
