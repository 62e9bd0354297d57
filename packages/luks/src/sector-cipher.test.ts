import { describe, expect, it } from 'vitest';
import { portableAes } from './aes.ts';
import { createLegacyAesCipher } from './legacy-aes.ts';
import { createSectorCipher } from './sector-cipher.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const toHex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 256);

/** IEEE 1619-2007, Annex B: the data units that are 512 bytes long. Plain text: 00 01 .. ff twice; for vector 5 the cipher text of vector 4. */
const VECTOR_4 =
  '27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89cc78cf7f5e543445f8333d8fa7f56000005279fa5d8b5e4ad40e736ddb4d35412' +
  '328063fd2aab53e5ea1e0a9f332500a5df9487d07a5c92cc512c8866c7e860ce93fdf166a24912b422976146ae20ce846bb7dc9ba94a767aaef20c0d61ad0265' +
  '5ea92dc4c4e41a8952c651d33174be51a10c421110e6d81588ede82103a252d8a750e8768defffed9122810aaeb99f9172af82b604dc4b8e51bcb08235a6f434' +
  '1332e4ca60482a4ba1a03b3e65008fc5da76b70bf1690db4eae29c5f1badd03c5ccf2a55d705ddcd86d449511ceb7ec30bf12b1fa35b913f9f747a8afd1b130e' +
  '94bff94effd01a91735ca1726acd0b197c4e5b03393697e126826fb6bbde8ecc1e08298516e2c9ed03ff3c1b7860f6de76d4cecd94c8119855ef5297ca67e9f3' +
  'e7ff72b1e99785ca0a7e7720c5b36dc6d72cac9574c8cbbc2f801e23e56fd344b07f22154beba0f08ce8891e643ed995c94d9a69c9f1b5f499027a78572aeebd' +
  '74d20cc39881c213ee770b1010e4bea718846977ae119f7a023ab58cca0ad752afe656bb3c17256a9f6e9bf19fdd5a38fc82bbe872c5539edb609ef4f79c203e' +
  'bb140f2e583cb2ad15b4aa5b655016a8449277dbd477ef2c8d6c017db738b18deb4a427d1923ce3ff262735779a418f20a282df920147beabe421ee5319d0568';
const VECTOR_10 =
  '1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd' +
  '5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca' +
  '2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f' +
  '93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a' +
  '84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae' +
  '9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac' +
  '6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385' +
  '1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151';
const E_128 = '27182818284590452353602874713526';
const PI_128 = '31415926535897932384626433832795';

describe('XTS', () => {
  it.each([
    ['4 (AES-128, sector 0)', E_128 + PI_128, 0, VECTOR_4],
    [
      '10 (AES-256, sector 255)',
      `${E_128}62497757247093699959574966967627${PI_128}02884197169399375105820974944592`,
      255,
      VECTOR_10,
    ],
  ])('gives vector %s of IEEE 1619', (_, key, sector, expected) => {
    const cipher = createSectorCipher({ key: hex(key), mode: 'xts', ivgen: 'plain64' });
    const data = counting(512);
    cipher.encrypt(sector, data);
    expect(toHex(data)).toBe(expected);
    cipher.decrypt(sector, data);
    expect(data).toEqual(counting(512));
  });
});

