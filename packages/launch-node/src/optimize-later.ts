/** Less work for V8's optimising compiler in a command that runs for a second. */
import type * as V8 from 'node:v8';

/** Bytecode bytes that a function runs before V8 thinks of optimising it, and V8's own figure. */
const INTERRUPT_BUDGET = 1_000_000;
const DEFAULT_INTERRUPT_BUDGET = 66 * 1024;
/** The version of Node whose V8 has the flag. In Node 22 it is gone, and V8 says so on standard error. */
const HAS_FLAG = 20;

/**
 * Functions are optimised later. Optimising all that is warm for a moment takes a thread some 0.2 s, which on two cores is missing for the command's work; what runs for
 * seconds is optimised all the same. Does nothing but in Node 20.
 *
 * Call it when the modules are loaded: V8 takes no code cache that was made under other flags, Node's own for its modules included.
 */
export function optimizeLater(): void {
  if (Number.parseInt(process.versions.node, 10) !== HAS_FLAG) return;
  const setFlagsFromString = flagSetter();
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
  // the code cache that is written at the end bears the flags of that moment
  process.prependOnceListener('exit', () => setFlagsFromString(`--interrupt-budget=${DEFAULT_INTERRUPT_BUDGET}`));
}

type FlagSetter = (flags: string) => void;

/**
 * `v8.setFlagsFromString` without Node's module for V8, which loads all of Node's streams: 3 to 5 ms in which this thread answers nobody. What is taken instead is there in Node 20,
 * with a warning that is not for the user.
 */
function flagSetter(): FlagSetter {
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
