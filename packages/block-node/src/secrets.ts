/** `--object secret,id=ID,...`: passphrases from files, as QEMU takes them. Only secrets: other objects have no use here. */
import { readFileSync } from 'node:fs';
import { parseKeyValues } from './key-values.ts';
import { BlockError } from '@emkit/storage';

/** A passphrase file larger than this is a mistake. */
const MAX_SECRET = 64 * 1024;
const KEYS = ['qom-type', 'id', 'file', 'data', 'format'];

export type SecretLookup = (id: string) => Uint8Array;

export function parseSecrets(objects: readonly string[]): SecretLookup {
  const secrets = new Map<string, Uint8Array>();
  for (const text of objects) {
    const values = new Map(parseKeyValues(text, 'qom-type'));
    const type = values.get('qom-type');
    if (type !== 'secret')
      throw new BlockError('invalid-option', `invalid object type: ${type ?? text}`, {
        hint: 'this tool takes secret,id=ID,file=FILE',
      });
    const unknown = [...values.keys()].find((key) => !KEYS.includes(key));
    if (unknown !== undefined) throw new BlockError('invalid-option', `Property 'secret.${unknown}' not found`);
    const id = values.get('id');
    if (id === undefined || id === '') throw new BlockError('invalid-option', "Parameter 'id' is missing");
    secrets.set(id, decode(read(values), values.get('format') ?? 'raw', id));
  }
  return (id) => {
    const secret = secrets.get(id);
    if (secret === undefined)
      throw new BlockError('invalid-option', `No secret with id '${id}'`, {
        hint: `give --object secret,id=${id},file=FILE`,
      });
    return secret;
  };
}

function read(values: ReadonlyMap<string, string>): Uint8Array {
  const file = values.get('file');
  const data = values.get('data');
  if ((file === undefined) === (data === undefined))
    throw new BlockError('invalid-option', "Either 'data' or 'file' must be provided, not both");
  if (data !== undefined) return new TextEncoder().encode(data);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file as string);
  } catch (cause) {
    throw new BlockError(
      'invalid-option',
      `Unable to read ${file as string}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
  if (bytes.length > MAX_SECRET)
    throw new BlockError('invalid-option', `${file as string}: a secret has at most ${MAX_SECRET} bytes`);
  return bytes;
}

function decode(bytes: Uint8Array, format: string, id: string): Uint8Array {
  if (format === 'raw') return bytes;
  if (format !== 'base64')
    throw new BlockError('invalid-option', `Parameter 'format' does not accept value '${format}'`);
  const text = new TextDecoder().decode(bytes).replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0)
    throw new BlockError('invalid-option', `secret '${id}': base64 data is not valid`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}
