/** Other options for an image that exists: as far as qemu-img 7.2 amends them. Alone: nobody else is inside. */
import { BlockError, type BlockImage } from '@emkit/storage';
import {
  AUTOCLEAR_DATA_FILE_RAW,
  COMPAT_LAZY_REFCOUNTS,
  Extension,
  INCOMPAT_DIRTY,
  V3_HEADER_LENGTH,
} from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { CREATE_OPTIONS, parseBool, parseCompat, parseNumber } from './create-options.ts';
import { downgradeImage } from './downgrade.ts';
import { encodeString, featureNameTable, withExtension } from './header-extensions.ts';
import { MAX_REFCOUNT_ORDER } from './limits.ts';
import { setBackingReference, settle } from './maintenance.ts';
import type { ImageParts } from './parts.ts';
import { changeRefcountWidth } from './refcount-width.ts';
import { resizeImage } from './resize.ts';

export type AmendExtra = NonNullable<Parameters<NonNullable<BlockImage['amend']>>[1]>;
type Options = Readonly<Record<string, string>>;

/** Amendable, but not options of `create`. */
const ENCRYPT_ONLY = ['encrypt.keyslot', 'encrypt.new-secret', 'encrypt.old-secret', 'encrypt.state'];

export async function amendImage(
  core: Qcow2Core,
  parts: ImageParts,
  options: Options,
  extra: AmendExtra = {},
): Promise<void> {
  const { encryption, settings } = splitOptions(options);
  const version = settings['compat'] === undefined ? core.header.version : parseCompat(settings['compat']);
  checkSettings(core, settings, version);
  if (Object.keys(encryption).length > 0) {
    if (parts.amendEncryption === undefined) throw invalid('Can only amend encryption options for encrypted images');
    await parts.amendEncryption(encryption, extra);
  }
  if (version > core.header.version) await upgrade(core);
  if (settings['refcount_bits'] !== undefined)
    await changeRefcountWidth(core, Math.log2(parseNumber(settings, 'refcount_bits', 16)), extra);
  await amendDataFile(core, settings);
  await amendBacking(core, settings);
  if (settings['lazy_refcounts'] !== undefined) await setLazy(core, parseBool(settings, 'lazy_refcounts', false));
  if (settings['size'] !== undefined)
    await resizeImage(core, parts, parseNumber(settings, 'size', 0), { shrink: true, signal: extra.signal });
  if (version < core.header.version) await downgradeImage(core, extra);
  extra.onProgress?.(1);
}

function splitOptions(options: Options): { encryption: Options; settings: Options } {
  const encryption: Record<string, string> = {};
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(options)) {
    const spec = CREATE_OPTIONS.find((candidate) => candidate.name === name);
    if (ENCRYPT_ONLY.includes(name) || (spec?.amendable === true && name.startsWith('encrypt.')))
      encryption[name] = value;
    else if (spec?.amendable === true) settings[name] = value;
    else
      throw new BlockError('invalid-option', `Invalid parameter '${name}'`, {
        hint: spec === undefined ? undefined : 'This option is only supported for image creation',
      });
  }
  return { encryption, settings };
}

/** Everything that can be refused is refused before anything is changed. */
function checkSettings(core: Qcow2Core, settings: Options, version: 2 | 3): void {
  const bits = parseNumber(settings, 'refcount_bits', core.geometry.refcountBits);
  const order = Math.log2(bits);
  if (!Number.isInteger(order) || order > MAX_REFCOUNT_ORDER)
    throw invalid('Refcount width must be a power of two and may not exceed 64 bits');
  if (version < 3 && bits !== 16)
    throw invalid(
      'Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)',
    );
  if (version < 3 && settings['lazy_refcounts'] === 'on')
    throw invalid('Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)');
  if (settings['data_file'] !== undefined && !core.isIdentity)
    throw invalid('data-file can only be set for images that use an external data file');
  if (parseBool(settings, 'data_file_raw', core.isDataFileRaw) && !core.isDataFileRaw)
    throw invalid('data-file-raw cannot be set on existing images');
}

async function upgrade(core: Qcow2Core): Promise<void> {
  await core.updateHeader((header) => ({
    version: 3,
    headerLength: V3_HEADER_LENGTH,
    incompatibleFeatures: 0n,
    compatibleFeatures: 0n,
    autoclearFeatures: 0n,
    extensions:
      header.clusterBits < 10
        ? header.extensions
        : withExtension(header.extensions, Extension.FEATURE_NAMES, featureNameTable()),
  }));
  await core.checkWritable().flush();
}

async function setLazy(core: Qcow2Core, isOn: boolean): Promise<void> {
  if (!isOn) await makeClean(core);
  await core.updateHeader((header) => ({
    compatibleFeatures: isOn
      ? header.compatibleFeatures | COMPAT_LAZY_REFCOUNTS
      : header.compatibleFeatures & ~COMPAT_LAZY_REFCOUNTS,
  }));
  await core.checkWritable().flush();
}

/** Writes the refcounts and says that they are right. */
async function makeClean(core: Qcow2Core): Promise<void> {
  await settle(core);
  if ((core.header.incompatibleFeatures & INCOMPAT_DIRTY) === 0n) return;
  await core.updateHeader((header) => ({ incompatibleFeatures: header.incompatibleFeatures & ~INCOMPAT_DIRTY }));
  await core.checkWritable().flush();
}

async function amendDataFile(core: Qcow2Core, settings: Options): Promise<void> {
  const name = settings['data_file'];
  const isRaw = parseBool(settings, 'data_file_raw', core.isDataFileRaw);
  if (name === undefined && isRaw === core.isDataFileRaw) return;
  await core.updateHeader((header) => ({
    autoclearFeatures: isRaw ? header.autoclearFeatures : header.autoclearFeatures & ~AUTOCLEAR_DATA_FILE_RAW,
    ...(name === undefined
      ? {}
      : {
          dataFile: name === '' ? undefined : name,
          extensions: withExtension(
            header.extensions,
            Extension.DATA_FILE,
            name === '' ? undefined : encodeString(name),
          ),
        }),
  }));
  await core.checkWritable().flush();
}

async function amendBacking(core: Qcow2Core, settings: Options): Promise<void> {
  const { backing_file: name, backing_fmt: format } = settings;
  if (name === undefined && format === undefined) return;
  const file = name ?? core.header.backingFile;
  await setBackingReference(
    core,
    file === undefined || file === '' ? undefined : { name: file, format: format ?? core.header.backingFormat },
  );
}

function invalid(message: string): BlockError {
  return new BlockError('invalid-option', message);
}
