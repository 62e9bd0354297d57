/**
 * A LUKS1 volume inside some storage: opened with a passphrase, or made. The volume may be a file of its own or an area inside a qcow2
 * file; everything is relative to `area`.
 */
import { BlockError, checkAborted, type IoOptions, type Storage } from '@emkit/storage';
import type { AesProvider } from './aes.ts';
import { measureIterations, platformRandom, isHashName, type HashName, type IterationMeter } from './hash.ts';
import { checkPassphrase, cipherOf, masterKeyDigest, openSlot, sealSlot } from './key-slot.ts';
import { MAX_ITERATIONS, SECTOR_SIZE, STRIPES } from './limits.ts';
import {
  LUKS_HEADER_SIZE,
  materialSectors,
  parseLuksHeader,
  serializeLuksHeader,
  SLOT_COUNT,
  type LuksHeader,
} from './luks-header.ts';
import type { CipherMode, IvGenerator, SectorCipher } from './sector-cipher.ts';

/** Reads from the start of the volume. */
export type VolumeReader = Pick<Storage, 'read'>;

export interface OpenedVolume {
  readonly header: LuksHeader;
  /** Of the payload. Which sector numbers it takes is the container's choice: see the package's README. */
  readonly cipher: SectorCipher;
  /** Slot that the passphrase opened. */
  readonly slot: number;
  /** Secret: the key of the payload, for the caller who adds a slot. */
  readonly masterKey: Uint8Array;
}

export async function readLuksHeader(area: VolumeReader, options?: IoOptions): Promise<LuksHeader> {
  const bytes = new Uint8Array(LUKS_HEADER_SIZE);
  await area.read(0, bytes, options);
  return parseLuksHeader(bytes);
}

export async function readMaterial(
  area: VolumeReader,
  header: LuksHeader,
  index: number,
  options?: IoOptions,
): Promise<Uint8Array> {
  const slot = header.slots[index];
  if (slot === undefined) throw new BlockError('invalid-option', `Invalid keyslot ${index}`);
  const material = new Uint8Array(materialSectors(header.keyBytes, slot.stripes) * SECTOR_SIZE);
  await area.read(slot.materialSector * SECTOR_SIZE, material, options);
  return material;
}

/** Tries the active slots in order. Kind `key` when none opens. */
export async function openLuks(
  area: VolumeReader,
  passphrase: Uint8Array,
  options: IoOptions & { readonly aes?: AesProvider | undefined } = {},
): Promise<OpenedVolume> {
  checkPassphrase(passphrase);
  const header = await readLuksHeader(area, options);
  for (let index = 0; index < SLOT_COUNT; index++) {
    const slot = header.slots[index];
    if (slot === undefined || !slot.active) continue;
    checkAborted(options.signal);
    const material = await readMaterial(area, header, index, options);
    const masterKey = await openSlot(header, slot, material, passphrase, options.aes);
    if (masterKey !== undefined)
      return { header, cipher: cipherOf(header, masterKey, options.aes), slot: index, masterKey };
  }
  throw new BlockError('key', 'Invalid password, cannot unlock any keyslot');
}

/** QEMU's `-o` names and values, without `encrypt.`; absent ones take QEMU's defaults. */
export type LuksOptions = Readonly<Record<string, string | undefined>>;

export interface CreateLuksDependencies {
  readonly aes?: AesProvider | undefined;
  /** Default: `crypto.getRandomValues`. */
  readonly random?: ((bytes: Uint8Array) => void) | undefined;
  /** Default: a measurement. */
  readonly iterations?: IterationMeter | undefined;
}

