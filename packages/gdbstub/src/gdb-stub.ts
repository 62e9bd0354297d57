/**
 * The GDB remote serial protocol server, for one processor and one debugger at a time. Knows no architecture and no
 * transport: registers, memory and control come from a GdbTarget, bytes go in by `receive` and out by `send`.
 *
 * GDB manual, appendix "GDB Remote Serial Protocol". Not here: several threads, non-stop mode, file I/O, tracepoints,
 * reverse execution.
 */
import { MAX_BREAKPOINTS, MAX_PACKET, MAX_WATCH_BYTES } from './limits.ts';
import { framePacket, fromHex, PacketReader, toHex } from './packet.ts';

export type StopReason =
  | { readonly kind: 'break' | 'step' | 'interrupt' }
  | { readonly kind: 'watch'; readonly access: 'write' | 'read' | 'access'; readonly address: number }
  | { readonly kind: 'exited'; readonly code: number };

/** What the stub needs of a processor. Addresses are linear, from 2^63 up as negative numbers: a canonical one is exact. Sizes in bytes. */
export interface GdbTarget {
  /** Number of registers in `g` order. */
  readonly registerCount: number;
  /** Bytes of register n, target byte order; null: not there. */
  readRegister(n: number): Uint8Array | null;
  /** False: refused. */
  writeRegister(n: number, bytes: Uint8Array): boolean;
  /**
   * The number that the target knows an address by, given its halves; sums with small numbers mean what is beside it. `lasting`: for a break-
   * or watchpoint; null: no more of them. @default the signed value, which is exact up to 53 bits
   */
  address?(low: number, high: number, lasting: boolean): number | null;
  /** The upper half of the address that a number stands for. */
  highHalf?(address: number): number;
  /** Shorter than asked where a page is missing; empty: nothing readable at the address. */
  readMemory(address: number, length: number): Uint8Array;
  writeMemory(address: number, bytes: Uint8Array): boolean;
  setBreakpoints(addresses: ReadonlySet<number>): void;
  setWatchpoints(
    watches: readonly {
      readonly address: number;
      readonly length: number;
      readonly read: boolean;
      readonly write: boolean;
    }[],
  ): void;
  /** Start running; the target calls `stopped` later. */
  resume(): void;
  /** One instruction, then `stopped`. */
  step(): void;
  /** Stop soon, then `stopped`. */
  interrupt(): void;
  /** The debugger went away: run on without breakpoints. */
  detach(): void;
  kill(): void;
  /** Target description by annex name, or undefined. */
  description(annex: string): string | undefined;
  /** `monitor TEXT`; the reply is shown to the user. */
  monitor?(command: string): string;
}

const SIGINT = 2;
const SIGTRAP = 5;
const OK = 'OK';
/** Errors: 01 bad request, 14 bad address (EFAULT), 28 too many (ENOSPC). */
const E_BAD = 'E01';
const E_FAULT = 'E14';
const E_FULL = 'E28';

export class GdbStub {
  readonly #target: GdbTarget;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #reader = new PacketReader();
  readonly #breakpoints = new Set<number>();
  readonly #watches = new Map<string, { address: number; length: number; read: boolean; write: boolean }>();
  #acks = true;
  #running = false;
  #lastSent: Uint8Array | undefined;
  #lastStop = `T${hex2(SIGTRAP)}thread:1;`;
  #closed = false;

  constructor(target: GdbTarget, send: (bytes: Uint8Array) => void) {
    this.#target = target;
    this.#send = send;
  }

