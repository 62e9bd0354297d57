/**
 * Encrypted images: `crypt_method` 1 (AES of old, by the guest's sector number) and 2 (LUKS, by the sector number in the image file). The
 * LUKS header stands in clusters of its own, named by a header extension. Spec: qcow2, "Header", bytes 32-35, "Data encryption".
 */
import {
  BlockError,
  writable,
  type CreateOptions,
  type JsonValue,
  type OpenOptions,
  type Storage,
  type WritableStorage,
} from '@emkit/storage';
import {
  amendLuks,
  createLegacyAesCipher,
  createLuks,
  luksInfo,
  luksPayloadOffset,
  openLuks,
  readLuksHeader,
  type LuksHeader,
  type SectorCipher,
} from '@emkit/luks';
import { allocateClusters } from './allocation.ts';
import type { AmendExtra } from './amend.ts';
import { commit } from './commit.ts';
import { CRYPT_AES, CRYPT_LUKS, Extension } from './constants.ts';
import type { DataCipher, Qcow2Core } from './core.ts';
import { cryptoHeaderArea, encodeCryptoHeaderArea, type CryptoHeaderArea } from './encryption-header.ts';
import { withExtension } from './header-extensions.ts';

const KEY_REQUIRED = "Parameter 'encrypt.key-secret' is required for cipher";
const SECTOR = 512;

export interface Encryption {
  info(): JsonValue;
  readonly amend?: ((options: Readonly<Record<string, string>>, extra: AmendExtra) => Promise<void>) | undefined;
}

/** Of an image that is encrypted: sets `core.cipher`; without a secret, to one that refuses. */
export async function openEncryption(core: Qcow2Core, options: OpenOptions): Promise<Encryption> {
  const { cryptMethod } = core.header;
  const { secret } = options;
  const isClosed = options.metadataOnly === true || (secret === undefined && options.forCheck === true);
  if (!isClosed && secret === undefined) throw new BlockError('key', KEY_REQUIRED);
  core.cipher = refusing;
  if (cryptMethod === CRYPT_AES) {
    if (!isClosed && secret !== undefined)
      core.cipher = byGuest(createLegacyAesCipher(await secret(), core.codecs.aes));
    return { info: () => ({ format: 'aes' }) };
  }
  const area = cryptoHeaderArea(core.header);
  if (area === undefined)
    throw new BlockError('invalid-format', 'No encryption header found in the image', {
      field: 'full disk encryption header pointer',
    });
  const window = areaWindow(core.file, area);
  let header: LuksHeader;
  if (!isClosed && secret !== undefined) {
    const volume = await openLuks(window, await secret(), { aes: core.codecs.aes, signal: options.signal });
    core.cipher = byHost(volume.cipher);
    ({ header } = volume);
  } else header = await readLuksHeader(window, options);
  return {
    info: () => luksInfo(header, 'luks'),
    async amend(wanted, extra) {
      const target = areaWindow(core.checkWritable(), area);
      await amendLuks(target, {
        options: Object.fromEntries(
          Object.entries(wanted).map(([name, value]) => [name.replace('encrypt.', ''), value]),
        ),
        secret: extra.secrets ?? (() => Promise.reject(new BlockError('key', 'no secrets were given'))),
        passphrase: secret,
        force: extra.force,
        aes: core.codecs.aes,
      });
      header = await readLuksHeader(target);
    },
  };
}

const refusing: DataCipher = {
  encrypt: () => Promise.reject(new BlockError('key', KEY_REQUIRED)),
  decrypt: () => Promise.reject(new BlockError('key', KEY_REQUIRED)),
};

const byGuest = (cipher: SectorCipher): DataCipher => ({
  encrypt: (bytes, guest) => cipher.encrypt(guest / SECTOR, bytes),
  decrypt: (bytes, guest) => cipher.decrypt(guest / SECTOR, bytes),
});

const byHost = (cipher: SectorCipher): DataCipher => ({
  encrypt: (bytes, _guest, host) => cipher.encrypt(host / SECTOR, bytes),
  decrypt: (bytes, _guest, host) => cipher.decrypt(host / SECTOR, bytes),
});

type Window = Pick<WritableStorage, 'read' | 'write' | 'flush'>;

