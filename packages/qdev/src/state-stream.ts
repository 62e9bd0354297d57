/**
 * Saved states as bytes: self-describing (names, types, counts, versions), little-endian, all or nothing on load.
 *
 *   file    := "EMKITVM1" u32 sectionCount section*
 *   section := str id, str name, u32 version, u32 byteLength, body
 *   body    := fields, u8 subsectionCount, { str name, u32 version, u32 byteLength, fields }*
 *   fields  := u16 count, { str name, u8 kind, u8 element, u32 count, payload }*
 *   str     := u8 length, UTF-8 bytes          payload of a struct := fields
 *
 * Every length, name, type and range is checked before any device is touched; the error names section and field.
 */
import type { DeviceTimer } from './env.ts';
import { ByteReader, ByteWriter, SCALAR_SIZES, StateError } from './state-bytes.ts';
import type { FieldKind, VmField, VmState } from './vmstate.ts';

/** Anything that can be saved: a Device, or a CPU, or a board's own section. */
export interface StateSection {
  readonly id: string;
  readonly vmstate: VmState | null;
  readonly state: object;
  /** After all sections were loaded. */
  onPostLoad(): void;
}

/** Largest state that will be looked at; RAM is carried elsewhere. */
export const MAX_STATE_BYTES = 64 << 20;
/** Most sections in one state. */
export const MAX_STATE_SECTIONS = 4096;

const MAGIC = 'EMKITVM1';
const KINDS: readonly FieldKind[] = [
  'bool',
  'u8',
  'u16',
  'u32',
  'i32',
  'u64',
  'i64',
  'f64',
  'buffer',
  'array',
  'list',
  'struct',
  'structs',
  'timer',
];

type Bag = Record<string, unknown>;

/** Saves one device. */
export function saveState(section: StateSection): Uint8Array {
  return saveSections([section]);
}

/** Loads one device; on StateError it is unchanged. */
export function loadState(section: StateSection, bytes: Uint8Array): void {
  loadSections([section], bytes);
}

/** Saves all that have a vmstate, in the order given. */
export function saveSections(sections: Iterable<StateSection>): Uint8Array {
  const saved = [...sections].filter((section) => section.vmstate !== null);
  const out = new ByteWriter();
  for (const char of MAGIC) out.u8(char.charCodeAt(0));
  out.u32(saved.length);
  const ids = new Set<string>();
  for (const section of saved) {
    if (ids.has(section.id)) throw new StateError(section.id, '', 'two sections have this id');
    ids.add(section.id);
    writeSection(out, section, section.vmstate as VmState);
  }
  return out.finish();
}

/** Loads all sections, or none: nothing is changed until every byte has been checked. */
export function loadSections(sections: Iterable<StateSection>, bytes: Uint8Array): void {
  const targets = new Map(
    [...sections].filter((section) => section.vmstate !== null).map((section) => [section.id, section]),
  );
  if (bytes.length > MAX_STATE_BYTES)
    throw new StateError('file', '', `${bytes.length} bytes exceed the limit of ${MAX_STATE_BYTES}`);
  const reader = new ByteReader(bytes);
  reader.section = 'file';
  for (const char of MAGIC) if (reader.u8() !== char.charCodeAt(0)) throw reader.fail('not an emkit machine state');
  const count = reader.u32();
  if (count > MAX_STATE_SECTIONS) throw reader.fail(`${count} sections exceed the limit of ${MAX_STATE_SECTIONS}`);
  const loaded = new Map<StateSection, Bag>();
  for (let i = 0; i < count; i++) {
    reader.section = 'file';
    reader.field = '';
    const id = reader.str();
    const section = targets.get(id);
    if (section === undefined) throw reader.fail(`this machine has no device '${id}'`);
    if (loaded.has(section)) throw reader.fail(`section '${id}' occurs twice`);
    reader.section = id;
    loaded.set(section, readSection(reader, section.vmstate as VmState));
  }
  reader.section = 'file';
  reader.field = '';
  if (reader.left !== 0) throw reader.fail(`${reader.left} bytes follow the last section`);
  for (const [id, section] of targets) if (!loaded.has(section)) throw new StateError(id, '', 'missing from the state');
  for (const [section, values] of loaded)
    applyValues(section.state as Bag, values, allFields(section.vmstate as VmState));
  for (const section of loaded.keys()) section.onPostLoad();
}

