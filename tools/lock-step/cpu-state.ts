/**
 * A processor's state as text fields, and QEMU's `-d cpu` log as a stream of them. In 64-bit code the log has RAX to R15 with 16 digits, else
 * EAX to EDI with 8. A block of the log begins with the line of RAX or EAX and ends with that of EFER.
 */
export interface CpuState {
  readonly code64: boolean;
  /** AX CX DX BX SP BP SI DI, R8 to R15 of 64-bit code; hexadecimal without leading zeros, as all fields. */
  readonly registers: ReadonlyMap<string, string>;
  readonly ip: string;
  readonly flags: number;
  /** Selector and base of ES CS SS DS FS GS; CR0 CR3 CR4 EFER. */
  readonly system: ReadonlyMap<string, string>;
}

export const REGISTER_NAMES = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'] as const;
export const SEGMENT_NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'] as const;
const SYSTEM_REGISTERS = ['CR0', 'CR3', 'CR4', 'EFER'];

const short = (hex: string): string => hex.replace(/^0+(?=.)/, '');
export const hexOf = (high: number, low: number): string =>
  short((high >>> 0).toString(16) + (low >>> 0).toString(16).padStart(8, '0'));

/** One block of the log. */
export function parseCpuState(block: string): CpuState {
  const registers = new Map<string, string>();
  const system = new Map<string, string>();
  let ip = '';
  let flags = 0;
  for (const line of block.split('\n')) {
    const segment = /^([C-GS]S) =([0-9a-f]+) ([0-9a-f]+)/.exec(line);
    if (segment !== null) {
      system.set(segment[1]!, `${short(segment[2]!)}:${short(segment[3]!)}`);
      continue;
    }
    for (const [, name, value] of line.matchAll(/([A-Z][A-Z0-9]{1,3}) *=([0-9a-f]+)/g)) {
      const plain = name!.replace(/^[ER](?=[A-DSI][XPI]$|BP$|DI$|IP$|FL$)/, '');
      if (plain === 'IP') ip = short(value!);
      else if (plain === 'FL') flags = parseInt(value!, 16);
      else if (SYSTEM_REGISTERS.includes(plain)) system.set(plain, short(value!));
      else if (/^R\d/.test(plain) || (REGISTER_NAMES as readonly string[]).includes(plain))
        registers.set(plain, short(value!));
    }
  }
  return { code64: block.startsWith('RAX'), registers, ip, flags, system };
}

/** The blocks of a log that comes in pieces. What stands between them (messages of other kinds) is left out. */
export class CpuLog {
  #rest = '';

  *push(text: string): Generator<CpuState> {
    const all = this.#rest + text;
    let from = 0;
    for (;;) {
      const last = all.indexOf('\nEFER=', from);
      const end = last < 0 ? -1 : all.indexOf('\n', last + 1);
      if (end < 0) break;
      const block = all.slice(from, end);
      const start = block.search(/^[RE]AX=/m);
      if (start >= 0) yield parseCpuState(block.slice(start));
      from = end + 1;
    }
    this.#rest = all.slice(from);
  }
}
