/**
 * The header of a LUKS1 volume: parsed with every field checked, and written. It knows nothing of passphrases.
 *
 * Spec: LUKS1 On-Disk Format Specification 1.2.3, §3.1 Figure 1 "PHDR layout", Figure 2 "key slot layout"; big-endian.
 * Invariants of a parsed header: the cipher is one that `createSectorCipher` takes; key material lies behind the header, before the
 * payload, and no two slots share a byte; iteration counts are within the limits.
 */
import { BlockError } from '@emkit/storage';
import { isHashName, type HashName } from './hash.ts';
import { MAX_ITERATIONS, MAX_PAYLOAD_SECTOR, SECTOR_SIZE, STRIPES } from './limits.ts';
import { LUKS_MAGIC } from './luks-magic.ts';
import type { CipherMode, IvGenerator } from './sector-cipher.ts';

/** Bytes of the header proper; key material begins at the next multiple of 4096 as a rule. */
export const LUKS_HEADER_SIZE = 592;
export const SLOT_COUNT = 8;

const Field = {
  VERSION: 6,
  CIPHER_NAME: 8,
  CIPHER_MODE: 40,
  HASH_SPEC: 72,
  PAYLOAD_OFFSET: 104,
  KEY_BYTES: 108,
  MK_DIGEST: 112,
  MK_DIGEST_SALT: 132,
  MK_DIGEST_ITER: 164,
  UUID: 168,
  KEY_SLOTS: 208,
} as const;
export const Slot = { ACTIVE: 0, ITERATIONS: 4, SALT: 8, MATERIAL_OFFSET: 40, STRIPES: 44, SIZE: 48 } as const;
export const SLOT_ENABLED = 0x00ac71f3;
export const SLOT_DISABLED = 0x0000dead;

export interface KeySlot {
  readonly active: boolean;
  readonly iterations: number;
  /** 32 bytes. */
  readonly salt: Uint8Array;
  /** Sectors from the start of the volume. */
  readonly materialSector: number;
  readonly stripes: number;
}

export interface LuksHeader {
  /** `aes`, the only one. */
  readonly cipher: 'aes';
  readonly mode: CipherMode;
  readonly ivgen: IvGenerator;
  readonly ivgenHash: HashName | undefined;
  readonly hash: HashName;
  /** Sectors before the encrypted disk. */
  readonly payloadSector: number;
  /** Of the master key; both halves for XTS. */
  readonly keyBytes: number;
  /** 20 bytes. */
  readonly digest: Uint8Array;
  /** 32 bytes. */
  readonly digestSalt: Uint8Array;
  readonly digestIterations: number;
  readonly uuid: string;
  /** Eight. */
  readonly slots: readonly KeySlot[];
}

const invalid = (message: string, field: string, offset: number): never => {
  throw new BlockError('invalid-format', message, { field, offset });
};
const unsupported = (message: string, field: string, offset: number): never => {
  throw new BlockError('unsupported-feature', message, { field, offset });
};

/** NUL-terminated ASCII in a field of fixed size. */
function text(bytes: Uint8Array, at: number, size: number, field: string): string {
  const raw = bytes.subarray(at, at + size);
  const end = raw.indexOf(0);
  if (end < 0) return invalid(`LUKS header ${field} is not NUL terminated`, field, at);
  const characters = raw.subarray(0, end);
  if (characters.some((c) => c < 0x20 || c > 0x7e)) return invalid(`LUKS header ${field} is not text`, field, at);
  return String.fromCharCode(...characters);
}

/** Sectors of one slot's key material. */
export const materialSectors = (keyBytes: number, stripes: number): number =>
  Math.ceil((keyBytes * stripes) / SECTOR_SIZE);

