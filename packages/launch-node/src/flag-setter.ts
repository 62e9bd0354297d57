/** Flags of V8, set while it runs. */
import type * as V8 from 'node:v8';

type FlagSetter = (flags: string) => void;

/**
 * `v8.setFlagsFromString` without Node's module for V8, which loads all of Node's streams: 3 to 5 ms in which this thread answers nobody. What is taken instead is there in Node 20,
 * with a warning that is not for the user.
 */
export function flagSetter(): FlagSetter {
  const host = process as unknown as {
    noDeprecation?: boolean | undefined;
    binding?: (name: string) => { setFlagsFromString?: FlagSetter };
  };
  const { noDeprecation } = host;
  try {
    host.noDeprecation = true;
    const found = host.binding?.('v8').setFlagsFromString;
    if (found !== undefined) return found;
  } catch {
    // --pending-deprecation or a policy may forbid it
  } finally {
    host.noDeprecation = noDeprecation;
  }
  const { setFlagsFromString }: typeof V8 = process.getBuiltinModule('node:v8');
  return setFlagsFromString;
}
