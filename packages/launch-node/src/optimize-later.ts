/** Less work for V8's optimising compiler in a command that runs for a second. */
import { flagSetter } from './flag-setter.ts';

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