/** The clusters of the LUKS header as a storage of their own; nothing outside of them is read or written. */
function areaWindow(file: Storage, area: CryptoHeaderArea): Window {
  const check = (offset: number, length: number): void => {
    if (offset < 0 || offset + length > area.length)
      throw new BlockError('invalid-format', 'the LUKS header is larger than its place in the image', {
        offset: area.offset,
        field: 'full disk encryption header length',
      });
  };
  return {
    async read(offset, buffer, options) {
      check(offset, buffer.length);
      await file.read(area.offset + offset, buffer, options);
    },
    async write(offset, buffer, options) {
      check(offset, buffer.length);
      await writable(file).write(area.offset + offset, buffer, options);
    },
    flush: (options) => writable(file).flush(options),
  };
}

/** `encrypt.*` and `encryption` of create. */
interface EncryptionOptions {
  readonly format: 'aes' | 'luks';
  readonly luks: Readonly<Record<string, string>>;
}

function parseEncryption(options: ReadonlyMap<string, string>): EncryptionOptions | undefined {
  const legacy = options.get('encryption');
  if (legacy !== undefined && legacy !== 'on' && legacy !== 'off')
    throw new BlockError('invalid-option', "Parameter 'encryption' expects 'on' or 'off'");
  const format = options.get('encrypt.format') ?? (legacy === 'on' ? 'aes' : undefined);
  if (legacy === 'on' && options.has('encrypt.format'))
    throw new BlockError('invalid-option', 'Options encryption and encrypt.format are mutually exclusive');
  const rest = [...options].filter(([name]) => name.startsWith('encrypt.') && name !== 'encrypt.format');
  const luks = Object.fromEntries(rest.map(([name, value]) => [name.slice('encrypt.'.length), value]));
  if (format === undefined) {
    if (rest.length > 0) throw new BlockError('invalid-option', `Parameter 'encrypt.format' is missing`);
    return undefined;
  }
  if (format !== 'aes' && format !== 'luks')
    throw new BlockError('invalid-option', `Unknown encryption format '${format}'`, { hint: "'aes' or 'luks'" });
  if (format === 'aes' && Object.keys(luks).some((name) => name !== 'key-secret'))
    throw new BlockError('invalid-option', "Format 'aes' has no other parameter than 'encrypt.key-secret'");
  return { format, luks };
}

/** Of an image that is being created, before it has its size. */
export async function createEncryption(
  core: Qcow2Core,
  encryption: ReadonlyMap<string, string>,
  options: CreateOptions,
): Promise<void> {
  const wanted = parseEncryption(encryption);
  if (wanted === undefined) return;
  if (options.secret === undefined) throw new BlockError('key', KEY_REQUIRED);
  const passphrase = await options.secret();
  const { aes } = core.codecs;
  if (wanted.format === 'aes') {
    core.cipher = byGuest(createLegacyAesCipher(passphrase, aes));
    await core.updateHeader(() => ({ cryptMethod: CRYPT_AES }));
    return;
  }
  const volume = await createLuks(passphrase, wanted.luks, { aes, random: options.random });
  const file = core.checkWritable();
  const length = volume.header.payloadSector * SECTOR;
  await core.lock.run(async () => {
    const clusters = core.geometry.clustersFor(length);
    const { start } = await allocateClusters(core, clusters, clusters);
    const area = { offset: start * core.geometry.clusterSize, length };
    for (const { offset, bytes } of volume.writes) await file.write(area.offset + offset, bytes);
    await commit(core, { withRefcounts: true });
    await core.updateHeader((header) => ({
      cryptMethod: CRYPT_LUKS,
      extensions: withExtension(header.extensions, Extension.CRYPTO_HEADER, encodeCryptoHeaderArea(area)),
    }));
    await file.flush();
  });
  core.cipher = byHost(volume.cipher);
}

/** Bytes of the encryption header, in whole clusters. */
export async function measureEncryption(encryption: ReadonlyMap<string, string>, clusterSize: number): Promise<number> {
  const wanted = parseEncryption(encryption);
  if (wanted?.format !== 'luks') return 0;
  return Math.ceil(luksPayloadOffset(wanted.luks) / clusterSize) * clusterSize;
}