export interface NewVolume extends OpenedVolume {
  /** What to write, relative to the start of the volume: the header last in the list, so that a half-written volume is none. */
  readonly writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** As written by QEMU and cryptsetup: key material at multiples of 4096 bytes. */
const ALIGN_SECTORS = 8;
const DEFAULT_ITER_TIME = 2000;
const MIN_ITERATIONS = 1000;
/** The digest takes an eighth of a second of the slot's two: LUKS1 specification §4.1 leaves it to the tool. */
const DIGEST_TIME = 125;

const slotSectors = (keyBytes: number): number =>
  Math.ceil(materialSectors(keyBytes, STRIPES) / ALIGN_SECTORS) * ALIGN_SECTORS;

/** Bytes before the payload of a new volume. Throws `invalid-option` for options that cannot be. */
export const luksPayloadOffset = (options: LuksOptions): number => payloadOffset(parseLuksOptions(options).keyBytes);

const payloadOffset = (keyBytes: number): number => (ALIGN_SECTORS + slotSectors(keyBytes) * SLOT_COUNT) * SECTOR_SIZE;

export async function createLuks(
  passphrase: Uint8Array,
  options: LuksOptions,
  dependencies: CreateLuksDependencies = {},
): Promise<NewVolume> {
  checkPassphrase(passphrase);
  const { random = platformRandom, iterations = measureIterations, aes } = dependencies;
  const parameters = parseLuksOptions(options);
  const { keyBytes, hash } = parameters;
  const bytes = (length: number): Uint8Array => {
    const filled = new Uint8Array(length);
    random(filled);
    return filled;
  };
  const masterKey = bytes(keyBytes);
  const digestIterations = atLeast(await iterations(hash, 20, DIGEST_TIME));
  const digestSalt = bytes(32);
  const step = slotSectors(keyBytes);
  const first = {
    active: true,
    iterations: atLeast(await iterations(hash, keyBytes, parameters.iterTime)),
    salt: bytes(32),
    materialSector: ALIGN_SECTORS,
    stripes: STRIPES,
  };
  const unused = { active: false, iterations: 0, salt: new Uint8Array(32), stripes: STRIPES };
  const header: LuksHeader = {
    cipher: 'aes',
    mode: parameters.mode,
    ivgen: parameters.ivgen,
    ivgenHash: parameters.ivgenHash,
    hash,
    payloadSector: payloadOffset(keyBytes) / SECTOR_SIZE,
    keyBytes,
    digest: await masterKeyDigest({ hash, digestSalt, digestIterations }, masterKey),
    digestSalt,
    digestIterations,
    uuid: uuid(bytes(16)),
    slots: Array.from({ length: SLOT_COUNT }, (_, i) =>
      i === 0 ? first : { ...unused, materialSector: ALIGN_SECTORS + step * i },
    ),
  };
  const material = await sealSlot(header, first, masterKey, passphrase, random, aes);
  return {
    header,
    cipher: cipherOf(header, masterKey, aes),
    slot: 0,
    masterKey,
    writes: [
      { offset: first.materialSector * SECTOR_SIZE, bytes: material },
      { offset: 0, bytes: serializeLuksHeader(header) },
    ],
  };
}

export const atLeast = (measured: number): number =>
  Math.min(Math.max(Math.ceil(measured), MIN_ITERATIONS), MAX_ITERATIONS);

/** RFC 4122 §4.4: version 4. */
function uuid(bytes: Uint8Array): string {
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

interface Parameters {
  readonly mode: CipherMode;
  readonly ivgen: IvGenerator;
  readonly ivgenHash: HashName | undefined;
  readonly hash: HashName;
  readonly keyBytes: number;
  readonly iterTime: number;
}

function choice<T extends string>(options: LuksOptions, name: string, values: readonly T[], fallback: T): T {
  const value = options[name];
  if (value === undefined) return fallback;
  if (!(values as readonly string[]).includes(value))
    throw new BlockError('invalid-option', `Parameter '${name}' does not accept value '${value}'`, {
      field: name,
      hint: `one of ${values.join(', ')}`,
    });
  return value as T;
}

/** ms. */
export function parseIterTime(value: string | undefined): number {
  if (value === undefined) return DEFAULT_ITER_TIME;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (number === 0) throw new BlockError('invalid-option', "Parameter 'iter-time' must be a positive number of ms");
  return number;
}

/** Throws `invalid-option` for what cannot be made, before anything is written. */
export function parseLuksOptions(options: LuksOptions): Parameters {
  const mode = choice(options, 'cipher-mode', ['xts', 'cbc', 'ecb'], 'xts');
  const ivgen = choice(options, 'ivgen-alg', ['plain64', 'plain', 'essiv'], 'plain64');
  const bits = Number(choice(options, 'cipher-alg', ['aes-256', 'aes-192', 'aes-128'], 'aes-256').slice(4));
  const hash = choice<HashName>(options, 'hash-alg', ['sha256', 'sha1', 'sha512', 'ripemd160'], 'sha256');
  const named = options['ivgen-hash-alg'];
  const ivgenHash = named ?? (ivgen === 'essiv' ? 'sha256' : undefined);
  if (ivgenHash !== undefined && (!isHashName(ivgenHash) || (ivgen === 'essiv' && ivgenHash !== 'sha256')))
    throw new BlockError('invalid-option', `Parameter 'ivgen-hash-alg' does not accept value '${ivgenHash}'`, {
      field: 'ivgen-hash-alg',
      hint: 'ESSIV over AES needs sha256',
    });
  // 24 * 4000 bytes are no whole sectors, and QEMU ends with an assertion when it meets such a volume
  if (bits === 192 && mode !== 'xts')
    throw new BlockError('invalid-option', `Algorithm 'aes-192' is not supported with mode '${mode}'`);
  const keyBytes = (bits / 8) * (mode === 'xts' ? 2 : 1);
  return { mode, ivgen, ivgenHash, hash, keyBytes, iterTime: parseIterTime(options['iter-time']) };
}
