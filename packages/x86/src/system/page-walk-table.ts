/**
 * The paging modes as a table, from which the accelerator makes a walker of its own for what is plain (structurally its `PageWalk`).
 * SDM Vol. 3A §4.3 to §4.6. One truth: faults and everything unusual are decided by paging.ts, and a test compares both on random tables.
 *
 * `pageWalkControl` is asked after everything that flushes the global entries too; what it looks at changes in no other way:
 * CR0, CR4, EFER.NXE, the A20 gate. CR3, the PDPTEs and PKRU are read by the walk.
 */
import type { X86Cpu } from '../cpu.ts';
import { F_PDPE1GB, F_PSE36 } from '../models/features.ts';
import { ENV, HF_LMA } from '../state.ts';
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  PF_I,
  PF_P,
  PF_U,
  PF_W,
} from './cr-bits.ts';
import { PTE_A, PTE_D, PTE_G, PTE_P, PTE_PS, PTE_U, PTE_W } from './page-rights.ts';
import { ADDRESS_HIGH, RESERVED_1G, RESERVED_2M } from './paging-long.ts';
import { PAE_HIGH, PAE_LARGE_RESERVED, PSE36_RESERVED, PSE_RESERVED } from './paging.ts';

const MODE = { PHYSICAL: 1, TWO_LEVEL: 2, PAE: 3, FOUR_LEVEL: 4, FIVE_LEVEL: 5 } as const;
const CONTROL = {
  mode: 15,
  writeProtect: 1 << 4,
  noUserExecute: 1 << 5,
  noUserAccess: 1 << 6,
  globals: 1 << 7,
  keys: 1 << 8,
  large: 1 << 9,
  noExecute: 1 << 10,
} as const;

const CR3 = { offset: ENV.CR + 24 } as const;
const LOW_FRAME = 0xffff_f000n;
/** All-but-lowest half of an entry, as part of 64 bits. */
const inHigh = (mask: number): bigint => BigInt(mask >>> 0) << 32n;

export function pageWalkTable(cpu: Pick<X86Cpu, 'features' | 'pteHighMask'>) {
  const { features, pteHighMask } = cpu;
  const pse36 = (features.edx1 & F_PSE36) !== 0;
  const frame = inHigh(pteHighMask) | LOW_FRAME;
  const level = (shift: number) => ({ shift, bits: 9, large: 'never' as const });
  const page2M = (reserved: number) => ({ shift: 21, bits: 9, large: { reserved, optional: false } });
  const fourLevels = [
    level(39),
    (features.edxExt & F_PDPE1GB) !== 0
      ? { shift: 30, bits: 9, large: { reserved: RESERVED_1G, optional: false } }
      : level(30),
    page2M(RESERVED_2M),
    level(12),
  ];
  const long = { entryBytes: 8, root: CR3, frame, reserved: inHigh(ADDRESS_HIGH & ~pteHighMask) } as const;
  return {
    bits: { present: PTE_P, write: PTE_W, user: PTE_U, accessed: PTE_A, dirty: PTE_D, large: PTE_PS, global: PTE_G },
    control: CONTROL,
    keys: ENV.PKRU,
    faults: { present: PF_P, write: PF_W, user: PF_U, fetch: PF_I },
    modes: [
      // in the order of MODE
      { entryBytes: 0, addressBits: 32, root: CR3, frame: 0n, reserved: 0n, levels: [] },
      {
        entryBytes: 4,
        addressBits: 32,
        root: CR3,
        frame: LOW_FRAME,
        reserved: 0n,
        levels: [
          {
            shift: 22,
            bits: 10,
            large: pse36
              ? { reserved: PSE36_RESERVED, optional: true, high: { shift: 13, bits: 4 } }
              : { reserved: PSE_RESERVED, optional: true },
          },
          { shift: 12, bits: 10, large: 'never' },
        ],
      },
      {
        entryBytes: 8,
        addressBits: 32,
        root: { offset: ENV.PDPTE, select: { shift: 30, bits: 2 } },
        frame,
        reserved: inHigh(PAE_HIGH & ~pteHighMask),
        levels: [page2M(PAE_LARGE_RESERVED), level(12)],
      },
      { ...long, addressBits: 48, levels: fourLevels },
      { ...long, addressBits: 57, levels: [level(48), ...fourLevels] },
    ],
  } as const;
}

/** The control word for the state of now; 0: only script can walk. */
export function pageWalkControl(cpu: X86Cpu): number {
  if (cpu.e32[ENV.A20_MASK >> 2] !== 0xffffffff) return 0;
  const cr0 = cpu.ei32[ENV.CR >> 2];
  if ((cr0 & CR0_PG) === 0) return MODE.PHYSICAL;
  const cr4 = cpu.e32[(ENV.CR + 32) >> 2];
  const long = (cpu.ei32[ENV.HFLAGS >> 2] & HF_LMA) !== 0;
  let word: number = long ? (cpu.linear.wide ? MODE.FIVE_LEVEL : MODE.FOUR_LEVEL) : (cr4 & CR4_PAE) !== 0 ? MODE.PAE : MODE.TWO_LEVEL;
  if ((cr0 & CR0_WP) !== 0) word |= CONTROL.writeProtect;
  if ((cr4 & CR4_SMEP) !== 0) word |= CONTROL.noUserExecute;
  if ((cr4 & CR4_SMAP) !== 0) word |= CONTROL.noUserAccess;
  if ((cr4 & CR4_PGE) !== 0) word |= CONTROL.globals;
  if ((cr4 & CR4_PKE) !== 0 && long) word |= CONTROL.keys;
  if ((cr4 & CR4_PSE) !== 0) word |= CONTROL.large;
  if ((cpu.e32[ENV.MSR_EFER >> 2] & EFER_NXE) !== 0) word |= CONTROL.noExecute;
  return word;
}
