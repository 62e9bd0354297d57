/** How to make and open the image that an engine works on. The image file's name is `image`. */
import type { BlockDriver, BlockImage, OpenOptions } from '@emkit/storage';
import { Directory } from './directory.ts';

export interface ImageSetup {
  readonly driver: BlockDriver;
  /** Virtual bytes; small, for speed. @default 256 KiB */
  readonly size?: number;
  /** For `create`. */
  readonly options?: Readonly<Record<string, string>>;
  /** For `open`: secrets, driver options. */
  readonly openOptions?: Partial<OpenOptions>;
  /** For `create`, where the format encrypts. */
  readonly secret?: () => Uint8Array;
  /** A file behind the image: its name, its bytes, and the `create` options that name it. */
  readonly backing?: {
    readonly name: string;
    readonly content: Uint8Array;
    readonly options: Readonly<Record<string, string>>;
  };
  /** A new image reads as anything, and so does what it grows by: as an encrypted one that does not write its sectors. @default 'zero' */
  readonly fresh?: 'zero' | 'any';
  /** In place of the default, which is that `check` finds no corruption: what must hold after a power cut or a fault. May repair. */
  readonly checkAfterCut?: (image: BlockImage) => Promise<void>;
  /** The disk's size is that of its file, so that a cut within a resize can leave any size between. @default for raw */
  readonly isElastic?: boolean;
  /** In place of the driver's `create`. */
  readonly create?: (directory: Directory) => Promise<void>;
  /** The unit that operations are aimed at; default: the image's cluster size, or 4096. */
  readonly cluster?: number;
  /** Requests are multiples of this. @default 1 */
  readonly granularity?: number;
}

export const IMAGE = 'image';
const DEFAULT_SIZE = 256 * 1024;

export function virtualSize(setup: ImageSetup): number {
  return setup.size ?? DEFAULT_SIZE;
}

/** What an image that was just made reads as. */
export async function initialContent(setup: ImageSetup, directory: Directory): Promise<Uint8Array> {
  const content = new Uint8Array(virtualSize(setup));
  if (setup.fresh === 'any') {
    const image = await openImage(setup, new Directory(directory.fork()), { readOnly: true });
    await image.read(0, content);
    await image.close();
  } else if (setup.backing !== undefined) content.set(setup.backing.content.subarray(0, content.length));
  return content;
}

/** A directory with the image in it, made, opened once and closed. */
export async function createImage(setup: ImageSetup): Promise<Directory> {
  const directory = new Directory();
  const { backing, driver, secret } = setup;
  if (backing !== undefined) directory.disk(backing.name).put(0, backing.content);
  if (setup.create !== undefined) await setup.create(directory);
  else {
    if (driver.create === undefined) throw new Error(`${driver.name} has no create, and the setup neither`);
    await driver.create(directory.storage(IMAGE), {
      size: virtualSize(setup),
      options: { ...setup.options, ...backing?.options },
      resolver: directory,
      ...(secret === undefined ? {} : { secret }),
    });
  }
  return directory;
}

export function openImage(
  setup: ImageSetup,
  directory: Directory,
  options: Partial<OpenOptions> = {},
): Promise<BlockImage> {
  const { secret } = setup;
  return setup.driver.open(directory.storage(IMAGE), {
    resolver: directory,
    ...(secret === undefined ? {} : { secret }),
    ...setup.openOptions,
    ...options,
  });
}

/** The same files behind other wraps. */
export function rewrap(directory: Directory, wrap?: ConstructorParameters<typeof Directory>[1]): Directory {
  return new Directory(directory.fork(), wrap);
}
