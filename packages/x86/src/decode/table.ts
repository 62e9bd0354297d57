/**
 * Opcode tables made from the rows: one slot per (variant, map, opcode byte), a slot being a small dense array indexed by
 * mandatory prefix and by ModRM (form and digit, or the whole byte). The variant is the mode (64-bit code or not), REX.W
 * or VEX.W, and VEX.L; slots of the same rows share their entries. Built once; building checks that no two rows claim the same encoding and
 * that the rows of an opcode agree on having a ModRM byte.
 */
import { FPU_ROWS } from '../fpu/rows.ts';
import { MAP_COUNT, MAP_VEX, OP_C, OP_D, compileRow } from './row.ts';
import type { OpRow, RowSpec } from './row.ts';
import { ONE_BYTE_ROWS } from './rows-one-byte.ts';
import { TWO_BYTE_ROWS } from './rows-0f.ts';

/** Slot flags. */
export const SLOT_USED = 1;
export const SLOT_MODRM = 2;
export const SLOT_PREFIX = 4;
/** Index by form and digit (16 entries) or by the whole ModRM byte (256). */
export const SLOT_DIGIT = 8;
export const SLOT_BYTE = 16;
/** ModRM.mod is ignored: always the register form (MOV to and from control and debug registers). */
export const SLOT_REGISTER = 32;

/** Slots of one variant; variants are numbered VARIANT_W * W + VARIANT_64 * (64-bit code) + VARIANT_L * VEX.L. */
export const VARIANT_SLOTS = MAP_COUNT * 256;
export const VARIANT_W = 1;
export const VARIANT_64 = 2;
export const VARIANT_L = 4;
const VARIANTS = 8;

export interface OpcodeTable {
  readonly rows: readonly OpRow[];
  /** By variant * VARIANT_SLOTS + map * 256 + opcode: SLOT_* flags, and where the slot's entries begin in `entries`. */
  readonly flags: Uint8Array;
  readonly base: Int32Array;
  /** Row ids, -1 = undefined opcode. */
  readonly entries: Int16Array;
}

/** Does `row` claim the entry for this prefix (0 none, 1 66, 2 F3, 3 F2) and ModRM byte? */
function claims(row: OpRow, prefix: number, modrm: number): boolean {
  if (row.prefix >= 0 && row.prefix !== prefix) return false;
  if (row.modrm >= 0) return modrm >= row.modrm && modrm < row.modrm + row.modrms;
  if (row.digit >= 0 && ((modrm >> 3) & 7) !== row.digit) return false;
  return row.form === 'both' || (row.form === 'reg') === modrm >= 0xc0;
}
/** Between rows that claim the same entry the more particular one wins. */
const rank = (row: OpRow): number =>
  (row.vexL >= 0 ? 16 : 0) +
  (row.w >= 0 ? 8 : 0) +
  (row.prefix >= 0 ? 4 : 0) +
  (row.modrm >= 0 ? 2 : 0) +
  (row.digit >= 0 ? 1 : 0);
/** Does `row` exist in this variant? Without VEX, W is a matter of 64-bit code. */
function existsIn(row: OpRow, variant: number): boolean {
  const is64 = (variant & VARIANT_64) !== 0;
  const w = is64 || row.map >= MAP_VEX ? variant & VARIANT_W : 0;
  if (row.vexL >= 0 && row.vexL !== ((variant & VARIANT_L) !== 0 ? 1 : 0)) return false;
  return !(is64 ? row.no64 : row.only64) && (row.w < 0 || row.w === w);
}

export function buildTable(specs: readonly RowSpec[]): OpcodeTable {
  const rows = specs.map(compileRow);
  const slots = new Map<number, OpRow[]>();
  for (const row of rows) {
    for (let n = 0; n < row.opcodes; n++) {
      const key = row.map * 256 + row.opcode + n;
      const list = slots.get(key);
      if (list === undefined) slots.set(key, [row]);
      else list.push(row);
    }
  }
  const flags = new Uint8Array(VARIANTS * VARIANT_SLOTS);
  const base = new Int32Array(VARIANTS * VARIANT_SLOTS);
  const entries: number[] = [];
  for (const [opcode, all] of slots) {
    const shared = new Map<string, readonly [flags: number, base: number]>();
    const variants = opcode >= MAP_VEX * 256 ? VARIANTS : VARIANT_L;
    for (let variant = 0; variant < variants; variant++) {
      const list = all.filter((r) => existsIn(r, variant));
      if (list.length === 0) continue;
      const ids = list.map((r) => r.id).join();
      let made = shared.get(ids);
      if (made === undefined) {
        const [slotFlags, slotEntries] = slot(list);
        made = [slotFlags, entries.length];
        shared.set(ids, made);
        entries.push(...slotEntries);
      }
      const key = variant * VARIANT_SLOTS + opcode;
      [flags[key], base[key]] = made;
    }
  }
  return { rows, flags, base, entries: Int16Array.from(entries) };
}

/** Flags and entries of the slot of these rows. */
function slot(list: readonly OpRow[]): [number, number[]] {
  const entries: number[] = [];
  const hasModrm = list[0]!.hasModrm;
  if (list.some((r) => r.hasModrm !== hasModrm))
    throw new Error(`opcode rows disagree about ModRM: ${list.map((r) => r.text).join('; ')}`);
  const prefixes = list.some((r) => r.prefix >= 0) ? 4 : 1;
  const width = list.some((r) => r.modrm >= 0) ? 256 : list.some((r) => r.digit >= 0 || r.form !== 'both') ? 16 : 1;
  const flags =
    SLOT_USED |
    (hasModrm ? SLOT_MODRM : 0) |
    (prefixes > 1 ? SLOT_PREFIX : 0) |
    (width === 256 ? SLOT_BYTE : width === 16 ? SLOT_DIGIT : 0) |
    (list[0]!.operands.some((o) => o.method === OP_C || o.method === OP_D) ? SLOT_REGISTER : 0);
  for (let p = 0; p < prefixes; p++) {
    for (let m = 0; m < width; m++) {
      // of a 16-entry slot: 0-7 memory forms by digit, 8-15 register forms
      const modrm = width === 256 ? m : ((m & 7) << 3) | (m >= 8 ? 0xc0 : 0);
      entries.push(pick(list.filter((r) => claims(r, p, modrm))));
    }
  }
  return [flags, entries];
}

function pick(list: readonly OpRow[]): number {
  if (list.length === 0) return -1;
  const best = list.reduce((a, r) => (rank(r) > rank(a) ? r : a));
  const rival = list.find((r) => r !== best && rank(r) === rank(best));
  if (rival !== undefined) throw new Error(`opcode rows conflict: '${best.text}' and '${rival.text}'`);
  return best.id;
}

/** All instructions. */
export const OPCODES: OpcodeTable = buildTable([...ONE_BYTE_ROWS, ...TWO_BYTE_ROWS, ...FPU_ROWS]);