function allFields(vmstate: VmState): Map<string, VmField> {
  const fields = [...vmstate.fields, ...vmstate.subsections.flatMap((part) => part.fields as readonly VmField[])];
  return new Map(fields.map((entry) => [entry.name, entry]));
}

function writeSection(out: ByteWriter, section: StateSection, vmstate: VmState): void {
  out.str(section.id);
  out.str(vmstate.name);
  out.u32(vmstate.version);
  out.sized(() => {
    writeFields(out, section.id, vmstate.fields, section.state as Bag);
    const needed = vmstate.subsections.filter((part) => part.needed(section.state as never));
    out.u8(needed.length);
    for (const part of needed) {
      out.str(part.name);
      out.u32(part.version);
      out.sized(() => writeFields(out, `${section.id}/${part.name}`, part.fields, section.state as Bag));
    }
  });
}

function writeFields(out: ByteWriter, section: string, fields: readonly VmField[], state: Bag): void {
  out.u16(fields.length);
  for (const entry of fields) {
    const value = state[entry.name];
    const count = entry.kind === 'list' ? (value as number[]).length : entry.count;
    out.str(entry.name);
    out.u8(KINDS.indexOf(entry.kind));
    out.u8(KINDS.indexOf(entry.element));
    out.u32(count);
    if (entry.struct !== null) {
      const items = entry.kind === 'struct' ? [value] : (value as unknown[]);
      if (items.length !== count)
        throw new StateError(section, entry.name, `has ${items.length} elements, described as ${count}`);
      for (const item of items) writeFields(out, section, entry.struct.fields, item as Bag);
      continue;
    }
    const numbers = toNumbers(entry, value);
    if (numbers.length !== count || count > entry.count)
      throw new StateError(section, entry.name, `has ${numbers.length} elements, described as ${entry.count}`);
    for (let i = 0; i < count; i++) {
      const number = numbers[i] as number;
      if (!inRange(entry, number))
        throw new StateError(section, entry.name, `value ${number} is outside ${entry.min}..${entry.max}`);
      out.scalar(entry.element, number);
    }
  }
}

function toNumbers(entry: VmField, value: unknown): ArrayLike<number> {
  if (entry.kind === 'timer') return [(value as DeviceTimer).deadline];
  if (entry.kind === 'buffer' || entry.kind === 'array' || entry.kind === 'list') return value as ArrayLike<number>;
  return [Number(value)];
}

function inRange(entry: VmField, value: number): boolean {
  return entry.element === 'f64'
    ? !Number.isNaN(value)
    : Number.isInteger(value) && value >= entry.min && value <= entry.max;
}

function readSection(reader: ByteReader, vmstate: VmState): Bag {
  const name = reader.str();
  if (name !== vmstate.name) throw reader.fail(`holds a '${name}', this machine has a '${vmstate.name}'`);
  const version = reader.u32();
  if (version > vmstate.version || version < vmstate.minVersion)
    throw reader.fail(`version ${version} is not in the supported ${vmstate.minVersion}..${vmstate.version}`);
  const end = reader.blockEnd();
  const values = readFields(reader, vmstate.fields, version);
  const present = new Set<string>();
  for (let left = reader.u8(); left > 0; left--) {
    const partName = reader.str();
    const part = vmstate.subsections.find((candidate) => candidate.name === partName);
    if (part === undefined || present.has(partName)) throw reader.fail(`unknown or repeated subsection '${partName}'`);
    present.add(partName);
    const partVersion = reader.u32();
    if (partVersion > part.version)
      throw reader.fail(`subsection '${partName}' version ${partVersion} is newer than the supported ${part.version}`);
    const partEnd = reader.blockEnd();
    Object.assign(values, readFields(reader, part.fields as readonly VmField[], partVersion));
    if (reader.position !== partEnd) throw reader.fail(`subsection '${partName}' has a wrong length`);
  }
  if (reader.position !== end) throw reader.fail('wrong length');
  for (const part of vmstate.subsections) if (!present.has(part.name)) Object.assign(values, part.absent);
  reader.field = '';
  const problem = vmstate.check(values as never, version);
  if (problem !== null) throw reader.fail(problem);
  return values;
}

