/** Assertions of the conformance suite: plain errors, so that it needs no test framework. */
import { isBlockError } from '@emkit/storage';
import type { BlockErrorKind } from '@emkit/storage';

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function same(actual: unknown, wanted: unknown, what: string): void {
  must(Object.is(actual, wanted), `${what}: ${String(actual)}, wanted ${String(wanted)}`);
}

export function sameBytes(actual: Uint8Array, wanted: Uint8Array, what: string): void {
  same(actual.length, wanted.length, `${what}: length`);
  const at = actual.findIndex((byte, i) => byte !== wanted[i]);
  must(at === -1, `${what}: byte ${at} is ${actual[at]}, wanted ${wanted[at]}`);
}

/** The call must give a promise that rejects with a `BlockError` of one of the kinds; no kinds: any. */
export async function refuses(call: () => unknown, kinds: readonly BlockErrorKind[], what: string): Promise<void> {
  let promise: unknown;
  try {
    promise = call();
  } catch (error) {
    throw new Error(`${what}: threw at once, where a promise is expected: ${String(error)}`, { cause: error });
  }
  try {
    await promise;
  } catch (error) {
    const isRight = isBlockError(error) && (kinds.length === 0 || kinds.includes(error.kind));
    const kind = isBlockError(error) ? `BlockError ${error.kind}` : 'no BlockError';
    must(isRight, `${what}: wanted BlockError ${kinds.join(' or ')}, got ${kind}: ${String(error)}`);
    return;
  }
  throw new Error(`${what}: was done, wanted BlockError ${kinds.join(' or ')}`);
}
