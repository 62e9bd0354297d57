/** Opens the images that a command line names: the block graph with this program's formats, files, sockets and URLs. */
import { openImage as openNode, resolveName, type BlockNode } from '@emkit/block';
import { isBlockError, type BlockDriver, type BlockImage } from '@emkit/storage';
import { createEnvironment, type Environment, type FileCalls } from './environment.ts';
import { ToolError } from './tool-error.ts';
import type { Tool } from './tool.ts';

export interface ImageRequest {
  readonly filename: string;
  readonly format?: string | undefined;
  readonly imageOpts: boolean;
  readonly share: boolean;
  readonly objects: readonly string[];
  readonly writable?: boolean | undefined;
  readonly resize?: boolean | undefined;
  readonly backing?: 'none' | 'resolve' | undefined;
  readonly metadataOnly?: boolean | undefined;
  readonly forCheck?: boolean | undefined;
  /** Flushes may be left out: the output of a conversion, which is worthless if it does not end. */
  readonly unsafe?: boolean | undefined;
  readonly detectZeroes?: boolean | undefined;
  /** Which thread makes the calls to files: see `createEnvironment`. */
  readonly files?: FileCalls | undefined;
}

export interface OpenedImage {
  readonly node: BlockNode;
  /** The driver's image: has `check`, `resize` and what else the format can do. */
  readonly image: BlockImage;
  readonly driver: BlockDriver;
  readonly displayName: string;
  readonly environment: Environment;
  /** Where the image's word for another file leads; undefined: nowhere that can be told. */
  resolveName(name: string): string | undefined;
  /** Bytes on the host's disk. */
  actualSize(): Promise<number | undefined>;
  close(): Promise<void>;
}

export async function openImage(tool: Tool, request: ImageRequest): Promise<OpenedImage> {
  const environment = await createEnvironment(tool, request.objects, { files: request.files });
  const { filename, format } = request;
  if (format !== undefined && environment.block.registry.find(format) === undefined)
    throw new ToolError(`Could not open '${filename}': Unknown driver '${format}'`);
  let node: BlockNode;
  try {
    node = await openNode(filename, environment.block, {
      format,
      imageOpts: request.imageOpts,
      readOnly: request.writable !== true,
      backing: request.backing === 'none' ? 'none' : undefined,
      metadataOnly: request.metadataOnly,
      forCheck: request.forCheck,
      forceShare: request.share,
      discard: 'unmap',
      detectZeroes: request.detectZeroes === true ? 'unmap' : 'off',
      cache: request.unsafe === true ? { noFlush: true } : undefined,
      signal: tool.signal,
    });
  } catch (error) {
    if (!isBlockError(error) || error.kind === 'aborted') throw error;
    throw openFailure(filename, error);
  }
  if (node.guessedRaw && request.writable === true) warnOfGuess(tool, filename);
  return describe(node, filename, environment);
}

/** `Could not open 'x': Could not open 'x': No such file or directory` for files, as QEMU says it: once by the tool, once by the file layer. */
export function openFailure(filename: string, error: Error & { hint?: string | undefined }): ToolError {
  return new ToolError(`Could not open '${filename}': ${error.message}`, { hint: error.hint, cause: error });
}

function warnOfGuess(tool: Tool, filename: string): void {
  tool.note(
    `WARNING: Image format was not specified for '${filename}' and probing guessed raw.\n` +
      '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n' +
      "         Specify the 'raw' format explicitly to remove the restrictions.\n",
  );
}

function describe(node: BlockNode, filename: string, environment: Environment): OpenedImage {
  return {
    node,
    image: node.image,
    driver: environment.block.registry.get(node.driver),
    displayName: node.filename ?? filename,
    environment,
    resolveName: (name) => (name === '' ? undefined : resolveName(node.filename ?? filename, name)),
    actualSize: async () => environment.actualSize(node.image.file),
    close: () => node.close(),
  };
}
