/** The server's life: open images, listen, serve until the last client or a signal, flush, close. */
import { rmSync, writeFileSync } from 'node:fs';
import { MAX_CONNECTIONS, NbdServer } from '@emkit/nbd';
import { Admission } from './admission.ts';
import { openImages, type OpenedImage } from './images.ts';
import { listen } from './listen.ts';
import type { ServeOptions } from './options.ts';
import { ToolError } from './tool-error.ts';
import type { Tool } from './tool.ts';

/** Resolves with the exit code. */
export async function serve(tool: Tool, options: ServeOptions): Promise<number> {
  const images = await openImages(tool, options);
  try {
    return await serveImages(tool, options, images);
  } finally {
    for (const image of images) await image.close();
  }
}

async function serveImages(tool: Tool, options: ServeOptions, images: readonly OpenedImage[]): Promise<number> {
  const server = new NbdServer({ exports: images.map((image) => image.export), maxConnections: MAX_CONNECTIONS });
  const limit = Math.min(MAX_CONNECTIONS, options.shared * images.length);
  const verbose = (text: string): void => {
    if (options.verbose) tool.say(text);
  };
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  let clients = 0;
  const admission = new Admission(limit, async (stream, from) => {
    const peer = `client ${++clients}${from === '' ? '' : ` (${from})`}`;
    verbose(`${peer}: connected`);
    const onNegotiated = (name: string): void => verbose(`${peer}: uses export '${name}'`);
    const result = await server.serve(stream, { onNegotiated });
    verbose(`${peer}: ${result.error === undefined ? 'left' : `cut off: ${result.error.message}`}`);
    if (result.export !== undefined && !options.persistent && server.connections === 0) finish();
  });
  const listening = await listen(options.address, (stream, peer) => {
    if (!admission.admit(stream, peer))
      verbose(`a client${peer === '' ? '' : ` (${peer})`} is turned away: too many wait`);
  });
  try {
    if (options.pidFile !== undefined) writePidFile(options.pidFile);
    for (const image of images)
      if (options.verbose || tool.isTerminal) tool.say(describe(image, listening.uri(image.export.name)));
    if (tool.isTerminal && !options.persistent)
      tool.say('ends when the last client leaves (-t to stay); Ctrl-C ends it');
    if (!tool.signal.aborted) {
      tool.signal.addEventListener('abort', finish);
      await finished;
    }
    if (tool.signal.aborted) verbose('asked to end: requests at work are answered, then everything is flushed');
    return 0;
  } finally {
    await listening.close();
    admission.close();
    await server.close();
    if (options.pidFile !== undefined) rmSync(options.pidFile, { force: true });
  }
}

function describe({ export: { storage, readOnly }, driver }: OpenedImage, uri: string): string {
  return `${uri}: ${storage.name ?? 'image'} (${driver}, ${storage.size} bytes${readOnly === true ? ', read-only' : ''})`;
}

function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new ToolError(`cannot create PID file '${path}': ${error instanceof Error ? error.message : String(error)}`);
  }
}
