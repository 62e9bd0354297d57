/**
 * `-accel tcg[,compile-thread=on|off][,translation-cache=on|off|DIR][,opt-NAME=on|off]...`: where hot code is compiled, whether translations
 * are kept from run to run, and which optimisations the translator has, for finding the one that makes a difference. Their names come from the translator's own table. Later properties win, so
 * `opt-all=off,opt-links=on` leaves one on.
 */
import { OPTIMISATION_NAMES, OPTIMISATIONS } from '@emkit/ir';
import type { ListRequest, MachineConfig } from './machine-config.ts';
import { parseOnOff } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { didYouMean } from './suggest.ts';
import { parseKeyValues, type Token } from './tokenizer.ts';

const PREFIX = 'opt-';
const CACHE = 'translation-cache';
const COMPILE = 'compile-thread';
const ALL = 'all';
const PROPERTIES = ['thread', COMPILE, CACHE];
const isHelp = (value: string): boolean => value === 'help' || value === '?';

export function accelOption(config: MachineConfig, token: Token): ListRequest | undefined {
  const keys = parseKeyValues(token, 'accel', undefined);
  const accel = keys.get('accel') ?? '';
  if (isHelp(accel)) return { list: 'accel' };
  if (accel !== 'tcg')
    throw new OptionError(
      `${token.typed}: invalid accelerator ${accel}`,
      'this version has tcg only: leave -accel out',
    );
  for (const [key, value] of keys) {
    if (key === 'accel') continue;
    if (isHelp(key)) return { list: 'accel-properties' };
    if (key === 'thread') checkThread(token, value);
    else if (key === COMPILE) config.compileThread = parseOnOff(token.typed, COMPILE, value);
    else if (key === CACHE) config.translationCache = cacheOption(token, value);
    else if (key.startsWith(PREFIX)) choose(config, token, key.slice(PREFIX.length), value);
    else
      throw new OptionError(
        `Property 'tcg-accel.${key}' not found`,
        didYouMean(
          PROPERTIES.find((name) => name.startsWith(key)) ?? `${PREFIX}${key}`,
          [...PROPERTIES, ...OPTIMISATION_NAMES.map((n) => PREFIX + n)],
          LIST,
        ),
      );
  }
  return undefined;
}

const LIST = 'list: emkit -accel tcg,help';

function cacheOption(token: Token, value: string): boolean | string {
  if (value === 'on' || value === 'off') return value === 'on';
  if (value === '')
    throw new OptionError(`${token.typed}: Parameter '${CACHE}' expects 'on', 'off' or a directory`, `${CACHE}=on`);
  return value;
}

/** One processor has one thread, whatever is asked for. */
function checkThread(token: Token, value: string): void {
  if (value !== 'single' && value !== 'multi')
    throw new OptionError(`${token.typed}: Invalid 'thread' setting ${value}`, 'thread=single');
}

function choose(config: MachineConfig, token: Token, name: string, value: string): void {
  const on = parseOnOff(token.typed, PREFIX + name, value);
  const names = name === ALL ? OPTIMISATION_NAMES : OPTIMISATION_NAMES.filter((n) => n === name);
  if (names.length === 0)
    throw new OptionError(
      `Property 'tcg-accel.${PREFIX}${name}' not found`,
      didYouMean(
        PREFIX + name,
        [ALL, ...OPTIMISATION_NAMES].map((n) => PREFIX + n),
        LIST,
      ),
    );
  for (const n of names) config.optimisations[n] = on;
}

/** The property list that says what is not the default, with its comma; empty when nothing is. */
export function accelText({
  optimisations,
  translationCache,
  compileThread,
}: Pick<MachineConfig, 'optimisations' | 'translationCache' | 'compileThread'>): string {
  const off = OPTIMISATION_NAMES.filter((name) => optimisations[name] === false).map((name) => `,${PREFIX}${name}=off`);
  const cache = translationCache === true ? 'on' : translationCache === false ? undefined : translationCache;
  if (cache !== undefined) off.unshift(`,${CACHE}=${cache.replace(/,/g, ',,')}`);
  if (compileThread) off.unshift(`,${COMPILE}=on`);
  return off.join('');
}

/** What `-accel tcg,help` prints. */
export function accelProperties(): string {
  const rows = [
    ['thread=single', 'one thread runs everything'],
    [`${COMPILE}=<bool>`, 'compile hot code in a second thread (default off)'],
    [`${CACHE}=on|off|DIR`, 'keep translations from run to run (default off)'],
    [`${PREFIX}${ALL}=<bool>`, 'all of the following'],
    ...OPTIMISATIONS.map(({ name, help }) => [`${PREFIX}${name}=<bool>`, help] as const),
  ] as const;
  const width = Math.max(...rows.map(([property]) => property.length));
  return `tcg-accel options:\n${rows.map(([property, help]) => `  ${property.padEnd(width)} - ${help}`).join('\n')}\n`;
}
