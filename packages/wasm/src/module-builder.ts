/**
 * Collects a module's declarations and function bodies and writes them as one binary module.
 * Index spaces follow the format: imports come first, so each kind's imports must be declared before its definitions.
 * It does not validate types or indices: the engine does when it compiles the bytes. One memory at most.
 * Spec: WebAssembly Core 2.0 §5.5 (Binary Format, Modules).
 */
import { ByteWriter, MAX_LEB64_BYTES } from './byte-writer.ts';
import { WasmEncodeError } from './errors.ts';
import { FunctionBuilder } from './function-builder.ts';
import { OP } from './opcodes.ts';
import { VALTYPE } from './value-types.ts';
import type { ValType } from './value-types.ts';

const MAGIC_AND_VERSION = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
const FUNC_TYPE = 0x60;
const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;
const EXTERN = { func: 0, table: 1, memory: 2, global: 3 } as const;
const LIMITS_MAX = 1;
const LIMITS_SHARED = 2;
const MAX_PAGES = 65536;
/** Subsection of the name section that names functions (spec §7.4.1, "Name Section"). */
const NAME_FUNCTIONS = 1;
/** Stands before the code, for an engine that compiles while it reads. */
const BRANCH_HINTS = 'metadata.code.branch_hint';

export interface ModuleBuilderOptions {
  /** Write what `unlikely` and `likely` have said. Default: true. */
  readonly branchHints?: boolean;
}

export class ModuleBuilder {
  private readonly types = new ByteWriter();
  private readonly imports = new ByteWriter();
  private readonly tables = new ByteWriter(16);
  private readonly memories = new ByteWriter(16);
  private readonly globals = new ByteWriter(64);
  private readonly exports = new ByteWriter();
  private readonly elements = new ByteWriter();
  private readonly data = new ByteWriter();

  private readonly typeIndices = new Map<string, number>();
  private readonly parameterCounts: number[] = [];
  private readonly functions: FunctionBuilder[] = [];
  private readonly functionTypes: number[] = [];
  private readonly functionNames = new Map<number, string>();
  private readonly exportNames = new Set<string>();
  private readonly customSections: { readonly name: string; readonly bytes: Uint8Array }[] = [];

  private importCount = 0;
  private importedFunctions = 0;
  private importedTables = 0;
  private importedGlobals = 0;
  private definedTables = 0;
  private definedGlobals = 0;
  private elementCount = 0;
  private dataCount = 0;
  private hasPassiveData = false;
  private hasMemory = false;
  private definesMemory = false;
  private readonly branchHints: boolean;

  constructor({ branchHints = true }: ModuleBuilderOptions = {}) {
    this.branchHints = branchHints;
  }

  /** The index of a function type; equal types share one. */
  addType(params: readonly ValType[], results: readonly ValType[]): number {
    const key = `${params.join()}:${results.join()}`;
    const known = this.typeIndices.get(key);
    if (known !== undefined) return known;
    const index = this.typeIndices.size;
    this.typeIndices.set(key, index);
    this.parameterCounts.push(params.length);
    this.types.u8(FUNC_TYPE);
    writeTypes(this.types, params);
    writeTypes(this.types, results);
    return index;
  }

  /** The new function's index. */
  importFunction(module: string, name: string, type: number): number {
    this.checkType(type);
    if (this.functions.length > 0) throw importTooLate('function', module, name);
    this.importHeader(module, name, EXTERN.func);
    this.imports.u32(type);
    return this.importedFunctions++;
  }

  /** A shared memory must state its maximum. */
  importMemory(module: string, name: string, minPages: number, maxPages?: number, shared = false): void {
    this.claimMemory();
    const limits = encodeLimits(minPages, maxPages, MAX_PAGES, shared);
    this.importHeader(module, name, EXTERN.memory);
    this.imports.appendWriter(limits);
  }

  /** A table of function references; its index. */
  importTable(module: string, name: string, min: number, max?: number): number {
    if (this.definedTables > 0) throw importTooLate('table', module, name);
    const limits = encodeLimits(min, max, 0xffff_ffff, false);
    this.importHeader(module, name, EXTERN.table);
    this.imports.u8(VALTYPE.funcref);
    this.imports.appendWriter(limits);
    return this.importedTables++;
  }

  importGlobal(module: string, name: string, type: ValType, mutable: boolean): number {
    if (this.definedGlobals > 0) throw importTooLate('global', module, name);
    this.importHeader(module, name, EXTERN.global);
    this.imports.u8(type);
    this.imports.u8(mutable ? 1 : 0);
    return this.importedGlobals++;
  }

  addMemory(minPages: number, maxPages?: number, shared = false): void {
    this.claimMemory();
    this.definesMemory = true;
    this.memories.appendWriter(encodeLimits(minPages, maxPages, MAX_PAGES, shared));
  }

