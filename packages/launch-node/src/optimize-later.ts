/** Less work for V8's optimising compiler in a command that runs for a second. */
import { setFlagsFromString } from 'node:v8';

/** Bytecode bytes that a function runs before V8 thinks of optimising it, and V8's own figure. */
const INTERRUPT_BUDGET = 1_000_000;
const DEFAULT_INTERRUPT_BUDGET = 66 * 1024;
/** Versions of Node whose V8 is known to have the flag: others would say on standard error that they do not. */
const OLDEST = 20;
const NEWEST = 24;

/**
 * Functions are optimised some ten milliseconds of their own running time later. Optimising all that is warm for a moment takes a thread a quarter of a
 * second, which on two cores is missing for the command's work; what runs for seconds is optimised all the same.
 *
 * Call it when the modules are loaded: V8 takes no code cache that was made under other flags, Node's own for its modules included.
 */
export function optimizeLater(): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major < OLDEST || major > NEWEST) return;
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
  // the code cache that is written at the end bears the flags of that moment
  process.prependOnceListener('exit', () => setFlagsFromString(`--interrupt-budget=${DEFAULT_INTERRUPT_BUDGET}`));
}