/** `bytes`: at least the first 592 of the volume. Offsets in errors count from there. */
export function parseLuksHeader(bytes: Uint8Array): LuksHeader {
  if (bytes.length < LUKS_HEADER_SIZE || LUKS_MAGIC.some((byte, i) => bytes[i] !== byte))
    return invalid('Volume is not in LUKS format', 'magic', 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, LUKS_HEADER_SIZE);
  const version = view.getUint16(Field.VERSION);
  if (version !== 1) return unsupported(`LUKS version ${version} is not supported`, 'version', Field.VERSION);
  const cipher = text(bytes, Field.CIPHER_NAME, 32, 'cipher-name');
  if (cipher !== 'aes') return unsupported(`Algorithm '${cipher}' is not supported`, 'cipher-name', Field.CIPHER_NAME);
  const mode = parseMode(text(bytes, Field.CIPHER_MODE, 32, 'cipher-mode'));
  const hash = hashName(text(bytes, Field.HASH_SPEC, 32, 'hash-spec'), 'hash-spec', Field.HASH_SPEC);
  const keyBytes = view.getUint32(Field.KEY_BYTES);
  const sizes = mode.mode === 'xts' ? [32, 48, 64] : [16, 24, 32];
  if (!sizes.includes(keyBytes))
    return unsupported(`No AES key of ${keyBytes} bytes for mode ${mode.mode}`, 'key-bytes', Field.KEY_BYTES);
  const digestIterations = view.getUint32(Field.MK_DIGEST_ITER);
  checkIterations(digestIterations, 'mk-digest-iter', Field.MK_DIGEST_ITER);
  const payloadSector = view.getUint32(Field.PAYLOAD_OFFSET);
  if (payloadSector > MAX_PAYLOAD_SECTOR || payloadSector * SECTOR_SIZE < LUKS_HEADER_SIZE)
    return invalid(`LUKS payload offset ${payloadSector} is out of range`, 'payload-offset', Field.PAYLOAD_OFFSET);
  const slots = Array.from({ length: SLOT_COUNT }, (_, i) => parseSlot(view, bytes, i));
  checkLayout(slots, keyBytes, payloadSector);
  return {
    cipher,
    ...mode,
    hash,
    payloadSector,
    keyBytes,
    digest: bytes.slice(Field.MK_DIGEST, Field.MK_DIGEST + 20),
    digestSalt: bytes.slice(Field.MK_DIGEST_SALT, Field.MK_DIGEST_SALT + 32),
    digestIterations,
    uuid: text(bytes, Field.UUID, 40, 'uuid'),
    slots,
  };
}

/** `xts-plain64`, `cbc-essiv:sha256`, `ecb-plain`. LUKS1 specification, Table "valid cipher modes". */
function parseMode(spec: string): Pick<LuksHeader, 'mode' | 'ivgen' | 'ivgenHash'> {
  const match = /^(xts|cbc|ecb)(?:-(plain|plain64|essiv)(?::([a-z0-9]+))?)?$/.exec(spec);
  const mode = match?.[1] as CipherMode | undefined;
  const ivgen = (match?.[2] ?? (mode === 'ecb' ? 'plain' : undefined)) as IvGenerator | undefined;
  if (mode === undefined || ivgen === undefined)
    return unsupported(`Cipher mode '${spec}' is not supported`, 'cipher-mode', Field.CIPHER_MODE);
  const named = match?.[3];
  const ivgenHash = named === undefined ? undefined : hashName(named, 'cipher-mode', Field.CIPHER_MODE);
  if (ivgen === 'essiv' && ivgenHash !== 'sha256' && mode !== 'ecb')
    return unsupported(`Cipher mode '${spec}': ESSIV needs sha256 for AES`, 'cipher-mode', Field.CIPHER_MODE);
  return { mode, ivgen, ivgenHash };
}

const hashName = (name: string, field: string, offset: number): HashName =>
  isHashName(name) ? name : unsupported(`Hash algorithm '${name}' is not supported`, field, offset);

function checkIterations(count: number, field: string, offset: number): void {
  if (count === 0) invalid(`LUKS ${field} is 0`, field, offset);
  if (count > MAX_ITERATIONS) unsupported(`LUKS ${field} ${count} is larger than ${MAX_ITERATIONS}`, field, offset);
}