  addTable(min: number, max?: number): number {
    const limits = encodeLimits(min, max, 0xffff_ffff, false);
    this.tables.u8(VALTYPE.funcref);
    this.tables.appendWriter(limits);
    return this.importedTables + this.definedTables++;
  }

  /** A numeric global with a constant initial value (i32, i64, f32 or f64). */
  addGlobal(type: ValType, mutable: boolean, init: number | bigint): number {
    const value = encodeConstant(type, init);
    this.globals.u8(type);
    this.globals.u8(mutable ? 1 : 0);
    this.globals.appendWriter(value);
    return this.importedGlobals + this.definedGlobals++;
  }

  /** A builder for the body of a new function of this type. */
  addFunction(type: number): FunctionBuilder {
    this.checkType(type);
    const builder = new FunctionBuilder(
      this.importedFunctions + this.functions.length,
      this.parameterCounts[type] as number,
    );
    this.functions.push(builder);
    this.functionTypes.push(type);
    return builder;
  }

  exportFunction(name: string, index: number): this {
    return this.addExport(name, EXTERN.func, index);
  }

  exportMemory(name: string): this {
    if (!this.hasMemory) throw new WasmEncodeError('memory', `cannot export memory "${name}": the module has none`);
    return this.addExport(name, EXTERN.memory, 0);
  }

  exportTable(name: string, index: number): this {
    return this.addExport(name, EXTERN.table, index);
  }

  exportGlobal(name: string, index: number): this {
    return this.addExport(name, EXTERN.global, index);
  }

  /** Functions put into a table at instantiation; the segment's index. */
  addElements(tableIndex: number, offset: number, functionIndices: ArrayLike<number>): number {
    const start = encodeConstant(VALTYPE.i32, offset);
    const indices = encodeIndices(functionIndices);
    // Form 2: active with explicit table and element kind 0 (funcref).
    this.elements.u8(2);
    this.elements.u32(tableIndex);
    this.elements.appendWriter(start);
    this.elements.u8(0);
    this.elements.appendWriter(indices);
    return this.elementCount++;
  }

  /** Functions for `table_init`; the segment's index. */
  addPassiveElements(functionIndices: ArrayLike<number>): number {
    const indices = encodeIndices(functionIndices);
    this.elements.u8(1);
    this.elements.u8(0);
    this.elements.appendWriter(indices);
    return this.elementCount++;
  }

  /** Bytes put into memory at instantiation; the segment's index. */
  addData(offset: number, bytes: Uint8Array): number {
    const start = encodeConstant(VALTYPE.i32, offset);
    this.data.u8(0);
    this.data.appendWriter(start);
    this.data.sized(bytes);
    return this.dataCount++;
  }

  /** Bytes for `memory_init`; the segment's index. */
  addPassiveData(bytes: Uint8Array): number {
    this.hasPassiveData = true;
    this.data.u8(1);
    this.data.sized(bytes);
    return this.dataCount++;
  }

  /** A custom section, written after all standard ones. (Branch hints have one before the code.) */
  addCustomSection(name: string, bytes: Uint8Array): this {
    this.customSections.push({ name, bytes });
    return this;
  }

  /** Name a function for debuggers and stack traces (the `name` section). */
  setFunctionName(index: number, name: string): this {
    this.functionNames.set(index, name);
    return this;
  }

