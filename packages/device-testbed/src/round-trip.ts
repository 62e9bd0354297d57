/**
 * Checks that a state survives: saved, loaded into a fresh device and saved again it is the same bytes; cut short or
 * scribbled on, it is refused with a StateError and changes nothing. Throws with the reason.
 */
import { loadState, saveState, StateError, type StateSection } from '@emkit/qdev';
import { Random } from './random.ts';

export interface RoundTripOptions {
  /** Scribbled states to try. @default 200 */
  readonly mutations?: number;
  readonly seed?: number;
}

/** `makeFresh` returns a newly made device of the same kind and id (on a board of its own). */
export function checkRoundTrip(
  device: StateSection,
  makeFresh: () => StateSection,
  options: RoundTripOptions = {},
): void {
  const saved = saveState(device);
  const fresh = makeFresh();
  loadState(fresh, saved);
  expectSame(saveState(fresh), saved, 'state after a round trip');

  const victim = makeFresh();
  const before = saveState(victim);
  for (let length = 0; length < saved.length; length += saved.length > 2000 ? 7 : 1) {
    if (!isRefused(victim, saved.subarray(0, length)))
      throw new Error(`a state cut at byte ${length} of ${saved.length} was loaded`);
    expectSame(saveState(victim), before, `state after a load cut at byte ${length} was refused`);
  }
  const random = new Random(options.seed ?? 1);
  for (let i = 0; i < (options.mutations ?? 200); i++) {
    const mutated = saved.slice();
    for (let n = 1 + random.below(3); n > 0; n--) mutated[random.below(mutated.length)] = random.nasty(8);
    const target = makeFresh();
    const original = saveState(target);
    if (isRefused(target, mutated)) expectSame(saveState(target), original, 'state after a mutated load was refused');
    else saveState(target); // accepted: must still be describable, i.e. every value in range
  }
}

function isRefused(device: StateSection, bytes: Uint8Array): boolean {
  try {
    loadState(device, bytes);
    return false;
  } catch (error) {
    if (error instanceof StateError) return true;
    throw error;
  }
}

function expectSame(actual: Uint8Array, expected: Uint8Array, what: string): void {
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  if (at >= 0 || actual.length !== expected.length)
    throw new Error(`${what} differs at byte ${at} (${actual.length} bytes, expected ${expected.length})`);
}