function readFields(reader: ByteReader, fields: readonly VmField[], version: number): Bag {
  const values = Object.create(null) as Bag;
  const known = new Map(fields.map((entry) => [entry.name, entry]));
  for (let left = reader.u16(); left > 0; left--) {
    const name = reader.str();
    reader.field = name;
    const entry = known.get(name);
    if (entry === undefined || name in values) throw reader.fail('unknown or repeated field');
    const kind = KINDS[reader.u8()];
    const element = KINDS[reader.u8()];
    const count = reader.u32();
    if (kind !== entry.kind || element !== entry.element)
      throw reader.fail(`has type ${String(kind)} of ${String(element)}, expected ${entry.kind} of ${entry.element}`);
    if (entry.kind === 'list' ? count > entry.count : count !== entry.count)
      throw reader.fail(`has ${count} elements, expected ${entry.count}`);
    values[name] = readPayload(reader, entry, count, version);
  }
  for (const entry of fields) {
    if (entry.name in values) continue;
    reader.field = entry.name;
    if (entry.since <= version) throw reader.fail('missing from the state');
    values[entry.name] = defaultValue(entry);
  }
  reader.field = '';
  return values;
}

function readPayload(reader: ByteReader, entry: VmField, count: number, version: number): unknown {
  if (entry.struct !== null) {
    const items: Bag[] = [];
    for (let i = 0; i < count; i++) items.push(readFields(reader, entry.struct.fields, version));
    reader.field = entry.name;
    return entry.kind === 'struct' ? items[0] : items;
  }
  if (count * SCALAR_SIZES[entry.element] > reader.left) throw reader.fail('truncated');
  const numbers: number[] = [];
  for (let i = 0; i < count; i++) {
    const value = reader.scalar(entry.element);
    if (!inRange(entry, value)) throw reader.fail(`value ${value} is outside ${entry.min}..${entry.max}`);
    numbers.push(value);
  }
  return present(entry, numbers);
}

function defaultValue(entry: VmField): unknown {
  if (entry.struct !== null) {
    const blank = (): Bag =>
      Object.fromEntries((entry.struct?.fields ?? []).map((inner) => [inner.name, defaultValue(inner)]));
    return entry.kind === 'struct' ? blank() : Array.from({ length: entry.count }, blank);
  }
  return present(entry, entry.kind === 'list' ? [] : new Array<number>(entry.count).fill(entry.default));
}

/** In the form `check` and `apply` see: scalars bare, booleans as such, arrays as number[]. */
function present(entry: VmField, numbers: number[]): unknown {
  if (entry.kind === 'buffer' || entry.kind === 'array' || entry.kind === 'list') return numbers;
  return entry.kind === 'bool' ? numbers[0] !== 0 : numbers[0];
}

function applyValues(state: Bag, values: Bag, fields: Map<string, VmField>): void {
  for (const [name, value] of Object.entries(values)) {
    const entry = fields.get(name);
    if (entry === undefined) continue; // an `absent` value for something that is not a field
    if (entry.kind === 'timer') {
      const timer = state[name] as DeviceTimer;
      if ((value as number) < 0) timer.del();
      else timer.mod(value as number);
    } else if (entry.struct !== null) {
      const inner = new Map(entry.struct.fields.map((sub) => [sub.name, sub]));
      const sources = entry.kind === 'struct' ? [value] : (value as unknown[]);
      const items = entry.kind === 'struct' ? [state[name]] : (state[name] as unknown[]);
      sources.forEach((source, i) => applyValues(items[i] as Bag, source as Bag, inner));
    } else if (entry.kind === 'buffer' || entry.kind === 'array') {
      const target = state[name] as number[];
      (value as number[]).forEach((number, i) => (target[i] = number));
    } else {
      state[name] = value;
    }
  }
}
