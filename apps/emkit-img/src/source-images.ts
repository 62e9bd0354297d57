/**
 * Opens what a conversion reads, and says how many threads it has.
 *
 * A source that is in memory is read by the thread that runs the program, and the only thread of the pool does nothing but write: two writers wait for the lock of the one file, and who
 * waits takes the core that reading needs. Every other source is read in the pool, which has a thread a core.
 */
import { imageRequest } from './image-arguments.ts';
import { openImage, type OpenedImage } from './images.ts';
import { isInMemory, isPlain } from './in-memory.ts';
import { sizeThreadPool } from './thread-pool.ts';
import type { Tool } from './tool.ts';
import type { Values } from './command.ts';

export interface SourceRequest {
  readonly values: Values;
  readonly sources: readonly string[];
  /** Writing is copying too, into memory. */
  readonly isPlainTarget: boolean;
}

/** Before the thread pool is used for the first time. On failure none stays open. */
export async function openSources(tool: Tool, request: SourceRequest): Promise<OpenedImage[]> {
  const { values, sources, isPlainTarget } = request;
  const mayReadHere =
    isPlainTarget &&
    process.env['UV_THREADPOOL_SIZE'] === undefined &&
    !values.has('imageOpts') &&
    !values.has('snapshot') &&
    sources.every((filename) => isInMemory(filename, tool.now));
  if (mayReadHere) {
    const warnings: (readonly [string, string | undefined])[] = [];
    const warn = (): void => warnings.forEach((warning) => tool.say(...warning));
    const opened = await openAll(
      { ...tool, say: (text, hint) => void warnings.push([text, hint]) },
      request,
      true,
    ).catch((error: unknown) => {
      warn();
      throw error;
    });
    if (await areAllPlain(opened)) {
      sizeThreadPool({ isWriter: true });
      warn();
      return opened;
    }
    // opened again, as others are read: that warns again too
    for (const image of opened) await image.close();
  }
  sizeThreadPool();
  return openAll(tool, request, false);
}

async function openAll(tool: Tool, { values, sources }: SourceRequest, readsHere: boolean): Promise<OpenedImage[]> {
  const opened: OpenedImage[] = [];
  try {
    for (const filename of sources)
      opened.push(
        await openImage(
          tool,
          imageRequest(values, filename, {
            cacheKey: 'sourceCache',
            backing: 'resolve',
            files: readsHere ? 'quick-reads' : 'threads',
          }),
        ),
      );
  } catch (error) {
    for (const image of opened) await image.close();
    throw error;
  }
  return opened;
}

async function areAllPlain(opened: readonly OpenedImage[]): Promise<boolean> {
  try {
    for (const { image } of opened) if (!(await isPlain(image))) return false;
    return true;
  } catch {
    // what is wrong with it is told by the copy
    return false;
  }
}
