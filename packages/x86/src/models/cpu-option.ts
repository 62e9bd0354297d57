/**
 * The `-cpu` option: `MODEL[,+feature][,-feature][,feature=on|off][,property=value]`, and its help text. Messages are in QEMU's form.
 * A feature that is not implemented is left out, whether a model or the user asks for it, with a warning; `enforce` refuses instead.
 */
import { FEATURE_ALIASES, FEATURE_NAMES, FEATURE_WORD_NAMES, FEATURE_WORDS, IMPLEMENTED } from './features.ts';
import type { CpuFeatures, FeatureWord } from './features.ts';
import { modelSignature } from './model.ts';
import type { CpuModel } from './model.ts';
import { CPU_MODELS, findCpuModel } from './models.ts';

/** A `-cpu` value that names no model or feature. `message` is meant for the user. */
export class CpuOptionError extends Error {
  override readonly name = 'CpuOptionError';
}

export const DEFAULT_CPU_MODEL = 'qemu32';
/** Longest accepted option text. */
export const CPU_OPTION_MAX_LENGTH = 4096;
const BRAND_MAX_LENGTH = 48;

type MutableFeatures = Record<FeatureWord, number>;
type MutableModel = { -readonly [K in keyof CpuModel]: CpuModel[K] };

function findModel(name: string): CpuModel {
  const model = findCpuModel(name);
  if (model !== undefined) return model;
  if (name === 'host')
    throw new CpuOptionError("CPU model 'host' needs the host's processor, not an emulator; max has the most");
  throw new CpuOptionError(`unable to find CPU model '${name}'`);
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

/** Canonical name of a feature, or undefined. */
function featureName(given: string): string | undefined {
  const lower = given.toLowerCase();
  const name = Object.hasOwn(FEATURE_ALIASES, lower) ? FEATURE_ALIASES[lower] : lower.replaceAll('_', '-');
  return FEATURE_NAMES.some(([, , n]) => n === name) ? name : undefined;
}

function setFeature(features: MutableFeatures, given: string, on: boolean): void {
  const name = featureName(given);
  if (name === undefined) throw new CpuOptionError(`Property 'cpu.${given}' not found`);
  const [word, mask] = FEATURE_NAMES.find(([, , n]) => n === name)!;
  features[word] = on ? features[word] | mask : features[word] & ~mask;
}

function onOff(key: string, value: string): boolean {
  if (value !== 'on' && value !== 'off') throw new CpuOptionError(`Parameter '${key}' expects 'on' or 'off'`);
  return value === 'on';
}

function integer(key: string, value: string, max: number): number {
  const n = /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(n)) throw new CpuOptionError(`Parameter '${key}' expects an integer`);
  if (n > max) throw new CpuOptionError(`Property 'cpu.${key}' is out of range (0 - ${max})`);
  return n;
}

interface Settings {
  check: boolean;
  enforce: boolean;
  family: number;
  model: number;
  stepping: number;
}

/** Properties that are no features. False: not one of them. */
function setProperty(model: MutableModel, settings: Settings, key: string, value: string): boolean {
  switch (key) {
    case 'check':
    case 'enforce':
      settings[key] = onOff(key, value);
      return true;
    case 'family':
      settings.family = integer(key, value, 0xff + 0xf);
      return true;
    case 'model':
      settings.model = integer(key, value, 0xff);
      return true;
    case 'stepping':
      settings.stepping = integer(key, value, 0xf);
      return true;
    case 'level':
      model.maxLeaf = integer(key, value, 0x1f);
      return true;
    case 'xlevel':
      model.maxExtendedLeaf = integer(key, value, 0x8000001f);
      return true;
    case 'vendor':
      if (!/^[ -~]{12}$/.test(value)) throw new CpuOptionError(`Property 'cpu.vendor' doesn't take value '${value}'`);
      model.vendor = value;
      return true;
    case 'model-id':
      model.brand = value.replace(/[^ -~]/g, '?').slice(0, BRAND_MAX_LENGTH);
      return true;
    case 'migratable':
    case 'pmu':
      onOff(key, value); // nothing here depends on it
      return true;
    default:
      return false;
  }
}

/** As a person reads it: `CPUID.07H:EBX.hle [bit 4]`. */
function unavailable(wanted: CpuFeatures): string[] {
  return FEATURE_NAMES.filter(([word, mask]) => (wanted[word] & ~IMPLEMENTED[word] & mask) !== 0).map(
    ([word, mask, name]) => {
      const [leaf, register] = FEATURE_WORDS[word];
      return `CPUID.${leaf.toString(16).toUpperCase().padStart(2, '0')}H:${register}.${name} [bit ${31 - Math.clz32(mask)}]`;
    },
  );
}

export interface CpuOption {
  readonly model: CpuModel;
  /** One line for each feature that was asked for and is not there. */
  readonly warnings: readonly string[];
}

/** Parse the value of `-cpu`. Throws CpuOptionError. */
export function resolveCpuOption(text: string): CpuOption {
  if (text.length > CPU_OPTION_MAX_LENGTH) throw new CpuOptionError('the -cpu option is too long');
  const [name, ...options] = text.split(',');
  const found = findModel(name);
  const model: MutableModel = { ...found };
  const features: MutableFeatures = { ...found.features };
  const { signature } = found;
  const settings: Settings = {
    check: true,
    enforce: false,
    family: ((signature >> 8) & 15) + ((signature >> 20) & 0xff),
    model: ((signature >> 4) & 15) | ((signature >> 12) & 0xf0),
    stepping: signature & 15,
  };
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
    if (setProperty(model, settings, key, value)) continue;
    if (featureName(key) === undefined) throw new CpuOptionError(`Property 'cpu.${key}' not found`);
    setFeature(features, key, onOff(key, value));
  }
  const missing = unavailable(features);
  if (settings.enforce && missing.length > 0)
    throw new CpuOptionError(`emkit doesn't support requested features: ${missing.join(', ')}`);
  return {
    model: {
      ...model,
      signature: modelSignature(settings.family, settings.model, settings.stepping),
      features: restrict(features),
    },
    warnings: settings.check ? missing.map((m) => `emkit doesn't support requested feature: ${m}`) : [],
  };
}

/** The model alone, without warnings. */
export function parseCpuOption(text: string): CpuModel {
  return resolveCpuOption(text).model;
}

/** Text of `-cpu help`. */
export function cpuHelp(): string {
  const width = Math.max(...CPU_MODELS.map((m) => m.name.length));
  const models = CPU_MODELS.map((m) => `x86 ${m.name.padEnd(width)}  ${m.description}`);
  return ['Available CPUs:', ...models, '', 'Recognized CPUID flags:', ...wrap(implementedFeatureNames()), ''].join(
    '\n',
  );
}

/** Names that `+name` accepts and that do something. */
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
