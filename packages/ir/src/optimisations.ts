/**
 * All that the translator may do or leave: one table for frontend, code generators, accelerator and command line. Each row can be off
 * alone and with any others, and the guest sees no difference but time: to find which one is the cause when it does.
 *
 * A new optimisation gets a row here and asks the `Optimisations` that its layer is handed; tests and fuzzer then draw it by itself.
 */

export const OPTIMISATIONS = [
  { name: 'regions', help: 'hot blocks are compiled to WebAssembly' },
  { name: 'region-joins', help: 'a region has the blocks that its first one leads to' },
  {
    name: 'region-entries',
    help: 'a region is entered at several blocks, and copies what another has only where the way there is hot',
  },
  {
    name: 'moved-code',
    help: 'code that is mapped elsewhere too, as in the next process of a program, is neither translated nor compiled again',
  },
  {
    name: 'region-links',
    help: 'an exit of a region goes on in the region that it went on in before, without a look-up',
  },
  { name: 'indirect-targets', help: 'a region goes on behind returns and indirect jumps, at targets that were seen' },
  { name: 'tlb-groups', help: 'in regions one look at the TLB for accesses at constant offsets from one base' },
  { name: 'deferral', help: 'in regions a value that is used once is computed where it is used' },
  { name: 'branch-hints', help: 'the engine is told which branches of compiled code are seldom taken' },
  { name: 'page-walker', help: 'misses of the TLB are answered in WebAssembly' },
  { name: 'code-table', help: 'blocks are found by host address without script' },
  { name: 'links', help: 'the interpreter goes to the next block of a page without a look-up' },
  { name: 'volatile-immediates', help: 'code whose immediates are rewritten reads them from memory' },
  { name: 'folding', help: 'constants are computed when code is translated' },
  { name: 'sharing', help: 'equal values of a block are computed once' },
  { name: 'dead-code', help: 'what a block computes for nobody is removed' },
  { name: 'transitions', help: 'INT, IRET, SYSCALL, SYSENTER and what goes back from them in regions' },
  { name: 'page-faults', help: 'page faults that the page walker finds are delivered without script' },
  { name: 'segment-loads', help: 'loads of data segments, POPF and bases of FS and GS in regions' },
  { name: 'ports', help: 'a region calls the device of IN and OUT and goes on' },
  { name: 'bulk-strings', help: 'REP MOVS and REP STOS in regions as one copy or fill of memory' },
  { name: 'masked-moves', help: 'masked vector moves and gathers in regions' },
  { name: 'kept-blocks', help: 'blocks of an earlier run are copied, not translated (translation-cache)' },
  { name: 'native-floats', help: 'SSE arithmetic in regions by WebAssembly where result and flags are the same' },
] as const satisfies readonly { readonly name: string; readonly help: string }[];

export type OptimisationName = (typeof OPTIMISATIONS)[number]['name'];

/** What is on. */
export type Optimisations = Readonly<Record<OptimisationName, boolean>>;
/** What a user asks for: what is not named is on. */
export type OptimisationChoice = Readonly<Partial<Record<OptimisationName, boolean>>>;

export const OPTIMISATION_NAMES: readonly OptimisationName[] = OPTIMISATIONS.map(({ name }) => name);

const isName = (name: string): name is OptimisationName => (OPTIMISATION_NAMES as readonly string[]).includes(name);

/** All that `choice` does not name is on; a name that does not exist is a RangeError, for those whom no types guard. */
export function chooseOptimisations(choice: OptimisationChoice = {}): Optimisations {
  const unknown = Object.keys(choice).find((name) => !isName(name));
  if (unknown !== undefined)
    throw new RangeError(`no optimisation is named '${unknown}': there are ${OPTIMISATION_NAMES.join(', ')}`);
  return Object.fromEntries(OPTIMISATION_NAMES.map((name) => [name, choice[name] ?? true])) as Record<
    OptimisationName,
    boolean
  >;
}
