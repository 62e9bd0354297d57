/** NBD URIs: where a server is and which export is meant. The NBD project's uri.md. */
import { BlockError } from '@emkit/storage';
import { NBD_DEFAULT_PORT } from './protocol.ts';

export type NbdAddress =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number; readonly exportName: string }
  | { readonly type: 'unix'; readonly path: string; readonly exportName: string };

const SHAPE = /^(nbds?(?:\+(?:unix|tcp))?):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
/** host, [v6], with or without a port. A user name is for TLS and is ignored. */
const AUTHORITY = /^(?:[^@]*@)?(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]*))(?::([0-9]*))?$/;

/** Throws `invalid-option`. */
export function parseNbdUri(uri: string): NbdAddress {
  const match = SHAPE.exec(uri);
  if (match === null) throw bad(uri, 'an NBD URI is nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH');
  const scheme = (match[1] as string).toLowerCase();
  if (scheme.startsWith('nbds')) throw bad(uri, 'TLS is not supported');
  const exportName = decoded(uri, match[3] ?? '');
  const query = new Map<string, string>();
  for (const pair of (match[4] ?? '').split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decoded(uri, equals < 0 ? pair : pair.slice(0, equals));
    if (query.has(key)) throw bad(uri, `parameter '${key}' is there twice`);
    query.set(key, equals < 0 ? '' : decoded(uri, pair.slice(equals + 1)));
  }
  for (const key of query.keys())
    if (key !== 'socket' || scheme !== 'nbd+unix') throw bad(uri, `parameter '${key}' is not known`);
  return scheme === 'nbd+unix'
    ? unixAddress(uri, match[2] as string, query.get('socket'), exportName)
    : tcpAddress(uri, match[2] as string, exportName);
}

function unixAddress(uri: string, authority: string, path: string | undefined, exportName: string): NbdAddress {
  if (authority !== '') throw bad(uri, 'a UNIX socket has no host: nbd+unix:///EXPORT?socket=PATH');
  if (path === undefined || path === '') throw bad(uri, "the parameter 'socket' is missing");
  return { type: 'unix', path, exportName };
}

function tcpAddress(uri: string, authority: string, exportName: string): NbdAddress {
  const match = AUTHORITY.exec(authority);
  if (match === null) throw bad(uri, 'the host is malformed');
  const host = match[1] ?? decoded(uri, match[2] ?? '');
  const port = match[3] === undefined || match[3] === '' ? NBD_DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65535) throw bad(uri, `port ${port} is not between 1 and 65535`);
  return { type: 'tcp', host: host === '' ? 'localhost' : host, port, exportName };
}

/** The URI of an address; `parseNbdUri` gives the address back. */
export function formatNbdUri(address: NbdAddress): string {
  const path = encodeURIComponent(address.exportName);
  if (address.type === 'unix')
    return `nbd+unix:///${path}?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const port = address.port === NBD_DEFAULT_PORT ? '' : `:${address.port}`;
  return `nbd://${host}${port}${path === '' ? '' : `/${path}`}`;
}

function decoded(uri: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad(uri, 'a % is not followed by two hexadecimal digits, or is no UTF-8');
  }
}

const bad = (uri: string, why: string): BlockError =>
  new BlockError('invalid-option', `'${uri}' is not a usable NBD URI: ${why}`);
