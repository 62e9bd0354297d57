/** The pages that a region's code lies in, and whether they are where they were. */
import { isPlace } from '@emkit/codegen';
import type { Region, Tb } from './code-map.ts';
import { ACCESS_FAULT, EXEC } from './softmmu.ts';
import type { SoftMmu } from './softmmu.ts';
import type { Target } from './target.ts';

/**
 * Pages that must map to where they do now, for a region of these blocks to be good: besides that of the entries, if it is one, which the way to an entry has shown. They
 * are those for which the blocks were translated.
 */
export function pagesOf(
  { mmu, target }: { readonly mmu: SoftMmu; readonly target: Target },
  blocks: readonly Tb[],
  entries: readonly Tb[],
): Region['pages'] {
  const pageOf = (tb: Tb): number => mmu.page(target.linear(tb.pc, tb.csBase, tb.flags));
  const pages = new Map<number, number>();
  for (const tb of blocks) {
    const page = pageOf(tb);
    pages.set(page, tb.host - (tb.host & 4095));
    if (tb.secondPage >= 0)
      pages.set(mmu.page(mmu.nextPage(mmu.pageAddress(page))), tb.secondPage - (tb.secondPage & 4095));
  }
  const first = pageOf(entries[0]);
  if (entries.every((tb) => pageOf(tb) === first)) pages.delete(first);
  return [...pages].map(([page, host]) => ({ page, host }));
}

/** Are a region's pages, at a place, mapped to where they are said to be, or elsewhere, or is one of them not there? */
export function stateOf(
  { pages, movable }: Pick<Region, 'pages' | 'movable'>,
  place: number,
  { mmu, target }: { readonly mmu: SoftMmu; readonly target: Target },
  user: number,
): 'same' | 'other' | 'absent' {
  if (!movable && place !== 0) return 'other';
  let state: 'same' | 'absent' = 'same';
  for (const { page, host } of pages) {
    const linear = mmu.pageAddress(page) + place;
    if (movable && !isPlace(linear | 0, target.highHalf(linear))) return 'other';
    const found = mmu.access(linear, EXEC, user);
    if (found === ACCESS_FAULT) state = 'absent';
    else if (found !== host) return 'other';
  }
  return state;
}
