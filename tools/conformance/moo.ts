/**
 * Reader of the MOO chunk format (80286/README.md): tests of one opcode. Unknown chunks are skipped.
 */
export const MOO_REGISTERS = [
  'ax',
  'bx',
  'cx',
  'dx',
  'cs',
  'ss',
  'ds',
  'es',
  'sp',
  'bp',
  'si',
  'di',
  'ip',
  'flags',
] as const;
export type MooRegister = (typeof MOO_REGISTERS)[number];

export interface MooState {
  /** Final states name only what changed. */
  readonly registers: Partial<Record<MooRegister, number>>;
  /** Physical address, byte. */
  readonly ram: readonly (readonly [number, number])[];
}
export interface MooTest {
  readonly index: number;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly initial: MooState;
  readonly final: MooState;
  /** Exception taken: vector, and physical address of the pushed FLAGS word. */
  readonly exception?: { readonly vector: number; readonly flagsAddress: number };
}

type Chunks = Map<string, DataView>;

function* chunks(view: DataView): Generator<readonly [string, DataView]> {
  for (let p = 0; p + 8 <= view.byteLength;) {
    const tag = String.fromCharCode(view.getUint8(p), view.getUint8(p + 1), view.getUint8(p + 2), view.getUint8(p + 3));
    const length = view.getUint32(p + 4, true);
    if (p + 8 + length > view.byteLength) throw new Error(`chunk '${tag}' runs past the end of the file`);
    yield [tag, new DataView(view.buffer, view.byteOffset + p + 8, length)];
    p += 8 + length;
  }
}
const map = (view: DataView): Chunks => new Map(chunks(view));
const bytesOf = (view: DataView, offset: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + offset, view.byteLength - offset);

function state(view: DataView | undefined): MooState {
  if (view === undefined) throw new Error('a test without INIT or FINA');
  const parts = map(view);
  const registers: Partial<Record<MooRegister, number>> = {};
  const regs = parts.get('REGS');
  if (regs !== undefined) {
    const mask = regs.getUint16(0, true);
    let p = 2;
    MOO_REGISTERS.forEach((name, n) => {
      if ((mask & (1 << n)) === 0) return;
      registers[name] = regs.getUint16(p, true);
      p += 2;
    });
  }
  const ram: (readonly [number, number])[] = [];
  const list = parts.get('RAM ');
  if (list !== undefined)
    for (let k = 0, n = list.getUint32(0, true); k < n; k++)
      ram.push([list.getUint32(4 + 5 * k, true), list.getUint8(8 + 5 * k)]);
  return { registers, ram };
}

export function* readMoo(file: Uint8Array): Generator<MooTest> {
  for (const [tag, view] of chunks(new DataView(file.buffer, file.byteOffset, file.byteLength))) {
    if (tag !== 'TEST') continue;
    const parts = map(new DataView(view.buffer, view.byteOffset + 4, view.byteLength - 4));
    const name = parts.get('NAME');
    const bytes = parts.get('BYTS');
    const excp = parts.get('EXCP');
    yield {
      index: view.getUint32(0, true),
      name: name === undefined ? '' : new TextDecoder().decode(bytesOf(name, 4)),
      bytes: bytes === undefined ? new Uint8Array(0) : bytesOf(bytes, 4),
      initial: state(parts.get('INIT')),
      final: state(parts.get('FINA')),
      ...(excp === undefined ? {} : { exception: { vector: excp.getUint8(0), flagsAddress: excp.getUint32(1, true) } }),
    };
  }
}
