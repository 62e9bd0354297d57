/**
 * Suite `native-vectors`: every record of the 32-bit files is run from its recorded initial state and compared with
 * what the hardware left (README of the data, "Running one"). 64-bit files are listed as not run.
 */
import { ENV, disassemble } from '@emkit/x86';
import { compareFx, loadFx, readFx } from './fx-state.ts';
import { readVectors } from './nvec.ts';
import type { MemoryRun, Vector } from './nvec.ts';
import { CODE_PAGE, USER_PAGES } from './rig.ts';
import type { UserRig } from './rig.ts';

const NAMES = ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'];
/** CF PF AF ZF SF DF OF. */
const FLAG_MASK = 0xcd5;
const FLAG_IF = 0x200;
const INT3 = 0xcc;
const NO_EXCEPTION = 255;
const hex = (n: number): string => (n >>> 0).toString(16);
const bytesText = (b: Uint8Array): string => [...b].map((x) => x.toString(16).padStart(2, '0')).join(' ');

/** Empty when the vector passed, else what differs, one line each. */
function runVector(rig: UserRig, v: Vector, touched: MemoryRun[]): string[] {
  const problems: string[] = [];
  const { cpu } = rig;
  rig.reset();
  rig.write(v.initial.ip, v.code);
  touched.push({ address: v.initial.ip, data: v.code });
  for (const run of v.before) rig.write(run.address, run.data);
  touched.push(...v.before, ...v.after);
  for (let n = 0; n < 8; n++) cpu.setReg(n, v.initial.gpr[n]);
  cpu.setEflags((v.initial.flags & FLAG_MASK) | FLAG_IF, FLAG_MASK | FLAG_IF);
  if (v.fx !== undefined) loadFx(cpu, v.fx.initial);
  cpu.eip = v.initial.ip;
  const stop = rig.run();
  if (stop === null) return ['did not stop'];
  const regular = v.exception === NO_EXCEPTION;
  // INT3 is a trap: its frame names the byte behind it
  const eip = stop.vector === 3 ? stop.eip - 1 : stop.eip;
  if (stop.vector !== (regular ? 3 : v.exception))
    problems.push(`vector ${stop.vector}, recorded ${regular ? 'none' : v.exception}`);
  else if (!regular && (v.exception === 13 || v.exception === 14) && stop.error !== v.error)
    problems.push(`error code ${hex(stop.error)}, recorded ${hex(v.error)}`);
  if (v.exception === 14 && cpu.env32(ENV.CR + 16) !== v.cr2)
    problems.push(`CR2 ${hex(cpu.env32(ENV.CR + 16))}, recorded ${hex(v.cr2)}`);
  if (eip !== v.final.ip) problems.push(`EIP ${hex(eip)}, recorded ${hex(v.final.ip)}`);
  for (let n = 0; n < 8; n++) {
    const got = n === 4 ? stop.esp : cpu.reg(n);
    if (got !== v.final.gpr[n]) problems.push(`${NAMES[n]} ${hex(got)}, recorded ${hex(v.final.gpr[n])}`);
  }
  const mask = FLAG_MASK & ~v.undefinedFlags;
  if (((stop.eflags ^ v.final.flags) & mask) !== 0)
    problems.push(`flags ${hex(stop.eflags & mask)}, recorded ${hex(v.final.flags & mask)}`);
  if (v.fx !== undefined)
    compareFx(readFx(cpu), v.fx.final, v.fx.undefinedFsw, v.tolerance, (text) => problems.push(text));
  compareMemory(rig, v, problems);
  return problems;
}

/** Every page, against what it held before with the recorded changes. */
function compareMemory(rig: UserRig, v: Vector, problems: string[]): void {
  for (const page of USER_PAGES) {
    const want = new Uint8Array(0x1000).fill(page === CODE_PAGE ? INT3 : 0);
    const place = (run: MemoryRun): void =>
      run.data.forEach((b, k) => {
        if (run.address + k >= page && run.address + k < page + 0x1000) want[run.address + k - page] = b;
      });
    place({ address: v.initial.ip, data: v.code });
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

/** Run one file; `report` gets the text of each failure. */
export function runVectorFile(rig: UserRig, data: Uint8Array, report: (text: string) => void): FileResult {
  const result: FileResult = { total: 0, passed: 0, excluded: new Map() };
  const codeFill = new Uint8Array(0x1000).fill(INT3);
  const zero = new Uint8Array(0x1000);
  for (const page of USER_PAGES) rig.write(page, page === CODE_PAGE ? codeFill : zero);
  for (const v of readVectors(data)) {
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
      report(
        `vector ${v.index}: ${bytesText(v.code)}  ${disassemble(v.code, v.initial.ip, 32).text}\n  ${problems.join('\n  ')}\n  from ${v.initial.gpr
          .slice(0, 8)
          .map((r, n) => `${NAMES[n]}=${hex(r)}`)
          .join(' ')} flags=${hex(v.initial.flags)}`,
      );
      for (const page of USER_PAGES) rig.write(page, page === CODE_PAGE ? codeFill : zero);
      continue;
    }
    // back to the fill, only where something was
    for (const run of touched)
      rig.write(run.address, new Uint8Array(run.data.length).fill(run.address >>> 28 === CODE_PAGE >>> 28 ? INT3 : 0));
  }
  return result;
}
