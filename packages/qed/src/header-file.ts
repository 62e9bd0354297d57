/**
 * The header in the file, of an image that is open for writing. Each change is one write of the 64 bytes, which lie within one sector, so a
 * power cut leaves the old header or the new one. One caller at a time.
 */
import { BlockError } from '@emkit/storage';
import type { WritableStorage } from '@emkit/storage';
import {
  Field,
  HEADER_SIZE,
  QED_F_BACKING_FILE,
  QED_F_BACKING_FORMAT_NO_PROBE,
  QED_F_NEED_CHECK,
  writeU64,
} from './header.ts';
import type { Header } from './header.ts';
import { MAX_BACKING_NAME } from './limits.ts';
import { encodeName } from './text.ts';

/** The two places for a backing file's name: a new one never overwrites the one in force. The smallest cluster holds both. */
const NAME_PLACES = [HEADER_SIZE, 2048] as const;

export class HeaderFile {
  readonly #file: WritableStorage;
  readonly #header: Header;

  constructor(file: WritableStorage, header: Header) {
    this.#file = file;
    this.#header = header;
  }

  /** QED spec, "Consistency checking": set before an operation that could leave the image inconsistent. */
  get needsCheck(): boolean {
    return (this.#features & QED_F_NEED_CHECK) !== 0;
  }

  /** Resolves when the bit is in the file for certain. */
  async setNeedCheck(): Promise<void> {
    if (this.needsCheck) return;
    // the old bit counts until the new one has been flushed
    const bytes = await this.#write((view) => view.setUint32(Field.FEATURES, this.#features | QED_F_NEED_CHECK, true));
    await this.#file.flush();
    this.#header.bytes.set(bytes);
  }

  /** Everything that the bit stands for must have been flushed. */
  async clearNeedCheck(): Promise<void> {
    if (this.needsCheck)
      await this.#change((view) => view.setUint32(Field.FEATURES, this.#features & ~QED_F_NEED_CHECK, true));
  }

  /** QED spec, "Field descriptions": there are no autoclear bits that this code knows. */
  async clearAutoclear(): Promise<void> {
    const { view } = this.#header;
    if (
      view.getUint32(Field.AUTOCLEAR_FEATURES, true) === 0 &&
      view.getUint32(Field.AUTOCLEAR_FEATURES + 4, true) === 0
    )
      return;
    await this.#change((changed) => writeU64(changed, Field.AUTOCLEAR_FEATURES, 0));
    await this.#file.flush();
  }

  async setImageSize(size: number): Promise<void> {
    await this.#change((view) => writeU64(view, Field.IMAGE_SIZE, size));
  }

  /** The name is in the file, flushed, before the header points at it. */
  async setBacking(reference: { name: string; format?: string | undefined } | undefined): Promise<void> {
    const noFile = this.#features & ~(QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE);
    if (reference === undefined) {
      await this.#change((view) => {
        view.setUint32(Field.FEATURES, noFile, true);
        view.setUint32(Field.BACKING_FILENAME_OFFSET, 0, true);
        view.setUint32(Field.BACKING_FILENAME_SIZE, 0, true);
      });
      return;
    }
    const name = checkedName(reference.name);
    const { view: old, headerBytes } = this.#header;
    const oldStart = old.getUint32(Field.BACKING_FILENAME_OFFSET, true);
    const oldEnd = oldStart + old.getUint32(Field.BACKING_FILENAME_SIZE, true);
    const place = NAME_PLACES.find((at) => oldEnd <= at || at + name.length <= oldStart);
    if (place === undefined || place + name.length > headerBytes)
      throw new BlockError('no-space', 'the header has no room for the name of the backing file', {
        field: 'header_size',
      });
    await this.#file.write(place, name);
    await this.#file.flush();
    await this.#change((view) => {
      view.setUint32(Field.FEATURES, noFile | backingFeatures(reference.format), true);
      view.setUint32(Field.BACKING_FILENAME_OFFSET, place, true);
      view.setUint32(Field.BACKING_FILENAME_SIZE, name.length, true);
    });
  }

  get #features(): number {
    return this.#header.view.getUint32(Field.FEATURES, true);
  }

  async #change(patch: (view: DataView) => void): Promise<void> {
    this.#header.bytes.set(await this.#write(patch));
  }

  async #write(patch: (view: DataView) => void): Promise<Uint8Array> {
    const bytes = this.#header.bytes.slice();
    patch(new DataView(bytes.buffer));
    await this.#file.write(0, bytes);
    return bytes;
  }
}

/** Only "raw" is recorded: QED spec, "Feature bits"; every other format is found by a probe. */
export function backingFeatures(format: string | undefined): number {
  return QED_F_BACKING_FILE | (format === 'raw' ? QED_F_BACKING_FORMAT_NO_PROBE : 0);
}

export function checkedName(name: string): Uint8Array {
  const bytes = encodeName(name);
  if (bytes.length === 0 || bytes.length > MAX_BACKING_NAME || bytes.includes(0))
    throw new BlockError('invalid-option', 'Backing file name is empty, too long, or has a NUL', {
      field: 'backing_file',
    });
  return bytes;
}
