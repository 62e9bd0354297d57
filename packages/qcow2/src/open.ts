/** Opening an image: the header, the tables it points to, and the files it names, if the caller's resolver gives them. */
import { BlockError, checkAborted, writable, type OpenOptions, type Storage } from '@emkit/storage';
import type { Codecs } from './codecs.ts';
import { AUTOCLEAR_KNOWN, INCOMPAT_CORRUPT } from './constants.ts';
import { Qcow2Core } from './core.ts';
import { parseDriverOptions } from './driver-options.ts';
import { headerArea, parseHeader, type Qcow2Header } from './header.ts';
import { Qcow2Image } from './image.ts';
import { loadRefcounts, loadTable } from './load.ts';
import { openParts } from './parts.ts';
import { WritableQcow2Image } from './writable-image.ts';

/** Most headers end before; larger clusters are read to their end. */
const FIRST_READ = 65536;

export async function openQcow2(storage: Storage, options: OpenOptions, codecs: Codecs): Promise<Qcow2Image> {
  checkAborted(options.signal);
  const driverOptions = parseDriverOptions(options.driverOptions);
  const isReadOnly = options.readOnly ?? storage.write === undefined;
  const file = isReadOnly ? undefined : writable(storage);
  const headerBytes = await readHeaderBytes(storage);
  const header = parseHeader(headerBytes, { forCheck: options.forCheck });
  if (file !== undefined && options.forCheck !== true && (header.incompatibleFeatures & INCOMPAT_CORRUPT) !== 0n)
    throw new BlockError('corrupt-image', 'qcow2: Image is corrupt; cannot be opened read/write', {
      hint: 'repair it with "check -r all", or open it for reading only',
    });
  const l1 = await loadTable(storage, header.l1TableOffset, header.l1Size * 8);
  const core = new Qcow2Core({
    file: storage,
    writable: file,
    header,
    headerBytes,
    l1,
    codecs,
    options: driverOptions,
  });
  if (file !== undefined) core.refcounts = await loadRefcounts(core);
  const opened: Storage[] = [];
  try {
    await openDataFile(core, options, opened);
    await openBacking(core, options, opened);
    const parts = await openParts(core, options);
    if (file === undefined) return new Qcow2Image(core, parts, opened);
    if (options.forCheck !== true) await clearUnknown(core);
    return new WritableQcow2Image(core, parts, opened);
  } catch (error) {
    for (const other of opened) await other.close?.();
    throw error;
  }
}

async function readHeaderBytes(storage: Storage): Promise<Uint8Array> {
  const first = new Uint8Array(Math.min(FIRST_READ, storage.size));
  await storage.read(0, first);
  const area = headerArea(first);
  if (area <= first.length) return area === 0 ? first : first.slice(0, area);
  const length = Math.min(area, storage.size);
  if (length <= first.length) return first;
  const all = new Uint8Array(length);
  all.set(first);
  await storage.read(first.length, all.subarray(first.length));
  return all;
}

async function openDataFile(core: Qcow2Core, options: OpenOptions, opened: Storage[]): Promise<void> {
  if (!core.isIdentity) return;
  if (options.metadataOnly === true) {
    core.dataFile = closedFile('the data file is not open');
    return;
  }
  const name = core.header.dataFile;
  if (name === undefined) throw new BlockError('not-found', "'data-file' is required for this image");
  const reference = { kind: 'data-file', name, format: 'raw', writable: core.writable !== undefined } as const;
  core.dataFile = await resolve(options, reference, `data file '${name}'`);
  opened.push(core.dataFile);
  if (core.writable !== undefined) writable(core.dataFile);
}

async function openBacking(core: Qcow2Core, options: OpenOptions, opened: Storage[]): Promise<void> {
  if (options.backing === 'none' || (options.backing === undefined && options.metadataOnly === true)) return;
  if (options.backing !== undefined) {
    core.backing = options.backing;
    return;
  }
  const { backingFile: name, backingFormat: format } = core.header;
  if (name === undefined) return;
  core.backing = await resolve(options, { kind: 'backing', name, format }, `backing file '${name}'`);
  opened.push(core.backing);
}

type OpenedReference = Parameters<NonNullable<OpenOptions['resolver']>['open']>[0];

async function resolve(options: OpenOptions, reference: OpenedReference, what: string): Promise<Storage> {
  if (options.resolver === undefined)
    throw new BlockError('refused', `the image needs the ${what}, and no resolver was given to open it`);
  return options.resolver.open(reference, { signal: options.signal });
}

function closedFile(message: string): Storage {
  return { size: 0, read: () => Promise.reject(new BlockError('closed', message)) };
}

/** What their owners would have to keep in step with our writes, and we do not know. qcow2 spec, "Header", autoclear_features. */
async function clearUnknown(core: Qcow2Core): Promise<void> {
  if ((core.header.autoclearFeatures & ~AUTOCLEAR_KNOWN) === 0n) return;
  await core.updateHeader((header: Qcow2Header) => ({ autoclearFeatures: header.autoclearFeatures & AUTOCLEAR_KNOWN }));
  await core.checkWritable().flush();
}
