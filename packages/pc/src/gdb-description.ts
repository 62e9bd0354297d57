/** `target.xml`: the registers of gdb-registers.ts with their types, in our own words. GDB manual, "Target Description Format". */
import type { GdbFeature, GdbRegisterSet } from './gdb-registers.ts';

const flags = (id: string, names: readonly (readonly [string, number])[]): string =>
  `<flags id="${id}" size="4">${names.map(([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`).join('')}</flags>`;
const EFLAGS = [
  ['', 1],
  ['CF', 0],
  ['PF', 2],
  ['AF', 4],
  ['ZF', 6],
  ['SF', 7],
  ['TF', 8],
  ['IF', 9],
  ['DF', 10],
  ['OF', 11],
  ['NT', 14],
  ['RF', 16],
  ['VM', 17],
  ['AC', 18],
  ['VIF', 19],
  ['VIP', 20],
  ['ID', 21],
] as const;
const MXCSR = [
  ['IE', 0],
  ['DE', 1],
  ['ZE', 2],
  ['OE', 3],
  ['UE', 4],
  ['PE', 5],
  ['DAZ', 6],
  ['IM', 7],
  ['DM', 8],
  ['ZM', 9],
  ['OM', 10],
  ['UM', 11],
  ['PM', 12],
  ['FZ', 15],
] as const;
const VECTORS = [
  ['v4f', 'ieee_single', 4],
  ['v2d', 'ieee_double', 2],
  ['v16i8', 'int8', 16],
  ['v8i16', 'int16', 8],
  ['v4i32', 'int32', 4],
  ['v2i64', 'int64', 2],
] as const;
const UNION = [
  ['v4_float', 'v4f'],
  ['v2_double', 'v2d'],
  ['v16_int8', 'v16i8'],
  ['v8_int16', 'v8i16'],
  ['v4_int32', 'v4i32'],
  ['v2_int64', 'v2i64'],
  ['uint128', 'uint128'],
] as const;

const vectors = VECTORS.map(([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`).join('');
const union = `<union id="vec128">${UNION.map(([name, type]) => `<field name="${name}" type="${type}"/>`).join('')}</union>`;
/** Types that a feature's registers name. */
const TYPES: Readonly<Record<GdbFeature['name'], string>> = {
  core: flags('i386_eflags', EFLAGS),
  sse: vectors + union + flags('i386_mxcsr', MXCSR),
  segments: '',
  avx: '',
};

/** `target.xml`. */
export function targetDescription(set: GdbRegisterSet): string {
  let number = 0;
  const features = set.features.map(({ name, registers }) => {
    const list = registers.map(
      (r) => `<reg name="${r.name}" bitsize="${r.bits}" type="${r.type}" regnum="${number++}"/>`,
    );
    return `<feature name="org.gnu.gdb.i386.${name}">${TYPES[name]}${list.join('')}</feature>`;
  });
  return `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>${set.architecture}</architecture>${features.join('')}</target>`;
}
