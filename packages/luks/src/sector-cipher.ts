/**
 * Encryption of 512-byte sectors by number: AES in XTS, CBC or ECB with the IV generators `plain`, `plain64` and `essiv`.
 *
 * The modes are written so that AES sees long runs: XTS makes the tweaks of all sectors in one call and the data another one; CBC takes
 * block n of every sector at once when it encrypts. A run is cut into pieces of bounded scratch memory. Words are little-endian, as on
 * every platform that JavaScript engines run on with typed-array speed.
 *
 * Specs: IEEE 1619-2007 §5 "XTS-AES transform" (a sector is a whole number of blocks, so no ciphertext stealing); NIST SP 800-38A §6.1,
 * §6.2; LUKS1 specification, Table "valid cipher modes"; Fruhwirth, "New Methods in Hard Disk Encryption", §4.3 (ESSIV).
 */
import { BlockError } from '@emkit/storage';
import { portableAes, type AesKey, type AesProvider } from './aes.ts';
import { HASHES, type HashName } from './hash.ts';
import { SECTOR_SIZE } from './limits.ts';

/** Encrypts and decrypts in place. `data.length` is a multiple of 512; `sector` is the number of its first sector, below 2^53. */
export interface SectorCipher {
  encrypt(sector: number, data: Uint8Array): void;
  decrypt(sector: number, data: Uint8Array): void;
}

export type CipherMode = 'xts' | 'cbc' | 'ecb';
export type IvGenerator = 'plain' | 'plain64' | 'essiv';

export interface SectorCipherOptions {
  /** 16, 24 or 32 bytes; for XTS twice that. */
  readonly key: Uint8Array;
  readonly mode: CipherMode;
  readonly ivgen: IvGenerator;
  /** Of ESSIV: its digest must be an AES key, so `sha256`. */
  readonly ivgenHash?: HashName | undefined;
  readonly aes?: AesProvider | undefined;
}

const BLOCK = 16;
const WORDS = SECTOR_SIZE / 4;
const SECTORS = 64;

type Direction = 'encrypt' | 'decrypt';
type Transform = (direction: Direction, data: Uint8Array, sectors: number, ivs: Uint8Array) => void;

export function createSectorCipher(options: SectorCipherOptions): SectorCipher {
  const aes = options.aes ?? portableAes;
  const { key, mode } = options;
  if (mode === 'xts' && key.length % 2 !== 0) badKey(key);
  const half = mode === 'xts' ? key.length / 2 : key.length;
  if (half !== 16 && half !== 24 && half !== 32) badKey(key);
  const makeIvs = ivMaker(options, aes);
  const main = aes(key.slice(0, half));
  const transform = mode === 'xts' ? xts(main, aes(key.slice(half))) : mode === 'cbc' ? cbc(main) : ecbMode(main);
  const ivs = new Uint8Array(SECTORS * BLOCK);

  function run(direction: Direction, sector: number, data: Uint8Array): void {
    if (data.length % SECTOR_SIZE !== 0 || !Number.isSafeInteger(sector + data.length / SECTOR_SIZE) || sector < 0)
      throw new BlockError('out-of-bounds', `${data.length} bytes at sector ${sector} are no run of sectors`);
    for (let at = 0; at < data.length; at += SECTORS * SECTOR_SIZE) {
      const piece = data.subarray(at, at + SECTORS * SECTOR_SIZE);
      const sectors = piece.length / SECTOR_SIZE;
      if (mode !== 'ecb') makeIvs(sector + at / SECTOR_SIZE, ivs.subarray(0, sectors * BLOCK));
      transform(direction, piece, sectors, ivs.subarray(0, sectors * BLOCK));
    }
  }
  return {
    encrypt: (sector, data) => run('encrypt', sector, data),
    decrypt: (sector, data) => run('decrypt', sector, data),
  };
}

function badKey(key: Uint8Array): never {
  throw new BlockError('unsupported-feature', `AES has no keys of ${key.length} bytes in this mode`, {
    field: 'key-bytes',
  });
}

