/**
 * The descriptor: the text that says what a disk consists of, alone in a file or inside of a sparse extent. Virtual Disk Format 5.0
 * "The Descriptor File". Reads what is met in the world: CRLF, comments, odd spaces, missing quotes, unknown keys, a byte order mark,
 * padding with NULs, other encodings, keys in other case. What follows the first NUL is not text: writers leave old bytes there.
 */
import { BlockError } from '@emkit/storage';
import { looksLikeExtent, parseExtent, type DescriptorExtent } from './descriptor-extent.ts';
import { MAX_DESCRIPTOR_BYTES, MAX_EXTENTS } from './limits.ts';
import { decodeText, encodeText, fromLatin1, latin1 } from './text.ts';

/** The `parentCID` of a disk without a parent. */
export const CID_NOPARENT = 0xffffffff;

export interface Descriptor {
  readonly version: number;
  /** As it is written there: "UTF-8", "windows-1252", ... */
  readonly encoding?: string | undefined;
  /** Content identifier: changes with the first write after an open. */
  readonly cid: number;
  /** The parent's CID when this disk was made; `CID_NOPARENT`: there is none. */
  readonly parentCid: number;
  readonly createType: string;
  readonly parentFileNameHint?: string | undefined;
  readonly extents: readonly DescriptorExtent[];
  /** The disk database: keys with their `ddb.`, in order. */
  readonly ddb: ReadonlyMap<string, string>;
  /** Keys that are not known here, in order. */
  readonly other: ReadonlyMap<string, string>;
}

export interface ParsedDescriptor extends Descriptor {
  /** Lines that mean to be an extent and cannot be understood. */
  readonly malformed: readonly string[];
  /** Where the digits of CID stand, bytes from the start. */
  readonly cidAt: { readonly offset: number; readonly length: number };
}

const ENTRY = /^[ \t]*([A-Za-z_][\w.-]*)[ \t]*=[ \t]*(.*?)[ \t]*$/;
const UTF8_BOM = '\xef\xbb\xbf';

/** Throws `invalid-format` if CID or createType are missing or wrong. */
export function parseDescriptor(source: Uint8Array | string): ParsedDescriptor {
  const bytes = typeof source === 'string' ? encodeText(source) : source;
  if (bytes.length > MAX_DESCRIPTOR_BYTES)
    throw new BlockError('invalid-format', `the descriptor has more than ${MAX_DESCRIPTOR_BYTES} bytes`);
  const end = bytes.indexOf(0);
  const text = latin1(end < 0 ? bytes : bytes.subarray(0, end));
  const entries = new Map<string, { key: string; value: string; at: number }>();
  const lines: { line: string; blank: number }[] = [];
  let blank = 0;
  for (let at = text.startsWith(UTF8_BOM) ? 3 : 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    const line = text.slice(at, newline < 0 ? next : newline).replace(/\r$/, '');
    const entry = ENTRY.exec(line);
    if (looksLikeExtent(line)) lines.push({ line, blank });
    else if (entry !== null && !entries.has((entry[1] as string).toLowerCase()))
      entries.set((entry[1] as string).toLowerCase(), {
        key: entry[1] as string,
        value: entry[2] as string,
        at: at + line.lastIndexOf(entry[2] as string),
      });
    blank = line.trim() === '' ? blank + 1 : 0;
    at = next;
  }
  if (lines.length > MAX_EXTENTS)
    throw new BlockError('invalid-format', `the descriptor has more than ${MAX_EXTENTS} extents`);

  const encoding = unquote(entries.get('encoding')?.value);
  const decode = (value: string): string => decodeText(fromLatin1(value), encoding);
  const read = (key: string): string | undefined => {
    const value = unquote(entries.get(key)?.value);
    entries.delete(key);
    return value === undefined ? undefined : decode(value);
  };
  entries.delete('encoding');
  const cid = readCid(entries, 'CID');
  if (cid === undefined) throw new BlockError('invalid-format', 'the descriptor has no CID', { field: 'CID' });
  const parent = readCid(entries, 'parentCID');
  const createType = read('createtype');
  if (createType === undefined || createType === '')
    throw new BlockError('invalid-format', 'invalid VMDK image descriptor', { field: 'createType' });
  const version = Number(read('version') ?? 1);
  const hint = read('parentfilenamehint');
  const ddb = new Map<string, string>();
  const other = new Map<string, string>();
  for (const { key, value } of entries.values())
    (/^ddb\./i.test(key) ? ddb : other).set(key, decode(unquote(value) ?? ''));
  const extents: DescriptorExtent[] = [];
  const malformed: string[] = [];
  for (const { line, blank } of lines) {
    const decoded = decode(line);
    const extent = parseExtent(decoded, blank);
    if (extent === undefined) malformed.push(decoded);
    else extents.push(extent);
  }
  return {
    version: Number.isInteger(version) ? version : 1,
    ...(encoding === undefined ? {} : { encoding }),
    cid: cid.value,
    parentCid: parent?.value ?? CID_NOPARENT,
    createType,
    ...(hint === undefined || hint === '' ? {} : { parentFileNameHint: hint }),
    extents,
    ddb,
    other,
    malformed,
    cidAt: cid.at,
  };
}

/** The first line of text that is not a comment says `version=`: all that the format has for a magic. */
export function looksLikeDescriptor(head: Uint8Array): boolean {
  const text = latin1(head).replace(UTF8_BOM, '');
  for (const line of text.split('\n')) {
    if (/^[ \t]*(#.*)?\r?$/.test(line)) continue;
    return /^[ \t]*version[ \t]*=[ \t]*"?[123]"?[ \t]*\r?$/i.test(line);
  }
  return false;
}

type Entries = Map<string, { key: string; value: string; at: number }>;

function readCid(
  entries: Entries,
  name: string,
): { value: number; at: { offset: number; length: number } } | undefined {
  const entry = entries.get(name.toLowerCase());
  if (entry === undefined) return undefined;
  entries.delete(name.toLowerCase());
  const digits = /^"?(?:0x)?([0-9a-f]{1,8})(?![0-9a-f])/i.exec(entry.value);
  if (digits === null)
    throw new BlockError('invalid-format', `${name} of the descriptor is not a hexadecimal number of 32 bits`, {
      field: name,
    });
  const length = (digits[1] as string).length;
  return {
    value: parseInt(digits[1] as string, 16),
    at: { offset: entry.at + digits[0].length - length, length },
  };
}

function unquote(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const quoted = /^"([^"]*)"/.exec(value);
  return quoted === null ? value : (quoted[1] as string);
}
