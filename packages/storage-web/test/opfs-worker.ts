/** Runs in a dedicated worker of a browser, where synchronous handles exist: writes a file of the origin, reads it back, says how it went. */
import { OpfsStorage } from '../src/index.ts';
import type { FileHandleLike } from '../src/index.ts';

interface Scope {
  postMessage(message: unknown): void;
  readonly navigator: {
    readonly storage: {
      getDirectory(): Promise<{
        getFileHandle(name: string, options: { create: boolean }): Promise<FileHandleLike>;
        removeEntry(name: string): Promise<void>;
      }>;
    };
  };
}

const scope = globalThis as unknown as Scope;

async function run(): Promise<unknown> {
  const directory = await scope.navigator.storage.getDirectory();
  const name = 'emkit-opfs-test.img';
  const file = await directory.getFileHandle(name, { create: true });
  const storage = await OpfsStorage.open(file);
  await storage.truncate(0);
  await storage.write(100_000, Uint8Array.of(1, 2, 3));
  await storage.flush();
  const second = await OpfsStorage.open(file).catch((error: { kind?: string }) => error.kind);
  const bytes = new Uint8Array(5);
  await storage.read(99_999, bytes);
  await storage.truncate(50);
  const { size } = storage;
  await storage.close();
  await directory.removeEntry(name);
  return { bytes: [...bytes], size, second };
}

run().then(
  (result) => scope.postMessage(result),
  (error: unknown) => scope.postMessage(String(error)),
);
