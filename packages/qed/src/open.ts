/** Opens an image: header, backing file, and the repair of one that was not closed. QED spec, whole document. */
import { BlockError, writable } from '@emkit/storage';
import type { BlockImage, OpenOptions, Reference, Storage } from '@emkit/storage';
import { Field, HEADER_SIZE, parseHeader, QED_F_BACKING_FILE, QED_F_BACKING_FORMAT_NO_PROBE } from './header.ts';
import type { Header } from './header.ts';
import { QedImage } from './qed-image.ts';
import { decodeName } from './text.ts';

export async function openQed(storage: Storage, options: OpenOptions = {}): Promise<BlockImage> {
  for (const name of Object.keys(options.driverOptions ?? {}))
    throw new BlockError('invalid-option', `qed has no option '${name}'`, { field: name });
  const bytes = new Uint8Array(HEADER_SIZE);
  await storage.read(0, bytes, options);
  const header = parseHeader(bytes, storage.size);
  const reference = await readReference(storage, header);
  const readOnly = options.readOnly ?? storage.write === undefined;
  const image = new QedImage(storage, header, reference, readOnly ? undefined : writable(storage));
  await openBacking(image, reference, options);
  try {
    if (!readOnly) await image.prepare(options.forCheck === true);
  } catch (error) {
    await image.abandon();
    throw error;
  }
  return image;
}

async function readReference(storage: Storage, header: Header): Promise<Reference | undefined> {
  const features = header.view.getUint32(Field.FEATURES, true);
  if ((features & QED_F_BACKING_FILE) === 0) return undefined;
  // both checked with the header
  const bytes = new Uint8Array(header.view.getUint32(Field.BACKING_FILENAME_SIZE, true));
  await storage.read(header.view.getUint32(Field.BACKING_FILENAME_OFFSET, true), bytes);
  const name = decodeName(bytes);
  if (name === '') return undefined;
  const format = (features & QED_F_BACKING_FORMAT_NO_PROBE) === 0 ? undefined : 'raw';
  return { kind: 'backing', name, format };
}

async function openBacking(image: QedImage, reference: Reference | undefined, options: OpenOptions): Promise<void> {
  const { backing, resolver, signal } = options;
  if (backing === 'none' || (options.metadataOnly === true && backing === undefined)) return;
  if (backing !== undefined) return image.attachBacking(backing, false);
  if (reference === undefined) return;
  if (resolver === undefined)
    throw new BlockError('refused', `the image needs its backing file '${reference.name}', and nobody opens it`, {
      offset: Field.BACKING_FILENAME_OFFSET,
      field: 'backing_filename_offset',
      hint: 'give a resolver or the backing storage, or open it with backing: none',
    });
  image.attachBacking(await resolver.open(reference, { signal }), true);
}
