/**
 * Translations that outlive a run: where the embedder keeps them, and under which name.
 *
 * The name says all that they depend on besides the guest's code, which is compared when they are used: the program's build, the processor,
 * the optimisations. A store may hold many; which guest it was is part of the name only so that each guest has a file of its own.
 */
import type { Tcg, TranslationOptions } from '@emkit/accel-tcg';
import type { PcOptions } from './options.ts';

/** What is loaded decides what the guest's code does: it must come from nobody but `save`. */
export interface TranslationStore {
  /** What was saved last under the key; undefined: nothing. */
  load(key: string): Promise<Uint8Array | undefined>;
  save(key: string, bytes: Uint8Array): Promise<void>;
}

export interface TranslationCacheOptions {
  readonly store: TranslationStore;
  /** Names the exact code of this program: a hash of it. Another build may translate otherwise. */
  readonly build: string;
  /** Names the guest, for instance by its files. */
  readonly guest: string;
}

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What there is of earlier runs; undefined: this machine keeps none. A store that fails is a warning. */
export async function loadTranslations(options: PcOptions): Promise<TranslationOptions | undefined> {
  const { translations } = options;
  if (translations === undefined) return undefined;
  const { store, build, guest } = translations;
  const key = JSON.stringify([build, guest, options.cpu ?? '', options.optimisations ?? {}]);
  try {
    return { key, kept: await store.load(key) };
  } catch (error) {
    options.warn?.(`translations of earlier runs are not used: ${why(error)}`);
    return { key };
  }
}

/** After the run: what the next one can use of it. */
export async function saveTranslations(options: PcOptions, key: string | undefined, tcg: Tcg): Promise<void> {
  if (key === undefined) return;
  const bytes = tcg.keptTranslations();
  if (bytes === undefined) return;
  try {
    await options.translations?.store.save(key, bytes);
  } catch (error) {
    options.warn?.(`translations are not kept for the next run: ${why(error)}`);
  }
}
