/** Translations from run to run, as a processor's options ask for them: what the block cache is given, and what is left for the next run. */
import type { Optimisations } from '@emkit/ir';
import type { SavedBlocks } from './saved-blocks.ts';
import type { TcgOptions } from './tcg-options.ts';
import { buildTranslations, parseTranslations } from './translation-format.ts';
import type { KeptTranslations } from './translation-format.ts';

export class TranslationKeeper {
  readonly #key: string = '';
  readonly on: boolean = false;
  readonly given: KeptTranslations | undefined;
  /** Translations were given that are damaged, or of another key. */
  readonly refused: boolean = false;

  constructor({ translations, trace }: TcgOptions, optimisations: Optimisations) {
    // a trace shows translations being made
    if (translations === undefined || trace !== undefined || !optimisations['kept-blocks']) return;
    const { key, kept } = translations;
    this.on = true;
    this.#key = key;
    if (kept === undefined) return;
    this.given = parseTranslations(kept, key);
    this.refused = this.given === undefined;
  }

  /** What the next run can use; undefined: nothing that this one was not given. */
  collect(blocks: SavedBlocks | undefined): Uint8Array | undefined {
    if (blocks === undefined || blocks.stats.learned === 0) return undefined;
    return buildTranslations(this.#key, blocks.records());
  }
}
