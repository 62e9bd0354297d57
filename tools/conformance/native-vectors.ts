/**
 * Suite `native-vectors`: every record is run from its recorded initial state and compared with what the hardware left
 * (README of the data, "Running one").
 */
import { ENV, disassemble } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';
import { compareFx, loadFx, readFx } from './fx-state.ts';
import { IP, readVectors } from './nvec.ts';
import type { MemoryRun, Vector } from './nvec.ts';
import { CODE_PAGE, USER_PAGES } from './rig.ts';
import type { UserRig, UserStop } from './rig.ts';

const NAMES_32 = ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'];
const NAMES_64 = [...NAMES_32.map((n) => n.replace('E', 'R')), 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15'];
/** CF PF AF ZF SF DF OF. */
const FLAG_MASK = 0xcd5;
const FLAG_IF = 0x200;
const INT3 = 0xcc;
const NO_EXCEPTION = 255;
const INT3_VECTOR = 3;
const hex = (n: number): string => (n >>> 0).toString(16);
const hex64 = (low: number, high: number): string => (high === 0 ? hex(low) : hex(high) + hex(low).padStart(8, '0'));
const bytesText = (b: Uint8Array): string => [...b].map((x) => x.toString(16).padStart(2, '0')).join(' ');

/** Empty when the vector passed, else what differs, one line each. */
function runVector(rig: UserRig, v: Vector, touched: MemoryRun[]): string[] {
  const problems: string[] = [];
  const { cpu } = rig;
  const { words } = v.initial;
  rig.reset();
  rig.write(words[IP], v.code);
  touched.push({ address: words[IP], data: v.code });
  for (const run of v.before) rig.write(run.address, run.data);
  touched.push(...v.before, ...v.after);
  cpu.e32.set(words.subarray(0, IP), ENV.GPR >> 2);
  cpu.setEflags((v.initial.flags & FLAG_MASK) | FLAG_IF, FLAG_MASK | FLAG_IF);
  if (v.fx !== undefined) loadFx(cpu, v.fx.initial);
  cpu.eip = words[IP];
  const stop = rig.run();
  if (stop === null) return ['did not stop'];
  const regular = v.exception === NO_EXCEPTION;
  if (stop.vector !== (regular ? INT3_VECTOR : v.exception))
    problems.push(`vector ${stop.vector}, recorded ${regular ? 'none' : v.exception}`);
  else if (!regular && (v.exception === 13 || v.exception === 14) && ((stop.error ^ v.error) & ~errorLeftOpen(v)) !== 0)
    problems.push(`error code ${hex(stop.error)}, recorded ${hex(v.error)}`);
  compareRegisters(cpu, stop, v, problems);
  const mask = FLAG_MASK & ~v.undefinedFlags;
  if (((stop.eflags ^ v.final.flags) & mask) !== 0)
    problems.push(`flags ${hex(stop.eflags & mask)}, recorded ${hex(v.final.flags & mask)}`);
  if (v.fx !== undefined)
    compareFx(readFx(cpu), v.fx.final, v.fx.undefinedFsw, v.tolerance, (text) => problems.push(text));
  compareMemory(rig, v, problems);
  return problems;
}

const PAGE_MASK = ~4095;
/** VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ to memory: VEX, map 0F38, 2E 2F 8E. Prefixes before VEX are segments and 67. */
function isMaskedStore(code: Uint8Array): boolean {
  const vex = code.findIndex((byte) => ![0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67].includes(byte));
  return code[vex] === 0xc4 && ((code[vex + 1] ?? 0) & 31) === 2 && [0x2e, 0x2f, 0x8e].includes(code[vex + 3] ?? 0);
}

/** In the upper half of the address space it was the recording system's kernel that had a page there or had none: P of the error code. */
const errorLeftOpen = (v: Vector): number => (v.mode === 64 && v.exception === 14 && v.cr2[1] >= 0x8000_0000 ? 1 : 0);

/** General registers, instruction pointer, CR2. */
function compareRegisters(cpu: X86Cpu, stop: UserStop, v: Vector, problems: string[]): void {
  const wide = v.mode === 64;
  const compare = (name: string, low: number, high: number, wantLow: number, wantHigh: number): void => {
    if (low !== wantLow || (wide && high !== wantHigh))
      problems.push(`${name} ${hex64(low, wide ? high : 0)}, recorded ${hex64(wantLow, wantHigh)}`);
  };
  const want = v.final.words;
  if (v.exception === 14) {
    // which byte of the page a masked store names is the processor's own choice (Zen: the operand's last); SDM Vol. 3A §4.7 leaves it open
    const within = isMaskedStore(v.code) ? PAGE_MASK : -1;
    compare(
      'CR2',
      (cpu.env32(ENV.CR + 16) & within) >>> 0,
      cpu.env32(ENV.CR + 20),
      (v.cr2[0] & within) >>> 0,
      v.cr2[1],
    );
  }
  // INT3 is a trap: its frame names the byte behind it
  const back = stop.vector === INT3_VECTOR ? 1 : 0;
  compare(
    wide ? 'RIP' : 'EIP',
    (stop.eip - back) >>> 0,
    stop.eipHigh - (stop.eip < back ? 1 : 0),
    want[IP],
    want[IP + 1],
  );
  const names = wide ? NAMES_64 : NAMES_32;
  for (let n = 0; n < names.length; n++) {
    const stack = n === 4;
    const low = stack ? stop.esp : cpu.reg(n);
    compare(names[n], low, stack ? stop.espHigh : cpu.env32(ENV.GPR + 8 * n + 4), want[2 * n], want[2 * n + 1]);
  }
}

/** Every page, against what it held before with the recorded changes. */
function compareMemory(rig: UserRig, v: Vector, problems: string[]): void {
  for (const page of USER_PAGES) {
    const want = new Uint8Array(0x1000).fill(page === CODE_PAGE ? INT3 : 0);
    const place = (run: MemoryRun): void =>
      run.data.forEach((b, k) => {
        if (run.address + k >= page && run.address + k < page + 0x1000) want[run.address + k - page] = b;
      });
    place({ address: v.initial.words[IP], data: v.code });
    v.before.forEach(place);
    v.after.forEach(place);
    const got = rig.read(page, 0x1000);
    for (let k = 0; k < 0x1000; k++) {
      if (got[k] !== want[k]) {
        problems.push(`memory ${hex(page + k)}: ${hex(got[k])}, recorded ${hex(want[k])}`);
        return;
      }
    }
  }
}

export interface FileResult {
  total: number;
  passed: number;
  /** Expected to differ, with the reason: counted apart. */
  excluded: Map<string, number>;
}

export interface VectorFailure {
  readonly vector: Vector;
  readonly problems: readonly string[];
}

/** The failure with instruction and initial state. */
export function failureText({ vector: v, problems }: VectorFailure): string {
  const names = v.mode === 64 ? NAMES_64 : NAMES_32;
  const { words, flags } = v.initial;
  const registers = names.map((name, n) => `${name}=${hex64(words[2 * n], words[2 * n + 1])}`).join(' ');
  return `vector ${v.index}: ${bytesText(v.code)}  ${vectorInstruction(v)}\n  ${problems.join('\n  ')}\n  from ${registers} flags=${hex(flags)}`;
}

/** The (first) instruction in AT&T syntax. */
export function vectorInstruction(v: Vector): string {
  return disassemble(v.code, v.initial.words[IP], v.mode).text;
}

/** Run one file, every `every`th vector of it; `report` gets each failure. */
export function runVectorFile(
  rig: UserRig,
  data: Uint8Array,
  every: number,
  report: (failure: VectorFailure) => void,
): FileResult {
  const result: FileResult = { total: 0, passed: 0, excluded: new Map() };
  const codeFill = new Uint8Array(0x1000).fill(INT3);
  const zero = new Uint8Array(0x1000);
  for (const page of USER_PAGES) rig.write(page, page === CODE_PAGE ? codeFill : zero);
  for (const v of readVectors(data)) {
    if (v.index % every !== 0) continue;
    result.total++;
    const touched: MemoryRun[] = [];
    let problems: string[];
    try {
      problems = runVector(rig, v, touched);
    } catch (error) {
      problems = [`host error: ${(error as Error).message}`];
    }
    if (problems.length === 0) result.passed++;
    else {
      report({ vector: v, problems });
      for (const page of USER_PAGES) rig.write(page, page === CODE_PAGE ? codeFill : zero);
      continue;
    }
    // back to the fill, only where something was
    for (const run of touched)
      rig.write(run.address, new Uint8Array(run.data.length).fill(run.address >>> 28 === CODE_PAGE >>> 28 ? INT3 : 0));
  }
  return result;
}
