/** Good images for the fuzz targets. */
import { createImage, openImage, type Directory, type ImageSetup } from '@emkit/storage-testbed';
import { vmdk } from '../src/index.ts';
import { cowd, descriptorText, seSparse, streamWithFooter } from '../test/craft.ts';

export interface Sample {
  readonly setup: ImageSetup;
  readonly directory: Directory;
}

const SIZE = 4 * 1048576 + 512;
const GRAIN = 65536;

/** Made by the driver, with some grains in it. */
export async function written(options: Record<string, string>): Promise<Sample> {
  const setup: ImageSetup = { driver: vmdk, size: SIZE, options };
  const directory = await createImage(setup);
  const image = await openImage(setup, directory);
  const grain = Uint8Array.from({ length: GRAIN }, (_, i) => (i * i) >> 7);
  for (const at of [0, 1, 2, 7, 40]) await image.write?.(at * GRAIN, grain);
  if (options['zeroed_grain'] === 'on') await image.writeZeroes?.(GRAIN, GRAIN);
  await image.close();
  return { setup, directory };
}

/** From bytes; other files by name. */
export async function given(content: Uint8Array, files: Readonly<Record<string, Uint8Array>> = {}): Promise<Sample> {
  const setup: ImageSetup = {
    driver: vmdk,
    create: async (directory) => {
      await directory.storage('image').write(0, content);
      for (const [name, bytes] of Object.entries(files)) await directory.storage(name).write(0, bytes);
    },
  };
  return { setup, directory: await createImage(setup) };
}

const piece = (grain: number, length: number): { grain: number; data: Uint8Array } => ({
  grain,
  data: new Uint8Array(length).fill(grain + 1),
});

export function stream(): Promise<Sample> {
  return given(
    streamWithFooter(
      SIZE / 512,
      [0, 1, 3].map((grain) => piece(grain, GRAIN)),
    ),
  );
}

/** Deltas of ESX: the file to be damaged is the extent, so the descriptor has another name. */
export const DELTAS = {
  cowd: (): Uint8Array =>
    cowd(
      8192,
      [0, 1, 5000].map((grain) => piece(grain, 512)),
    ),
  sesparse: (): Uint8Array =>
    seSparse(
      65536,
      [0, 1, 5000].map((grain) => piece(grain, 4096)),
      { zeroed: [2] },
    ),
} as const;

export const DELTA_TEXT = {
  cowd: descriptorText('vmfsSparse', ['RW 8192 VMFSSPARSE "extent"']),
  sesparse: descriptorText('seSparse', ['RW 65536 SESPARSE "extent"']),
} as const;

export function text(source: string): Uint8Array {
  return Uint8Array.from(source, (char) => char.charCodeAt(0));
}
