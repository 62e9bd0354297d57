/** All options: the parser and the help are made from it. Names and letters are qemu-nbd's. */
export interface OptionRow {
  readonly short?: string;
  readonly long: string;
  /** Name of its value. */
  readonly value?: string;
  readonly help: string;
  /** May be given several times. */
  readonly isList?: boolean;
  /** Known from qemu-nbd and not possible here: the reason. */
  readonly refused?: string;
}

export interface OptionGroup {
  readonly title: string;
  readonly rows: readonly OptionRow[];
}

const NO_TLS = 'TLS is not supported: tunnel the connection through ssh or stunnel';
const NO_KERNEL = 'kernel devices are not supported: give the address to nbd-client, which attaches any NBD server';

export const OPTION_GROUPS: readonly OptionGroup[] = [
  {
    title: 'Connection',
    rows: [
      { short: 'p', long: 'port', value: 'PORT', help: 'TCP port to listen on (default 10809; 0: any free one)' },
      { short: 'b', long: 'bind', value: 'ADDR', help: 'address to listen on (default 127.0.0.1 and ::1)' },
      { short: 'k', long: 'socket', value: 'PATH', help: 'UNIX socket to listen on instead; only your user may connect' },
      { short: 'e', long: 'shared', value: 'NUM', help: 'clients at a time per export (default 1; 0: no limit)' },
      { short: 't', long: 'persistent', help: 'stay when the last client leaves' },
      { short: 'x', long: 'export-name', value: 'NAME', help: 'name of the export (default empty); once per image', isList: true },
      { short: 'D', long: 'description', value: 'TEXT', help: 'description of the export; once per image', isList: true },
      { short: 'v', long: 'verbose', help: 'say who connects, to what, and how it ends' },
    ],
  },
  {
    title: 'Part of the image',
    rows: [
      { short: 'o', long: 'offset', value: 'OFFSET', help: 'begin at this byte of the image' },
      { short: 'A', long: 'allocation-depth', help: 'expose the allocation depth (qemu:allocation-depth)' },
      { short: 'B', long: 'bitmap', value: 'NAME', help: 'expose a persistent dirty bitmap', isList: true },
    ],
  },
  {
    title: 'Image',
    rows: [
      { short: 'f', long: 'format', value: 'FORMAT', help: 'raw, qcow2, vmdk, qed, luks (default: probed)' },
      { short: 'r', long: 'read-only', help: 'refuse to change anything' },
      { short: 's', long: 'snapshot', help: 'keep changes in memory and forget them at the end' },
      {
        short: 'l',
        long: 'load-snapshot',
        value: 'SNAPSHOT',
        help: 'export an internal snapshot, read-only, by ID or name',
      },
      { long: 'image-opts', help: 'images are lists: driver=qcow2,file.filename=disk.qcow2' },
      { long: 'object', value: 'OBJECT', help: 'secret,id=ID,file=FILE: a passphrase for encrypted images', isList: true },
      { long: 'cache', value: 'MODE', help: 'none, writeback (default), writethrough, directsync, unsafe' },
      { short: 'n', long: 'nocache', help: 'as --cache=none' },
      { long: 'discard', value: 'MODE', help: 'ignore (default) or unmap: whether trim reaches the image' },
      { long: 'detect-zeroes', value: 'MODE', help: 'off (default), on, unmap' },
      { long: 'aio', value: 'MODE', help: 'threads: a slow disk holds up no other client' },
    ],
  },
  {
    title: 'General',
    rows: [
      { short: 'L', long: 'list', help: 'list the exports of the server at -b, -p or -k' },
      { long: 'pid-file', value: 'PATH', help: 'write the process ID there' },
      { short: 'h', long: 'help', help: 'this text' },
      { short: 'V', long: 'version', help: 'the version' },
      { long: 'fork', help: '', refused: 'a Node program cannot fork into the background: use a service manager, or end the command with &' },
      { long: 'tls-creds', value: 'ID', help: '', refused: NO_TLS },
      { long: 'tls-authz', value: 'ID', help: '', refused: NO_TLS },
      { long: 'tls-hostname', value: 'NAME', help: '', refused: NO_TLS },
      { short: 'c', long: 'connect', value: 'DEV', help: '', refused: NO_KERNEL },
      { short: 'd', long: 'disconnect', help: '', refused: NO_KERNEL },
      { short: 'T', long: 'trace', value: 'TRACE', help: '', refused: 'there are no trace points: -v says what happens' },
      { long: 'selinux-label', value: 'LABEL', help: '', refused: 'SELinux labels are not supported: label the socket with chcon' },
    ],
  },
];

export const OPTION_ROWS: readonly OptionRow[] = OPTION_GROUPS.flatMap(({ rows }) => rows);