function parseSlot(view: DataView, bytes: Uint8Array, index: number): KeySlot {
  const at = Field.KEY_SLOTS + index * Slot.SIZE;
  const state = view.getUint32(at + Slot.ACTIVE);
  if (state !== SLOT_ENABLED && state !== SLOT_DISABLED)
    return invalid(`Keyslot ${index} state (active/disable) is corrupted`, `slot ${index} active`, at);
  const active = state === SLOT_ENABLED;
  const iterations = view.getUint32(at + Slot.ITERATIONS);
  if (active) checkIterations(iterations, `slot ${index} iterations`, at + Slot.ITERATIONS);
  const stripes = view.getUint32(at + Slot.STRIPES);
  if (stripes !== STRIPES)
    return invalid(
      `Keyslot ${index} is corrupted (stripes count ${stripes} != ${STRIPES})`,
      `slot ${index} stripes`,
      at,
    );
  const salt = bytes.slice(at + Slot.SALT, at + Slot.SALT + 32);
  return { active, iterations, salt, materialSector: view.getUint32(at + Slot.MATERIAL_OFFSET), stripes };
}

function checkLayout(slots: readonly KeySlot[], keyBytes: number, payloadSector: number): void {
  slots.forEach((slot, i) => {
    const at = Field.KEY_SLOTS + i * Slot.SIZE + Slot.MATERIAL_OFFSET;
    const field = `slot ${i} key-material-offset`;
    const length = materialSectors(keyBytes, slot.stripes);
    if (slot.materialSector * SECTOR_SIZE < LUKS_HEADER_SIZE)
      invalid(`Keyslot ${i} is overlapping with the LUKS header`, field, at);
    if (slot.materialSector + length > payloadSector)
      invalid(`Keyslot ${i} is overlapping with the encrypted payload`, field, at);
    for (let other = 0; other < i; other++)
      if (Math.abs((slots[other] as KeySlot).materialSector - slot.materialSector) < length)
        invalid(`Keyslots ${other} and ${i} are overlapping in the header`, field, at);
  });
}

/** The 592 bytes. */
export function serializeLuksHeader(header: LuksHeader): Uint8Array {
  const bytes = new Uint8Array(LUKS_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, value: string): void => {
    for (let i = 0; i < value.length; i++) bytes[at + i] = value.charCodeAt(i);
  };
  bytes.set(LUKS_MAGIC);
  view.setUint16(Field.VERSION, 1);
  ascii(Field.CIPHER_NAME, header.cipher);
  ascii(Field.CIPHER_MODE, cipherModeSpec(header));
  ascii(Field.HASH_SPEC, header.hash);
  view.setUint32(Field.PAYLOAD_OFFSET, header.payloadSector);
  view.setUint32(Field.KEY_BYTES, header.keyBytes);
  bytes.set(header.digest, Field.MK_DIGEST);
  bytes.set(header.digestSalt, Field.MK_DIGEST_SALT);
  view.setUint32(Field.MK_DIGEST_ITER, header.digestIterations);
  ascii(Field.UUID, header.uuid);
  header.slots.forEach((slot, i) => bytes.set(serializeSlot(slot), slotOffset(i)));
  return bytes;
}

const cipherModeSpec = (header: LuksHeader): string =>
  `${header.mode}-${header.ivgen}${header.ivgenHash === undefined ? '' : `:${header.ivgenHash}`}`;

/** Where a slot's entry stands in the header. */
export const slotOffset = (index: number): number => Field.KEY_SLOTS + index * Slot.SIZE;

export function serializeSlot(slot: KeySlot): Uint8Array {
  const bytes = new Uint8Array(Slot.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(Slot.ACTIVE, slot.active ? SLOT_ENABLED : SLOT_DISABLED);
  view.setUint32(Slot.ITERATIONS, slot.iterations);
  bytes.set(slot.salt, Slot.SALT);
  view.setUint32(Slot.MATERIAL_OFFSET, slot.materialSector);
  view.setUint32(Slot.STRIPES, slot.stripes);
  return bytes;
}
