/**
 * The `-cpu` option: `MODEL[,+feature][,-feature][,feature=on|off]`, and its help text. Errors are in QEMU's form.
 * A feature that is not implemented is refused when asked for by name, and left out silently of a model's own set.
 */
import { FEATURE_ALIASES, FEATURE_NAMES, FEATURE_WORD_NAMES, IMPLEMENTED } from './features.ts';
import type { CpuFeatures, FeatureWord } from './features.ts';
import type { CpuModel } from './model.ts';
import { CPU_MODELS } from './models.ts';

/** A `-cpu` value that names no model or feature. `message` is meant for the user. */
export class CpuOptionError extends Error {
  override readonly name = 'CpuOptionError';
}

export const DEFAULT_CPU_MODEL = 'qemu32';
/** Longest accepted option text. */
export const CPU_OPTION_MAX_LENGTH = 4096;

type MutableFeatures = Record<FeatureWord, number>;

function findModel(name: string): CpuModel {
  const model = CPU_MODELS.find((m) => m.name === name);
  if (model === undefined) throw new CpuOptionError(`unable to find CPU model '${name}'`);
  return model;
}

/** A model with its features cut to what is implemented. */
export function cpuModel(name: string): CpuModel {
  const model = findModel(name);
  return { ...model, features: restrict(model.features) };
}

function restrict(f: CpuFeatures): MutableFeatures {
  const out: MutableFeatures = { ...f };
  for (const w of FEATURE_WORD_NAMES) out[w] = f[w] & IMPLEMENTED[w];
  return out;
}

function setFeature(features: MutableFeatures, given: string, on: boolean): void {
  const lower = given.toLowerCase();
  const name = Object.hasOwn(FEATURE_ALIASES, lower) ? FEATURE_ALIASES[lower] : lower.replaceAll('_', '-');
  const found = FEATURE_NAMES.find(([, , n]) => n === name);
  if (found === undefined) throw new CpuOptionError(`Property 'cpu.${given}' not found`);
  const [word, mask] = found;
  if (on && (IMPLEMENTED[word] & mask) === 0)
    throw new CpuOptionError(`CPU feature '${name}' is not implemented; -cpu help lists those that are`);
  features[word] = on ? features[word] | mask : features[word] & ~mask;
}

/** Parse the value of `-cpu`. Throws CpuOptionError. */
export function parseCpuOption(text: string): CpuModel {
  if (text.length > CPU_OPTION_MAX_LENGTH) throw new CpuOptionError('the -cpu option is too long');
  const [name, ...options] = text.split(',');
  const model = findModel(name);
  const features = restrict(model.features);
  for (const option of options) {
    if (option === '') continue;
    const sign = option[0];
    if (sign === '+' || sign === '-') {
      setFeature(features, option.slice(1), sign === '+');
      continue;
    }
    const equals = option.indexOf('=');
    const key = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? 'on' : option.slice(equals + 1);
    if (value !== 'on' && value !== 'off') throw new CpuOptionError(`Parameter '${key}' expects 'on' or 'off'`);
    setFeature(features, key, value === 'on');
  }
  return { ...model, features };
}

/** Text of `-cpu help`. */
export function cpuHelp(): string {
  const width = Math.max(...CPU_MODELS.map((m) => m.name.length));
  const models = CPU_MODELS.map((m) => `x86 ${m.name.padEnd(width)}  ${m.description}`);
  return ['Available CPUs:', ...models, '', 'Recognized CPUID flags:', ...wrap(implementedFeatureNames()), ''].join(
    '\n',
  );
}

/** Names that `+name` accepts. */
export function implementedFeatureNames(): string[] {
  return FEATURE_NAMES.filter(([word, mask]) => (IMPLEMENTED[word] & mask) !== 0)
    .map(([, , name]) => name)
    .sort();
}

function wrap(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const n of names) {
    if (line.length + n.length + 1 > 76) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${n}`;
  }
  return [...lines, line];
}