  /** The binary module. Throws `WasmEncodeError` when a body has constructs open. May be called again after additions. */
  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(1024);
    out.append(MAGIC_AND_VERSION);
    writeSection(out, SECTION.type, this.typeIndices.size, this.types);
    writeSection(out, SECTION.import, this.importCount, this.imports);
    writeSection(out, SECTION.function, this.functionTypes.length, concatenated(this.functionTypes));
    writeSection(out, SECTION.table, this.definedTables, this.tables);
    writeSection(out, SECTION.memory, this.definesMemory ? 1 : 0, this.memories);
    writeSection(out, SECTION.global, this.definedGlobals, this.globals);
    writeSection(out, SECTION.export, this.exportNames.size, this.exports);
    writeSection(out, SECTION.element, this.elementCount, this.elements);
    // Required before the code by memory.init and data.drop; its whole content is the count.
    if (this.hasPassiveData) writeSection(out, SECTION.dataCount, this.dataCount, new ByteWriter(0));
    if (this.branchHints) this.writeHints(out);
    const code = new ByteWriter(4096);
    for (const builder of this.functions) builder.encodeInto(code);
    writeSection(out, SECTION.code, this.functions.length, code);
    writeSection(out, SECTION.data, this.dataCount, this.data);
    if (this.functionNames.size > 0) writeCustom(out, 'name', encodeNameSection(this.functionNames));
    for (const section of this.customSections) writeCustom(out, section.name, section.bytes);
    return out.toBytes();
  }

  private writeHints(out: ByteWriter): void {
    const entries = new ByteWriter();
    let count = 0;
    for (const builder of this.functions) if (builder.encodeHintsInto(entries)) count++;
    if (count === 0) return;
    const section = concatenated([count]);
    section.appendWriter(entries);
    writeCustom(out, BRANCH_HINTS, section.toBytes());
  }

  private checkType(type: number): void {
    if (this.parameterCounts[type] === undefined)
      throw new WasmEncodeError('bad-immediate', `no type ${type}: addType first`);
  }

  private claimMemory(): void {
    if (this.hasMemory) throw new WasmEncodeError('memory', 'the module has a memory already');
    this.hasMemory = true;
  }

  private importHeader(module: string, name: string, kind: number): void {
    this.imports.name(module);
    this.imports.name(name);
    this.imports.u8(kind);
    this.importCount++;
  }

  private addExport(name: string, kind: number, index: number): this {
    if (this.exportNames.has(name)) throw new WasmEncodeError('duplicate-export', `two exports named "${name}"`);
    this.exportNames.add(name);
    this.exports.name(name);
    this.exports.u8(kind);
    this.exports.u32(index);
    return this;
  }
}

function writeSection(out: ByteWriter, id: number, count: number, content: ByteWriter): void {
  if (count === 0) return;
  const head = new ByteWriter(8);
  head.u32(count);
  out.u8(id);
  out.u32(head.length + content.length);
  out.appendWriter(head);
  out.appendWriter(content);
}

function writeCustom(out: ByteWriter, name: string, bytes: Uint8Array): void {
  const head = new ByteWriter(32);
  head.name(name);
  out.u8(SECTION.custom);
  out.u32(head.length + bytes.length);
  out.appendWriter(head);
  out.append(bytes);
}

function writeTypes(out: ByteWriter, types: readonly ValType[]): void {
  out.u32(types.length);
  for (const type of types) out.u8(type);
}

function concatenated(indices: ArrayLike<number>): ByteWriter {
  const out = new ByteWriter(indices.length + 16);
  for (let i = 0; i < indices.length; i++) out.u32(indices[i] as number);
  return out;
}

/** A vector of indices: count, then each. */
function encodeIndices(indices: ArrayLike<number>): ByteWriter {
  const out = new ByteWriter(indices.length + 16);
  out.u32(indices.length);
  out.appendWriter(concatenated(indices));
  return out;
}

function encodeLimits(min: number, max: number | undefined, limit: number, shared: boolean): ByteWriter {
  if (shared && max === undefined) throw new WasmEncodeError('bad-immediate', 'a shared memory needs a maximum');
  if (min > limit || (max !== undefined && (max > limit || max < min))) {
    throw new WasmEncodeError('bad-immediate', `limits ${min} .. ${max} are not ordered within 0 .. ${limit}`);
  }
  const out = new ByteWriter(16);
  out.u8((max === undefined ? 0 : LIMITS_MAX) | (shared ? LIMITS_SHARED : 0));
  out.u32(min);
  if (max !== undefined) out.u32(max);
  return out;
}

/** A constant expression of the given type, `end` included. */
function encodeConstant(type: ValType, value: number | bigint): ByteWriter {
  const expression = new FunctionBuilder(0, 0);
  if (type === VALTYPE.i32) expression.i32Const(Number(value));
  else if (type === VALTYPE.i64) expression.i64Const(value);
  else if (type === VALTYPE.f32) expression.f32Const(Number(value));
  else if (type === VALTYPE.f64) expression.f64Const(Number(value));
  else
    throw new WasmEncodeError(
      'bad-immediate',
      `a global of type 0x${(type as number).toString(16)} cannot be initialised here`,
    );
  const out = new ByteWriter(16);
  expression.copyCodeInto(out);
  out.u8(OP.end);
  return out;
}

function encodeNameSection(names: ReadonlyMap<number, string>): Uint8Array {
  const map = new ByteWriter();
  map.u32(names.size);
  for (const [index, name] of [...names].sort((a, b) => a[0] - b[0])) {
    map.u32(index);
    map.name(name);
  }
  const out = new ByteWriter(MAX_LEB64_BYTES + map.length);
  out.u8(NAME_FUNCTIONS);
  out.u32(map.length);
  out.appendWriter(map);
  return out.toBytes();
}

function importTooLate(kind: string, module: string, name: string): WasmEncodeError {
  return new WasmEncodeError(
    'import-after-definition',
    `import of ${kind} "${module}.${name}" after a ${kind} was defined`,
  );
}