describe('a sector cipher', () => {
  const variants = [
    { key: counting(64), mode: 'xts', ivgen: 'plain64' },
    { key: counting(48), mode: 'xts', ivgen: 'plain' },
    { key: counting(32), mode: 'cbc', ivgen: 'essiv', ivgenHash: 'sha256' },
    { key: counting(24), mode: 'cbc', ivgen: 'plain64' },
    { key: counting(16), mode: 'ecb', ivgen: 'plain' },
  ] as const;

  it.each(variants)('does the same to a long run as to each sector: $mode $ivgen', (options) => {
    const cipher = createSectorCipher(options);
    const sectors = 200; // more than three pieces of scratch memory
    const first = 2 ** 32 - 100; // crosses the boundary where plain and plain64 differ
    const backing = new Uint8Array(sectors * 512 + 1);
    const run = backing.subarray(1).fill(0x5a); // odd address
    cipher.encrypt(first, run);
    for (const s of [0, 63, 64, 99, 100, 199]) {
      const one = new Uint8Array(512).fill(0x5a);
      cipher.encrypt(first + s, one);
      expect(toHex(run.subarray(s * 512, s * 512 + 512))).toBe(toHex(one));
    }
    cipher.decrypt(first, run);
    expect(run.every((byte) => byte === 0x5a)).toBe(true);
  });

  it('takes an IV of the low 32 bits for plain, of all for plain64', () => {
    const at = (ivgen: 'plain' | 'plain64', sector: number): string => {
      const data = new Uint8Array(512);
      createSectorCipher({ key: counting(16), mode: 'cbc', ivgen }).encrypt(sector, data);
      return toHex(data);
    };
    expect(at('plain', 2 ** 32 + 5)).toBe(at('plain', 5));
    expect(at('plain64', 2 ** 32 + 5)).not.toBe(at('plain64', 5));
    expect(at('plain64', 5)).toBe(at('plain', 5));
  });

  it('refuses what is no run of sectors, and keys that AES does not have', () => {
    const cipher = createSectorCipher({ key: counting(16), mode: 'cbc', ivgen: 'plain' });
    for (const [sector, length] of [
      [0, 511],
      [-1, 512],
      [0.5, 512],
      [2 ** 53, 512],
    ] as const)
      expect(() => cipher.encrypt(sector, new Uint8Array(length))).toThrowError(
        expect.objectContaining({ kind: 'out-of-bounds' }),
      );
    for (const length of [0, 15, 17, 33, 64])
      expect(() => createSectorCipher({ key: counting(length), mode: 'cbc', ivgen: 'plain' })).toThrowError(
        expect.objectContaining({ kind: 'unsupported-feature' }),
      );
    expect(() =>
      createSectorCipher({ key: counting(32), mode: 'cbc', ivgen: 'essiv', ivgenHash: 'sha1' }),
    ).toThrowError(expect.objectContaining({ kind: 'unsupported-feature' }));
  });

  it('uses the AES that it is given', () => {
    let blocks = 0;
    const cipher = createSectorCipher({
      key: counting(32),
      mode: 'xts',
      ivgen: 'plain64',
      aes: (key) => {
        const inner = portableAes(key);
        return { ...inner, encrypt: (input, output) => ((blocks += input.length / 16), inner.encrypt(input, output)) };
      },
    });
    cipher.encrypt(0, new Uint8Array(1024));
    expect(blocks).toBe(2 + 64); // a tweak for each sector, and the data
  });
});

describe('AES of FIPS 197', () => {
  it.each([
    ['000102030405060708090a0b0c0d0e0f', '69c4e0d86a7b0430d8cdb78070b4c55a'],
    ['000102030405060708090a0b0c0d0e0f1011121314151617', 'dda97ca4864cdfe06eaf70a0ec0d7191'],
    ['000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', '8ea2b7ca516745bfeafc49904b496089'],
  ])('appendix C, key %s', (key, expected) => {
    const aes = portableAes(hex(key));
    const output = new Uint8Array(16);
    aes.encrypt(hex('00112233445566778899aabbccddeeff'), output);
    expect(toHex(output)).toBe(expected);
  });
});

describe('legacy AES', () => {
  it('takes 16 bytes of the passphrase, zero padded', () => {
    const encrypted = (passphrase: string): string => {
      const data = new Uint8Array(512);
      createLegacyAesCipher(new TextEncoder().encode(passphrase)).encrypt(3, data);
      return toHex(data);
    };
    expect(encrypted('0123456789abcdef')).toBe(encrypted('0123456789abcdef-more'));
    expect(encrypted('tiger')).toBe(encrypted('tiger\0\0'));
    expect(encrypted('tiger')).not.toBe(encrypted('tigers'));
  });
});
