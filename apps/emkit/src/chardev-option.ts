/**
 * Character devices on the command line: -chardev, and the DEV argument of -serial and -debugcon. Nothing is opened here.
 */
import { parseOnOff } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { didYouMean } from './suggest.ts';
import { parseKeyValues, type Token } from './tokenizer.ts';

/** A character device as asked for: `stdio` with `mux` has the escape keys. */
export type Chardev =
  | { readonly kind: 'none' }
  | { readonly kind: 'null' }
  | { readonly kind: 'stdio'; readonly mux: boolean; readonly signal: boolean; readonly typed: string }
  | { readonly kind: 'file'; readonly path: string; readonly append: boolean; readonly typed: string };

export type Chardevs = Map<string, Chardev>;

const DRIVERS = ['stdio', 'file', 'null', 'none', 'chardev', 'mon'];
const LATER = [
  'vc',
  'pty',
  'tcp',
  'udp',
  'unix',
  'telnet',
  'websocket',
  'pipe',
  'socket',
  'ringbuf',
  'tty',
  'serial',
  'parport',
  'braille',
  'msmouse',
  'spicevmc',
  'con',
];

/** The DEV argument of -serial and -debugcon. */
export function parseBackend(known: Chardevs, token: Token): Chardev {
  const value = token.value ?? '';
  if (value === 'none') return { kind: 'none' };
  if (value === 'null') return { kind: 'null' };
  if (value === 'stdio') return { kind: 'stdio', mux: false, signal: true, typed: token.typed };
  if (value === 'mon:stdio') return { kind: 'stdio', mux: true, signal: false, typed: token.typed };
  if (value.startsWith('file:') && value.length > 5)
    return { kind: 'file', path: value.slice(5), append: false, typed: token.typed };
  if (value.startsWith('chardev:')) return namedChardev(known, token, value.slice(8));
  const driver = value.split(/[:,]/)[0]!;
  const later = LATER.includes(driver);
  const list = 'one of none, null, stdio, mon:stdio, file:PATH, chardev:ID';
  throw new OptionError(
    later
      ? `${token.typed}: '${driver}' is not supported in this version`
      : `${token.typed}: '${driver}' is not a valid char driver`,
    later ? list : didYouMean(driver, DRIVERS, list),
  );
}

export function namedChardev(known: Chardevs, token: Token, id: string): Chardev {
  const found = known.get(id);
  if (found === undefined)
    throw new OptionError(
      `${token.typed}: chardev "${id}" not found`,
      didYouMean(id, [...known.keys()], `define it: -chardev stdio,id=${id}`),
    );
  return found;
}

/** -chardev: adds to `known`. True when the list of backends was asked for instead. */
export function chardevOption(known: Chardevs, token: Token): boolean {
  const keys = parseKeyValues(token, 'backend', [
    'backend',
    'id',
    'path',
    'append',
    'mux',
    'signal',
    'logfile',
    'logappend',
  ]);
  const backend = keys.get('backend') ?? '';
  if (backend === 'help' || backend === '?') return true;
  const id = keys.get('id');
  if (id === undefined)
    throw new OptionError(
      `${token.typed}: chardev: no id specified`,
      `for example -chardev ${DRIVERS.includes(backend) ? backend : 'stdio'},id=con0`,
    );
  if (known.has(id)) throw new OptionError(`${token.typed}: Duplicate ID '${id}' for chardev`);
  const flag = (key: string, initial: boolean): boolean =>
    keys.has(key) ? parseOnOff(token.typed, key, keys.get(key)!) : initial;
  if (keys.has('logfile') || keys.has('logappend'))
    throw new OptionError(`${token.typed}: logfile is not supported in this version`);
  if (backend === 'null') known.set(id, { kind: 'null' });
  else if (backend === 'stdio')
    known.set(id, { kind: 'stdio', mux: flag('mux', false), signal: flag('signal', true), typed: token.typed });
  else if (backend === 'file') {
    const path = keys.get('path');
    if (path === undefined)
      throw new OptionError(
        `${token.typed}: chardev: file: no filename given`,
        `for example -chardev file,id=${id},path=serial.log`,
      );
    known.set(id, { kind: 'file', path, append: flag('append', false), typed: token.typed });
  } else {
    const later = LATER.includes(backend);
    throw new OptionError(
      later
        ? `${token.typed}: '${backend}' is not supported in this version`
        : `${token.typed}: '${backend}' is not a valid char driver name`,
      didYouMean(backend, ['stdio', 'file', 'null'], 'one of stdio, file, null'),
    );
  }
  return false;
}
