/**
 * The encryption of qcow2's `crypt_method` 1, which QEMU no longer uses for guests but converts from: AES-128 in CBC mode, the number
 * of the guest's sector as initialisation vector, and the passphrase itself as key. Do not choose it: its IVs are predictable, and the
 * passphrase is not hardened.
 *
 * Spec: qcow2 document, "Header", bytes 32-35.
 */
import type { AesProvider } from './aes.ts';
import { createSectorCipher, type SectorCipher } from './sector-cipher.ts';

/** Sectors are those of the virtual disk. */
export function createLegacyAesCipher(passphrase: Uint8Array, aes?: AesProvider): SectorCipher {
  const key = new Uint8Array(16);
  key.set(passphrase.subarray(0, 16));
  return createSectorCipher({ key, mode: 'cbc', ivgen: 'plain64', aes });
}
