/**
 * Suite `80286`: recorded single instructions of a real 286 in real mode. Each runs until the HLT that follows it (or
 * sits at the jump or exception target). What a 386 and later do otherwise on purpose is in `differences-286.ts`.
 */
import { FLAGS_ARITH, FLAG_DF, FLAG_IF, FLAG_TF } from '@emkit/x86';
import { differenceOf } from './differences-286.ts';
import { MOO_REGISTERS, readMoo } from './moo.ts';
import type { MooRegister, MooTest } from './moo.ts';
import type { FileResult } from './native-vectors.ts';
import type { RealRig } from './rig.ts';

/** General registers' numbers, segments' indices. */
const GPR: Partial<Record<MooRegister, number>> = { ax: 0, cx: 1, dx: 2, bx: 3, sp: 4, bp: 5, si: 6, di: 7 };
const SEGMENTS: readonly MooRegister[] = ['es', 'cs', 'ss', 'ds'];
/** Bits 12-15 are 0 in real mode on a 286. */
const FLAGS_286 = FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF;
const hex = (n: number): string => n.toString(16).padStart(4, '0');

interface OpcodeInfo {
  readonly 'flags-mask'?: number;
  readonly reg?: Readonly<Record<string, OpcodeInfo>>;
}
export interface MooMetadata {
  readonly opcodes: Readonly<Record<string, OpcodeInfo>>;
}

function run(rig: RealRig, test: MooTest, flagsMask: number): string[] {
  const { cpu } = rig;
  const { registers } = test.initial;
  rig.reset([...SEGMENTS.map((s) => registers[s] ?? 0), 0, 0]);
  for (const [address, byte] of test.initial.ram) rig.write(address, byte);
  for (const [name, n] of Object.entries(GPR)) cpu.setReg(n, registers[name as MooRegister] ?? 0);
  cpu.setEflags((registers.flags ?? 0) & FLAGS_286, FLAGS_286);
  cpu.updateHflags();
  cpu.eip = registers.ip ?? 0;
  if (!rig.run()) return ['did not halt'];
  const problems: string[] = [];
  for (const name of MOO_REGISTERS) {
    const want = test.final.registers[name] ?? registers[name] ?? 0;
    const number = GPR[name];
    let got: number;
    let mask = 0xffff;
    if (number !== undefined) got = cpu.reg(number);
    else if (name === 'ip') got = cpu.eip;
    else if (name === 'flags') {
      got = cpu.eflags();
      mask = FLAGS_286 & flagsMask;
    } else got = cpu.segSelector(SEGMENTS.indexOf(name));
    if (((got ^ want) & mask) !== 0) problems.push(`${name} ${hex(got & mask)}, recorded ${hex(want & mask)}`);
  }
  // the data rounds the pushed FLAGS word's address down to even
  const flagsAt = test.exception === undefined ? -8 : test.exception.flagsAddress | ((registers.sp ?? 0) & 1);
  for (const [address, byte] of test.final.ram) {
    let mask = 0xff;
    const at = address - flagsAt;
    // the pushed FLAGS word: undefined bits do not count
    if (at === 0) mask = flagsMask & 0xff;
    else if (at === 1) mask = (flagsMask >> 8) & 0x0f;
    const got = rig.read(address);
    if (((got ^ byte) & mask) !== 0)
      problems.push(`memory ${address.toString(16)}: ${got.toString(16)}, recorded ${byte.toString(16)}`);
  }
  return problems;
}

export function runMooFile(
  rig: RealRig,
  name: string,
  data: Uint8Array,
  metadata: MooMetadata,
  report: (text: string) => void,
): FileResult {
  const result: FileResult = { total: 0, passed: 0, excluded: new Map() };
  const [opcode, digit] = name.split('.');
  const info = metadata.opcodes[opcode];
  const flagsMask = (digit === undefined ? info : info?.reg?.[digit])?.['flags-mask'] ?? 0xffff;
  for (const test of readMoo(data)) {
    result.total++;
    const why = differenceOf(opcode, test);
    if (why !== undefined) {
      result.excluded.set(why, (result.excluded.get(why) ?? 0) + 1);
      continue;
    }
    let problems: string[];
    try {
      problems = run(rig, test, flagsMask);
    } catch (error) {
      problems = [`host error: ${(error as Error).message}`];
    }
    for (const [address] of [...test.initial.ram, ...test.final.ram]) rig.write(address, 0);
    if (problems.length === 0) result.passed++;
    else {
      const r = test.initial.registers;
      report(
        `test ${test.index} '${test.name}' ${[...test.bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ')}${test.exception === undefined ? '' : ` exception ${test.exception.vector}`}\n  ${problems.join('\n  ')}\n  from ${MOO_REGISTERS.map((n) => `${n}=${hex(r[n] ?? 0)}`).join(' ')}`,
      );
    }
  }
  return result;
}
