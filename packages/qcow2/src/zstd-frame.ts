/** Where zstd frames end: decoders want to know, and the image does not say. RFC 8878 §3.1.1 "Zstandard Frames", §3.1.2 "Skippable Frames". */
import { BlockError } from '@emkit/storage';
import { viewOf } from './u64.ts';

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_RLE = 1;
/** RFC 8878 §3.1.1.2.4: a block is at most 128 KiB. */
const MAX_BLOCK = 128 * 1024;

/**
 * Bytes of the frames at the start of `data` that hold `length` bytes of content, as far as their headers tell; throws on what is no frame.
 * Frames without a content size count as holding everything: writers put a cluster into one.
 */
export function zstdLength(data: Uint8Array, length: number): number {
  let at = 0;
  for (let content = 0; content < length;) {
    const frame = frameAt(data, at);
    at = frame.end;
    content += frame.content ?? length;
  }
  return at;
}

function frameAt(data: Uint8Array, start: number): { end: number; content: number | undefined } {
  const view = viewOf(data);
  const need = (at: number, bytes: number): void => {
    if (at + bytes > data.length) throw new BlockError('corrupt-image', 'a zstd frame is cut off');
  };
  need(start, 5);
  const magic = view.getUint32(start, true);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    need(start, 8);
    const end = start + 8 + view.getUint32(start + 4, true);
    need(end, 0);
    return { end, content: 0 };
  }
  if (magic !== ZSTD_MAGIC) throw new BlockError('corrupt-image', 'not a zstd frame');
  const descriptor = data[start + 4] as number;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (isSingle ? 1 : 0) : 2 ** sizeFlag;
  let at = start + 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  need(at, sizeBytes);
  const content = contentSize(view, at, sizeBytes);
  at += sizeBytes;
  for (;;) {
    need(at, 3);
    const header = (data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16);
    const size = header >> 3;
    if (size > MAX_BLOCK) throw new BlockError('corrupt-image', 'a zstd block is too large');
    at += 3 + (((header >> 1) & 3) === BLOCK_RLE ? 1 : size);
    need(at, 0);
    if ((header & 1) !== 0) break;
  }
  if ((descriptor & 4) !== 0) at += 4;
  need(at, 0);
  return { end: at, content };
}

/** Frame_Content_Size; in two bytes it is less 256. */
function contentSize(view: DataView, at: number, bytes: number): number | undefined {
  switch (bytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
    default:
      return undefined;
  }
}