  /** Bytes from the debugger. */
  receive(bytes: Uint8Array): void {
    this.#reader.push(bytes, (frame) => {
      if (this.#closed) return;
      switch (frame.kind) {
        case 'interrupt':
          if (this.#running) this.#target.interrupt();
          break;
        case 'nack':
          if (this.#acks && this.#lastSent !== undefined) this.#send(this.#lastSent);
          break;
        case 'bad':
          if (this.#acks) this.#send(Uint8Array.of(0x2d));
          break;
        default:
          if (this.#acks) this.#send(Uint8Array.of(0x2b));
          this.#handle(ascii(frame.payload), frame.payload);
      }
    });
  }

  /** The connection is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clear();
    this.#target.detach();
  }

  /** The processor has stopped. */
  stopped(reason: StopReason): void {
    switch (reason.kind) {
      case 'exited':
        this.#lastStop = `W${hex2(reason.code & 0xff)}`;
        break;
      case 'watch': {
        const name = { write: 'watch', read: 'rwatch', access: 'awatch' }[reason.access];
        this.#lastStop = `T${hex2(SIGTRAP)}thread:1;${name}:${this.#hexAddress(reason.address)};`;
        break;
      }
      default:
        this.#lastStop = `T${hex2(reason.kind === 'interrupt' ? SIGINT : SIGTRAP)}thread:1;`;
    }
    if (!this.#running) return;
    this.#running = false;
    this.#reply(this.#lastStop);
  }

  #reply(payload: string): void {
    if (this.#closed) return;
    this.#lastSent = framePacket(payload);
    this.#send(this.#lastSent);
  }

  #handle(text: string, raw: Uint8Array): void {
    const reply = this.#command(text, raw);
    if (reply !== null) this.#reply(reply);
  }

  /** The reply, or null when it comes later or never. */
  #command(text: string, raw: Uint8Array): string | null {
    const rest = text.slice(1);
    switch (text[0]) {
      case '?':
        return this.#lastStop;
      case 'g':
        return this.#readAll();
      case 'G':
        return this.#writeAll(rest);
      case 'p':
        return this.#readOne(rest);
      case 'P':
        return this.#writeOne(rest);
      case 'm':
        return this.#readMemory(rest);
      case 'M':
        return this.#writeMemory(rest);
      case 'X':
        return this.#writeBinary(rest, raw);
      case 'c':
      case 'C':
        return this.#go(false);
      case 's':
      case 'S':
        return this.#go(true);
      case 'v':
        return this.#v(text);
      case 'Z':
        return this.#breakpoint(rest, true);
      case 'z':
        return this.#breakpoint(rest, false);
      case 'H':
      case 'T':
        return OK;
      case 'q':
        return this.#query(text);
      case 'Q':
        return this.#set(text);
      case 'D':
        this.#reply(OK);
        this.close();
        return null;
      case 'k':
        this.#closed = true;
        this.#clear();
        this.#target.kill();
        return null;
      default:
        return '';
    }
  }

  #go(step: boolean): null {
    this.#running = true;
    if (step) this.#target.step();
    else this.#target.resume();
    return null;
  }

  #v(text: string): string | null {
    if (text === 'vCont?') return 'vCont;c;C;s;S';
    const action = /^vCont;([cCsS])/.exec(text);
    if (action !== null) return this.#go(action[1] === 's' || action[1] === 'S');
    if (text.startsWith('vKill')) {
      this.#reply(OK);
      this.#closed = true;
      this.#target.kill();
      return null;
    }
    return '';
  }