function ivMaker(options: SectorCipherOptions, aes: AesProvider): (sector: number, ivs: Uint8Array) => void {
  const is64 = options.ivgen !== 'plain';
  const numbers = (sector: number, ivs: Uint8Array): void => {
    const words = new Uint32Array(ivs.buffer, ivs.byteOffset, ivs.length / 4);
    words.fill(0);
    for (let i = 0; i < words.length; i += 4) {
      const number = sector + i / 4;
      words[i] = number % 2 ** 32;
      if (is64) words[i + 1] = Math.floor(number / 2 ** 32);
    }
  };
  if (options.ivgen !== 'essiv' || options.mode === 'ecb') return numbers;
  if (options.ivgenHash === undefined)
    throw new BlockError('invalid-format', 'Hash algorithm is required for essiv', { field: 'cipher-mode' });
  const salt = HASHES[options.ivgenHash](options.key);
  if (salt.length !== 32)
    throw new BlockError('unsupported-feature', `no AES cipher with key size ${salt.length} available`, {
      field: 'cipher-mode',
    });
  const saltKey = aes(salt);
  const plain = new Uint8Array(SECTORS * BLOCK);
  return (sector, ivs) => {
    const input = plain.subarray(0, ivs.length);
    numbers(sector, input);
    saltKey.encrypt(input, ivs);
  };
}

/** Hot path. */
function xts(dataKey: AesKey, tweakKey: AesKey): Transform {
  const first = new Uint8Array(SECTORS * BLOCK);
  const firstWords = new Uint32Array(first.buffer);
  const tweaks = new Uint32Array(SECTORS * WORDS);
  const input = new Uint8Array(SECTORS * SECTOR_SIZE);
  const inputWords = new Uint32Array(input.buffer);
  const output = new Uint8Array(SECTORS * SECTOR_SIZE);
  const outputWords = new Uint32Array(output.buffer);
  return (direction, data, sectors, ivs) => {
    tweakKey.encrypt(ivs, first.subarray(0, ivs.length));
    const words = sectors * WORDS;
    for (let s = 0, at = 0; s < sectors; s++) {
      let t0 = firstWords[s * 4] as number;
      let t1 = firstWords[s * 4 + 1] as number;
      let t2 = firstWords[s * 4 + 2] as number;
      let t3 = firstWords[s * 4 + 3] as number;
      for (let b = 0; b < SECTOR_SIZE / BLOCK; b++, at += 4) {
        tweaks[at] = t0;
        tweaks[at + 1] = t1;
        tweaks[at + 2] = t2;
        tweaks[at + 3] = t3;
        // times x in GF(2^128): IEEE 1619 §5.2 "Multiplication by a primitive element"
        const carry = (t3 >> 31) & 0x87;
        t3 = (t3 << 1) | (t2 >>> 31);
        t2 = (t2 << 1) | (t1 >>> 31);
        t1 = (t1 << 1) | (t0 >>> 31);
        t0 = (t0 << 1) ^ carry;
      }
    }
    input.set(data);
    for (let i = 0; i < words; i++) (inputWords[i] as number) ^= tweaks[i] as number;
    dataKey[direction](input.subarray(0, data.length), output.subarray(0, data.length));
    for (let i = 0; i < words; i++) (outputWords[i] as number) ^= tweaks[i] as number;
    data.set(output.subarray(0, data.length));
  };
}

function cbc(key: AesKey): Transform {
  const column = new Uint8Array(SECTORS * BLOCK);
  const result = new Uint8Array(SECTORS * BLOCK);
  const plain = new Uint8Array(SECTORS * SECTOR_SIZE);
  return (direction, data, sectors, ivs) => {
    if (direction === 'decrypt') {
      key.decrypt(data, plain.subarray(0, data.length));
      for (let s = 0; s < sectors; s++) {
        const base = s * SECTOR_SIZE;
        for (let i = 0; i < BLOCK; i++) (plain[base + i] as number) ^= ivs[s * BLOCK + i] as number;
        for (let i = BLOCK; i < SECTOR_SIZE; i++) (plain[base + i] as number) ^= data[base + i - BLOCK] as number;
      }
      data.set(plain.subarray(0, data.length));
      return;
    }
    const used = sectors * BLOCK;
    result.set(ivs);
    for (let block = 0; block < SECTOR_SIZE; block += BLOCK) {
      for (let i = 0; i < used; i++)
        column[i] = (result[i] as number) ^ (data[(i >> 4) * SECTOR_SIZE + block + (i & 15)] as number);
      key.encrypt(column.subarray(0, used), result.subarray(0, used));
      for (let i = 0; i < used; i++) data[(i >> 4) * SECTOR_SIZE + block + (i & 15)] = result[i] as number;
    }
  };
}

function ecbMode(key: AesKey): Transform {
  const output = new Uint8Array(SECTORS * SECTOR_SIZE);
  return (direction, data) => {
    const result = output.subarray(0, data.length);
    key[direction](data, result);
    data.set(result);
  };
}
