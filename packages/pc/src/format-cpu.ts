/**
 * `info registers` and `-d cpu`: the processor's state in QEMU's layout. In 64-bit code general registers have 16 digits; in long mode, of
 * either kind of code, so have bases and what holds an address.
 */
import { ENV, HF_CPL } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';

const hex = (v: number): string => (v >>> 0).toString(16).padStart(8, '0');
const FLAGS = [
  [11, 'O'],
  [7, 'S'],
  [6, 'Z'],
  [4, 'A'],
  [2, 'P'],
  [0, 'C'],
] as const;
const LEGACY_ROWS = [
  [0, 3, 1, 2],
  [6, 7, 5, 4],
];
const NAMES = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'];

export function formatCpu(cpu: X86Cpu): string {
  const { code64, longMode } = cpu;
  const wide = (low: number, high: number): string => hex(high) + hex(low);
  /** Eight bytes of env, or in legacy mode the low four. */
  const address = (offset: number): string =>
    longMode ? wide(cpu.env32(offset), cpu.env32(offset + 4)) : hex(cpu.env32(offset));
  const register = (n: number): string => (code64 ? wide(cpu.reg(n), cpu.regHigh(n)) : hex(cpu.reg(n)));
  const letter = code64 ? 'R' : 'E';
  const lines = LEGACY_ROWS.map((row) => row.map((n) => `${letter}${NAMES[n]}=${register(n)}`).join(' '));
  if (code64) {
    for (const first of [8, 12])
      lines.push([0, 1, 2, 3].map((n) => `${`R${first + n}`.padEnd(3)}=${register(first + n)}`).join(' '));
  }
  const ip = code64 ? wide(cpu.env32(ENV.EIP), cpu.env32(ENV.CS_BASE)) : hex(cpu.eip);
  const eflags = cpu.eflags();
  const letters = `${(eflags & 0x400) !== 0 ? 'D' : '-'}${FLAGS.map(([bit, c]) => ((eflags >> bit) & 1 ? c : '-')).join('')}`;
  lines.push(
    `${letter}IP=${ip} ${letter}FL=${hex(eflags)} [${letters}] CPL=${cpu.hflags & HF_CPL} II=0 A20=${cpu.env32(ENV.A20_MASK) === 0xffffffff ? 1 : 0} SMM=0 HLT=${cpu.halted ? 1 : 0}`,
  );
  const segment = (name: string, offset: number): void => {
    lines.push(
      `${name}=${cpu.env32(offset).toString(16).padStart(4, '0')} ${address(offset + 8)} ${hex(cpu.env32(offset + 16))} ${hex(cpu.env32(offset + 4))}`,
    );
  };
  ['ES ', 'CS ', 'SS ', 'DS ', 'FS ', 'GS '].forEach((name, n) => segment(name, ENV.SEG + 32 * n));
  segment('LDT', ENV.LDTR);
  segment('TR ', ENV.TR);
  lines.push(`GDT=     ${address(ENV.GDT_BASE)} ${hex(cpu.env32(ENV.GDT_LIMIT))}`);
  lines.push(`IDT=     ${address(ENV.IDT_BASE)} ${hex(cpu.env32(ENV.IDT_LIMIT))}`);
  lines.push(
    `CR0=${hex(cpu.cr(0))} CR2=${address(ENV.CR + 2 * 8)} CR3=${address(ENV.CR + 3 * 8)} CR4=${hex(cpu.cr(4))}`,
  );
  if (longMode) lines.push(`EFER=${wide(cpu.env32(ENV.MSR_EFER), 0)}`);
  return `${lines.join('\n')}\n`;
}
