/** `info registers` and `-d cpu`: the processor's state in QEMU's layout. */
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

export function formatCpu(cpu: X86Cpu): string {
  const r = (n: number): string => hex(cpu.reg(n));
  const eflags = cpu.eflags();
  const letters = `${(eflags & 0x400) !== 0 ? 'D' : '-'}${FLAGS.map(([bit, c]) => ((eflags >> bit) & 1 ? c : '-')).join('')}`;
  const lines = [
    `EAX=${r(0)} EBX=${r(3)} ECX=${r(1)} EDX=${r(2)}`,
    `ESI=${r(6)} EDI=${r(7)} EBP=${r(5)} ESP=${r(4)}`,
    `EIP=${hex(cpu.eip)} EFL=${hex(eflags)} [${letters}] CPL=${cpu.hflags & HF_CPL} II=0 A20=${cpu.env32(ENV.A20_MASK) === 0xffffffff ? 1 : 0} SMM=0 HLT=${cpu.halted ? 1 : 0}`,
  ];
  ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'].forEach((name, n) =>
    lines.push(
      `${name} =${cpu.segSelector(n).toString(16).padStart(4, '0')} ${hex(cpu.segBase(n))} ${hex(cpu.segLimit(n))} ${hex(cpu.segFlags(n))}`,
    ),
  );
  for (const [name, offset] of [
    ['LDT', ENV.LDTR],
    ['TR ', ENV.TR],
  ] as const) {
    lines.push(
      `${name}=${cpu.env32(offset).toString(16).padStart(4, '0')} ${hex(cpu.env32(offset + 8))} ${hex(cpu.env32(offset + 16))} ${hex(cpu.env32(offset + 4))}`,
    );
  }
  lines.push(`GDT=     ${hex(cpu.env32(ENV.GDT_BASE))} ${hex(cpu.env32(ENV.GDT_LIMIT))}`);
  lines.push(`IDT=     ${hex(cpu.env32(ENV.IDT_BASE))} ${hex(cpu.env32(ENV.IDT_LIMIT))}`);
  lines.push(`CR0=${hex(cpu.cr(0))} CR2=${hex(cpu.cr(2))} CR3=${hex(cpu.cr(3))} CR4=${hex(cpu.cr(4))}`);
  return `${lines.join('\n')}\n`;
}
