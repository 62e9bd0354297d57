/** `-d`: text logs of translation and execution, in QEMU's layout where it has one. */
import type { TcgTrace } from '@emkit/accel-tcg';
import { print } from '@emkit/ir';
import { disassemble, ENV, HF_CS32, HF_CS64 } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';
import type { Board } from './board.ts';
import { formatCpu } from './format-cpu.ts';
import type { LogOptions } from './options.ts';
import { wasmText } from './wasm-text.ts';

const hex8 = (v: number): string => (v >>> 0).toString(16).padStart(8, '0');
const TWO32 = 2 ** 32;
/** An address: 8 digits, of 64-bit code 16. `high`: that of address 0 in its window of 4 GiB. */
const hexAddress = (low: number, high: number, is64: boolean): string =>
  (is64 ? hex8(high + Math.floor(low / TWO32)) : '') + hex8(low);

/** Sinks for what `log` asks, or undefined when nothing is logged. */
export function createTrace(log: LogOptions | undefined, board: () => Board | undefined): TcgTrace | undefined {
  if (log === undefined || log.items.size === 0) return undefined;
  const wanted = (pc: number): boolean =>
    log.ranges.length === 0 || log.ranges.some((r) => pc >= r.start && pc <= r.end);
  const has = (item: string): boolean => log.items.has(item);
  return {
    ...(has('in_asm')
      ? {
          inAsm: (pc: number, csBase: number, flags: number, bytes: Uint8Array) => {
            const is64 = (flags & HF_CS64) !== 0;
            // in 64-bit code the CS base is the high half of RIP; with five-level paging the number is rounded, which a filter may be
            const linear = is64 ? (csBase | 0) * TWO32 + (pc >>> 0) : (pc + csBase) >>> 0;
            const bits = is64 ? 64 : (flags & HF_CS32) !== 0 ? 32 : 16;
            if (wanted(linear))
              log.write(
                `----------------\nIN: \n${listing(bytes, is64 ? linear : pc, is64 ? pc >>> 0 : linear, csBase, bits)}\n`,
              );
          },
        }
      : {}),
    ...(has('op')
      ? { op: (pc, block, globals) => void (wanted(pc) && log.write(`OP:\n${print(block, globals)}\n`)) }
      : {}),
    ...(has('op_opt')
      ? {
          opOptimised: (pc, block, globals) =>
            void (wanted(pc) && log.write(`OP after optimization and liveness analysis:\n${print(block, globals)}\n`)),
        }
      : {}),
    ...(has('out_asm')
      ? {
          outAsm: (pc, module) =>
            void (
              wanted(pc) && log.write(`OUT: [size=${module.length}] region at 0x${hex8(pc)}\n${wasmText(module)}\n`)
            ),
        }
      : {}),
    ...(has('exec') || has('cpu')
      ? {
          exec: (pc: number, flags: number) => {
            const b = board();
            if (b === undefined) return;
            const is64 = (flags & HF_CS64) !== 0;
            const window = is64 ? b.cpu.env32(ENV.CS_BASE) : 0;
            if (!wanted((window | 0) * TWO32 + (pc >>> 0))) return;
            if (has('cpu')) log.write(formatCpu(b.cpu));
            if (has('exec')) log.write(`Trace 0: [${hexAddress(pc >>> 0, window, is64)}/${hex8(flags)}]\n`);
          },
        }
      : {}),
    ...(has('int') ? { event: (event: string, text: string) => log.write(`${event}: ${text}\n`) } : {}),
  };
}

/** `-d cpu_reset`: the state that a reset or a triple fault is about to lose. */
export function logLostState(log: LogOptions | undefined, cpu: X86Cpu, event: string): void {
  if (log?.items.has('cpu_reset') === true) log.write(`${event}\n${formatCpu(cpu)}`);
}

function listing(bytes: Uint8Array, pc: number, low: number, high: number, bits: 16 | 32 | 64): string {
  let out = '';
  for (let at = 0; at < bytes.length;) {
    const insn = disassemble(bytes.subarray(at), pc + at, bits);
    if (insn.length === 0) break;
    const raw = [...bytes.subarray(at, at + insn.length)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    out += `0x${hexAddress(low + at, high, bits === 64)}:  ${raw.padEnd(24)} ${insn.text}\n`;
    at += insn.length;
  }
  return out;
}
