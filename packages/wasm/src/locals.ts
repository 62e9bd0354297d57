/**
 * The local declarations at the head of a function body: runs of one type, in order of declaration, so that indices
 * given out while the body was being written stay right.
 * Spec: WebAssembly Core 2.0 §5.5.13 (Code Section).
 */
import { ByteWriter, MAX_LEB32_BYTES } from './byte-writer.ts';
import type { ValType } from './value-types.ts';

export function encodeLocals(types: readonly ValType[]): ByteWriter {
  const runs = new ByteWriter(16);
  let runCount = 0;
  for (let start = 0; start < types.length; runCount++) {
    let end = start + 1;
    while (end < types.length && types[end] === types[start]) end++;
    runs.u32(end - start);
    runs.u8(types[start] as number);
    start = end;
  }
  const locals = new ByteWriter(MAX_LEB32_BYTES + runs.length);
  locals.u32(runCount);
  locals.appendWriter(runs);
  return locals;
}
