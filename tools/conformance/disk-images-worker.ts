/** Judges images in a process of its own, which the runner can end: a loop that never ends must not end the run. */
import { RecordedFiles } from './disk-images-files.ts';
import { judgeImage } from './disk-images-judge.ts';
import { loadManifest } from './disk-images-manifest.ts';

const dir = process.argv[2] ?? '.';
const manifest = loadManifest(dir);
const files = new RecordedFiles(dir, manifest);

process.on('message', async (index: number) => {
  const image = manifest.images[index];
  if (image === undefined) return;
  let lines: string[];
  try {
    lines = await judgeImage(image, files);
  } catch (error) {
    lines = [`crashed: ${error instanceof Error ? error.message : String(error)}`];
  }
  files.forget();
  process.send?.({ index, lines });
});
process.send?.('ready');
