/**
 * Runs a compiled consumer as Node's side of it: `node run-consumer.mjs CONSUMER.js [IMAGE.gz SHA256]...`. It writes and reads an image of its own; then
 * each recorded image must have the content that was recorded.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';

const CHUNK = 1 << 20;

const [consumer, ...recorded] = process.argv.slice(2);
const { open, roundTrip } = await import(pathToFileURL(consumer).href);
await roundTrip();

for (let k = 0; k < recorded.length; k += 2) {
  const [packed, wanted] = recorded.slice(k, k + 2);
  const disk = await open(new Uint8Array(gunzipSync(readFileSync(packed))));
  const hash = createHash('sha256');
  for (let at = 0; at < disk.size; at += CHUNK) {
    const bytes = new Uint8Array(Math.min(CHUNK, disk.size - at));
    await disk.read(at, bytes);
    hash.update(bytes);
  }
  await disk.close();
  const found = hash.digest('hex');
  if (found !== wanted) throw new Error(`${packed}: the content's hash is ${found}, not ${wanted}`);
}