  #query(text: string): string {
    if (text.startsWith('qSupported'))
      return `PacketSize=${MAX_PACKET.toString(16)};qXfer:features:read+;QStartNoAckMode+;vContSupported+`;
    if (text === 'qC') return 'QC1';
    if (text.startsWith('qAttached')) return '1';
    if (text === 'qfThreadInfo') return 'm1';
    if (text === 'qsThreadInfo') return 'l';
    const xfer = /^qXfer:features:read:([^:]+):([0-9a-f]+),([0-9a-f]+)$/.exec(text);
    if (xfer !== null) return this.#describe(xfer[1], parseInt(xfer[2], 16), parseInt(xfer[3], 16));
    if (text.startsWith('qRcmd,')) {
      const command = fromHex(text.slice(6));
      if (command === null) return E_BAD;
      const output = this.#target.monitor?.(ascii(command)) ?? 'there is no monitor here\n';
      return output === '' ? OK : toHex([...output].map((c) => c.charCodeAt(0)));
    }
    return '';
  }

  #describe(annex: string, offset: number, length: number): string {
    const document = this.#target.description(annex);
    if (document === undefined) return 'E00';
    const part = document.slice(offset, offset + Math.min(length, MAX_PACKET - 4));
    return (offset + part.length < document.length ? 'm' : 'l') + part;
  }

  #set(text: string): string | null {
    if (text !== 'QStartNoAckMode') return '';
    this.#reply(OK);
    this.#acks = false;
    return null;
  }

  #readAll(): string {
    let out = '';
    for (let n = 0; n < this.#target.registerCount; n++) {
      const bytes = this.#target.readRegister(n);
      if (bytes !== null) out += toHex(bytes);
    }
    return out;
  }
  #writeAll(hex: string): string {
    const bytes = fromHex(hex);
    if (bytes === null) return E_BAD;
    let at = 0;
    for (let n = 0; n < this.#target.registerCount && at < bytes.length; n++) {
      const size = this.#target.readRegister(n)?.length ?? 0;
      if (at + size > bytes.length) return E_BAD;
      this.#target.writeRegister(n, bytes.subarray(at, at + size));
      at += size;
    }
    return OK;
  }
  #readOne(rest: string): string {
    const bytes = this.#target.readRegister(parseInt(rest, 16));
    return bytes === null ? E_BAD : toHex(bytes);
  }
  #writeOne(rest: string): string {
    const m = /^([0-9a-f]+)=([0-9a-fA-F]+)$/.exec(rest);
    const bytes = m === null ? null : fromHex(m[2]);
    return m !== null && bytes !== null && this.#target.writeRegister(parseInt(m[1], 16), bytes) ? OK : E_BAD;
  }

  /** Sixteen digits are 64 bits, two's complement; more are cut off. */
  #address(hex: string, lasting: boolean): number | null {
    const digits = hex.slice(-16);
    const low = parseInt(digits.slice(-8), 16) | 0;
    const high = digits.length <= 8 ? 0 : parseInt(digits.slice(0, -8), 16) | 0;
    if (this.#target.address !== undefined) return this.#target.address(low, high, lasting);
    return high * 2 ** 32 + (low >>> 0);
  }
  #hexAddress(address: number): string {
    const high = (this.#target.highHalf?.(address) ?? Math.floor(address / 2 ** 32)) >>> 0;
    const low = (address >>> 0).toString(16);
    return high === 0 ? low : high.toString(16) + low.padStart(8, '0');
  }
  #range(text: string): { address: number; length: number } | null {
    const m = /^([0-9a-fA-F]+),([0-9a-fA-F]+)$/.exec(text);
    const address = m === null ? null : this.#address(m[1], false);
    return m === null || address === null ? null : { address, length: parseInt(m[2], 16) };
  }
  #readMemory(rest: string): string {
    const range = this.#range(rest);
    if (range === null) return E_BAD;
    const bytes = this.#target.readMemory(range.address, Math.min(range.length, MAX_PACKET / 2));
    return bytes.length === 0 && range.length > 0 ? E_FAULT : toHex(bytes);
  }
  #writeMemory(rest: string): string {
    const [head, data] = rest.split(':');
    const range = this.#range(head);
    const bytes = data === undefined ? null : fromHex(data);
    if (range === null || bytes === null || bytes.length !== range.length) return E_BAD;
    return this.#target.writeMemory(range.address, bytes) ? OK : E_FAULT;
  }
  #writeBinary(rest: string, raw: Uint8Array): string {
    const colon = rest.indexOf(':');
    const range = colon < 0 ? null : this.#range(rest.slice(0, colon));
    if (range === null) return E_BAD;
    const bytes = raw.subarray(colon + 2);
    if (bytes.length !== range.length) return E_BAD;
    return bytes.length === 0 || this.#target.writeMemory(range.address, bytes) ? OK : E_FAULT;
  }

  /** Z/z type,address,kind: 0, 1 execution; 2 write, 3 read, 4 access watchpoints. */
  #breakpoint(rest: string, insert: boolean): string {
    const m = /^([0-4]),([0-9a-f]+),([0-9a-f]+)/.exec(rest);
    if (m === null) return '';
    const address = this.#address(m[2], true);
    if (address === null) return E_FULL;
    if (m[1] === '0' || m[1] === '1') {
      if (insert && this.#breakpoints.size >= MAX_BREAKPOINTS) return E_FULL;
      if (insert) this.#breakpoints.add(address);
      else this.#breakpoints.delete(address);
      this.#target.setBreakpoints(this.#breakpoints);
      return OK;
    }
    const length = parseInt(m[3], 16);
    if (length < 1 || length > MAX_WATCH_BYTES) return E_BAD;
    if (insert && this.#watches.size >= MAX_BREAKPOINTS) return E_FULL;
    if (insert) this.#watches.set(rest, { address, length, write: m[1] !== '3', read: m[1] !== '2' });
    else this.#watches.delete(rest);
    this.#target.setWatchpoints([...this.#watches.values()]);
    return OK;
  }

  #clear(): void {
    this.#breakpoints.clear();
    this.#watches.clear();
    this.#target.setBreakpoints(this.#breakpoints);
    this.#target.setWatchpoints([]);
  }
}

const hex2 = (v: number): string => v.toString(16).padStart(2, '0');
function ascii(bytes: Uint8Array): string {
  let s = '';
  for (const c of bytes) s += String.fromCharCode(c);
  return s;
}
