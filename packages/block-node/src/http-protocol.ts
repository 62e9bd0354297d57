/** `http` and `https` for `openImage`: read-only, by range requests. Options in QEMU's names (curl block driver): `url`, `timeout`, `readahead`. */
import type { OptionTree, ProtocolOpener } from '@emkit/block';
import { BlockError } from '@emkit/storage';

const KEYS = ['url', 'filename', 'timeout', 'readahead'];

export function httpProtocol(): ProtocolOpener {
  return {
    async open(options, { readOnly, signal }) {
      const url = urlOf(options);
      if (!readOnly)
        throw new BlockError('read-only', `${url}: an image on a web server is read-only`, {
          hint: 'copy it first (convert), or make an overlay (create -b)',
        });
      const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
      if (unknown !== undefined)
        throw new BlockError('invalid-option', `Block protocol 'http' doesn't support the option '${unknown}'`);
      const timeout = numberOf(options, 'timeout');
      const readAhead = numberOf(options, 'readahead');
      const { HttpRangeStorage } = await import('@emkit/storage-web'); // most runs of a tool need none
      return HttpRangeStorage.open(url, {
        signal,
        ...(timeout !== undefined ? { timeoutMs: timeout * 1000 } : {}),
        ...(readAhead !== undefined ? { readAhead } : {}),
      });
    },
    parseName: (name) => ({ url: name }),
    canonicalName: urlOf,
  };
}

function urlOf(options: OptionTree): string {
  const url = options['url'] ?? options['filename'];
  if (typeof url === 'string' && /^https?:\/\//i.test(url)) return url;
  throw new BlockError('invalid-option', `'${String(url)}' is no http or https URL`);
}

function numberOf(options: OptionTree, key: string): number | undefined {
  const value = options[key];
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new BlockError('invalid-option', `Parameter '${key}' expects a number`);
}
