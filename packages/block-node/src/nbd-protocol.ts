/** `nbd` for `openImage`: URIs, QEMU's older `nbd:HOST:PORT[:exportname=NAME]`, and options `host`, `port`, `path`, `export` (also as `server.*`). */
import type { OptionTree, ProtocolOpener } from '@emkit/block';
import { formatNbdUri, NBD_DEFAULT_PORT, parseNbdUri, type NbdAddress } from '@emkit/nbd';
import { BlockError } from '@emkit/storage';

export function nbdProtocol(): ProtocolOpener {
  return {
    async open(options, { readOnly, signal }) {
      const address = addressOf(options);
      const { connectNbd, connectTcp, connectUnix } = await import('./nbd-client.ts');
      const stream =
        address.type === 'unix'
          ? await connectUnix(address.path, { signal })
          : await connectTcp(address.host, address.port, { signal });
      return connectNbd(stream, { exportName: address.exportName, readOnly, name: formatNbdUri(address), signal });
    },
    parseName: (name) => optionsOf(name.includes('://') ? parseNbdUri(name) : parseOldName(name)),
    canonicalName: (options) => formatNbdUri(addressOf(options)),
  };
}

function optionsOf(address: NbdAddress): OptionTree {
  return address.type === 'unix'
    ? { path: address.path, export: address.exportName }
    : { host: address.host, port: String(address.port), export: address.exportName };
}

/** qemu(1) "Network Block Device": nbd:unix:PATH[:exportname=NAME], nbd:HOST:PORT[:exportname=NAME]. */
function parseOldName(name: string): NbdAddress {
  const match = /^nbd:(?:unix:(?<path>.+?)|(?<host>\[[^\]]*\]|[^:]*):(?<port>\d+))(?::exportname=(?<name>.*))?$/.exec(
    name,
  );
  const parts = match?.groups;
  if (parts === undefined)
    throw new BlockError('invalid-option', `No valid NBD address in '${name}'`, {
      hint: 'nbd://HOST:PORT/EXPORT, or nbd+unix:///EXPORT?socket=PATH',
    });
  const exportName = parts['name'] ?? '';
  const { path } = parts;
  if (path !== undefined) return { type: 'unix', path, exportName };
  return { type: 'tcp', host: hostOf(parts['host'] as string), port: portOf(parts['port'] as string), exportName };
}

const KEYS = ['host', 'port', 'path', 'export', 'server'];

function addressOf(options: OptionTree): NbdAddress {
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw new BlockError('invalid-option', `Block protocol 'nbd' doesn't support the option '${unknown}'`);
  const { server } = options;
  const where = server !== null && typeof server === 'object' ? server : options;
  const exportName = text(options['export']) ?? '';
  const path = text(where['path']);
  const host = text(where['host']);
  if ((path === undefined) === (host === undefined))
    throw new BlockError(
      'invalid-option',
      path === undefined ? 'NBD server address missing' : 'path and host may not be used at the same time',
    );
  if (path !== undefined) return { type: 'unix', path, exportName };
  return {
    type: 'tcp',
    host: hostOf(host as string),
    port: portOf(text(where['port']) ?? String(NBD_DEFAULT_PORT)),
    exportName,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

const hostOf = (host: string): string => (host === '' ? 'localhost' : host.replace(/^\[(.*)\]$/, '$1'));

function portOf(port: string): number {
  const value = Number(port);
  if (Number.isInteger(value) && value >= 1 && value <= 65535) return value;
  throw new BlockError('invalid-option', `NBD port '${port}' is not between 1 and 65535`);
}
