/**
 * --doctor: is this computer ready? Each line ok, note or problem, with the remedy. `=json` for bug reports. Changes nothing.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { availableParallelism, freemem, homedir, platform, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { createServer } from 'node:net';

export interface Finding {
  readonly what: string;
  readonly state: 'ok' | 'note' | 'problem';
  readonly detail: string;
  readonly remedy?: string;
}

const MIB = 1024 * 1024;

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > 20 || (major === 20 && minor >= 19);
  return {
    what: 'Node.js',
    state: good ? 'ok' : 'problem',
    detail: `${process.version} (V8 ${process.versions.v8})`,
    ...(good ? {} : { remedy: 'install Node.js 20.19 or newer' }),
  };
}

/** A module that uses what the translator emits: i64, memory, SIMD. */
const PROBE = Uint8Array.of(
  0,
  0x61,
  0x73,
  0x6d,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  0x60,
  0,
  1,
  0x7b,
  3,
  2,
  1,
  0,
  10,
  8,
  1,
  6,
  0,
  0x41,
  0,
  0xfd,
  0x0f,
  0x0b,
);

function webAssembly(): Finding {
  const engine = (globalThis as { WebAssembly?: { validate(bytes: Uint8Array): boolean } }).WebAssembly;
  const good = engine?.validate(PROBE) === true;
  return {
    what: 'WebAssembly',
    state: good ? 'ok' : 'problem',
    detail: good ? 'with SIMD' : 'no SIMD',
    ...(good ? {} : { remedy: 'use a newer Node.js, or a CPU with SSE4.1' }),
  };
}

function memory(): Finding {
  const free = Math.floor(freemem() / MIB);
  const total = Math.floor(totalmem() / MIB);
  const good = free >= 512;
  return {
    what: 'memory',
    state: good ? 'ok' : 'note',
    detail: `${free} MiB free of ${total} MiB`,
    ...(good ? {} : { remedy: 'a guest of 128 MiB needs about 400 MiB: use a smaller -m' }),
  };
}

function terminal(): Finding {
  const input = process.stdin.isTTY === true;
  const output = process.stdout.isTTY === true;
  if (input && output)
    return {
      what: 'terminal',
      state: 'ok',
      detail: `${process.stdout.columns}x${process.stdout.rows}, TERM=${process.env['TERM'] ?? ''}`,
    };
  return {
    what: 'terminal',
    state: 'note',
    detail: `stdin ${input ? 'is' : 'is not'} a terminal, stdout ${output ? 'is' : 'is not'}`,
    remedy: 'the guest runs all the same; keys need a terminal',
  };
}

function kvm(): Finding {
  return {
    what: 'KVM',
    state: 'note',
    detail: existsSync('/dev/kvm') ? 'present, not used by this version' : 'not present, not needed',
  };
}

function cache(): Finding {
  const root = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'emkit');
  let probe = root;
  while (!existsSync(probe) && probe !== join(probe, '..')) probe = join(probe, '..');
  try {
    accessSync(probe, constants.W_OK);
    return { what: 'cache', state: 'ok', detail: `${root}${existsSync(root) ? '' : ' (not made yet)'}` };
  } catch {
    return {
      what: 'cache',
      state: 'problem',
      detail: `${root} cannot be written`,
      remedy: 'set XDG_CACHE_HOME to a folder of yours',
    };
  }
}

function apt(): Finding {
  const missing = ['apt-get', 'dpkg-deb', 'tar'].filter((p) => !onPath(p));
  if (missing.length === 0)
    return { what: 'Debian kernel', state: 'ok', detail: 'apt is here: npm start can fetch it' };
  return {
    what: 'Debian kernel',
    state: 'note',
    detail: `${missing.join(', ')} not found`,
    remedy: 'give your own: -kernel FILE -initrd FILE, or use --demo',
  };
}

async function gdbPort(): Promise<Finding> {
  const free = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(1234, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return {
    what: 'gdb port',
    state: free ? 'ok' : 'note',
    detail: free ? '127.0.0.1:1234 is free' : '127.0.0.1:1234 is in use',
    ...(free ? {} : { remedy: 'use -gdb tcp::1235 instead of -s' }),
  };
}

export async function examine(): Promise<readonly Finding[]> {
  const host: Finding = {
    what: 'host',
    state: 'ok',
    detail: `${platform()} ${release()}, ${process.arch}, ${availableParallelism()} CPUs`,
  };
  return [nodeVersion(), webAssembly(), host, memory(), terminal(), kvm(), cache(), apt(), await gdbPort()];
}

export function doctorText(findings: readonly Finding[]): string {
  const lines = findings.map(
    (f) =>
      `${f.state.padEnd(8)} ${f.what.padEnd(14)} ${f.detail}${f.remedy === undefined ? '' : `\n${' '.repeat(24)}${f.remedy}`}`,
  );
  const problems = findings.filter((f) => f.state === 'problem').length;
  return `${lines.join('\n')}\n\n${problems === 0 ? 'Ready: emkit --demo boots the built-in guest.' : `${problems} problem${problems === 1 ? '' : 's'}, see above.`}\n`;
}
