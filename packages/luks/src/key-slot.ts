/**
 * What stands in a key slot: the master key, split and encrypted under a passphrase.
 *
 * Spec: LUKS1 specification §4.1 "Initialisation", §4.2 "Adding new passwords", §4.3 "Master key recovery".
 */
import { BlockError } from '@emkit/storage';
import type { AesProvider } from './aes.ts';
import { afMerge, afSplit } from './anti-forensic.ts';
import { pbkdf2 } from './hash.ts';
import { MAX_PASSPHRASE_BYTES, SECTOR_SIZE } from './limits.ts';
import { materialSectors, type KeySlot, type LuksHeader } from './luks-header.ts';
import { createSectorCipher, type SectorCipher } from './sector-cipher.ts';

const DIGEST_BYTES = 20;

/** The cipher that a header names, with this key: of the payload with the master key, of key material with a derived one. */
export const cipherOf = (header: LuksHeader, key: Uint8Array, aes: AesProvider | undefined): SectorCipher =>
  createSectorCipher({ key, mode: header.mode, ivgen: header.ivgen, ivgenHash: header.ivgenHash, aes });

export function checkPassphrase(passphrase: Uint8Array): void {
  if (passphrase.length > MAX_PASSPHRASE_BYTES)
    throw new BlockError('invalid-option', `a passphrase of ${passphrase.length} bytes is too long`);
}

/** Of a master key: equal to the header's for the right one. */
export const masterKeyDigest = (
  header: Pick<LuksHeader, 'hash' | 'digestSalt' | 'digestIterations'>,
  masterKey: Uint8Array,
): Promise<Uint8Array> => pbkdf2(header.hash, masterKey, header.digestSalt, header.digestIterations, DIGEST_BYTES);

/** The master key, or undefined if this is not the slot's passphrase. `material`: the slot's sectors; is overwritten. */
export async function openSlot(
  header: LuksHeader,
  slot: KeySlot,
  material: Uint8Array,
  passphrase: Uint8Array,
  aes?: AesProvider,
): Promise<Uint8Array | undefined> {
  const key = await pbkdf2(header.hash, passphrase, slot.salt, slot.iterations, header.keyBytes);
  cipherOf(header, key, aes).decrypt(0, material);
  const masterKey = afMerge(header.hash, material, header.keyBytes, slot.stripes);
  const digest = await masterKeyDigest(header, masterKey);
  return digest.every((byte, i) => byte === header.digest[i]) ? masterKey : undefined;
}

/** The slot's sectors for this passphrase. */
export async function sealSlot(
  header: LuksHeader,
  slot: KeySlot,
  masterKey: Uint8Array,
  passphrase: Uint8Array,
  random: (bytes: Uint8Array) => void,
  aes?: AesProvider,
): Promise<Uint8Array> {
  const material = new Uint8Array(materialSectors(header.keyBytes, slot.stripes) * SECTOR_SIZE);
  material.set(afSplit(header.hash, masterKey, slot.stripes, random));
  const key = await pbkdf2(header.hash, passphrase, slot.salt, slot.iterations, header.keyBytes);
  cipherOf(header, key, aes).encrypt(0, material);
  return material;
}
