/**
 * A subcommand as data: its options are one table from which the parser and the help are made. What it does is loaded when it
 * is called, so that `--version` and a wrong option load neither formats nor jobs.
 */
import type { Tool } from './tool.ts';

export interface OptionRow {
  /** One letter. */
  readonly short?: string;
  readonly long?: string;
  /** Name of the argument in the help; absent: a switch. */
  readonly arg?: string;
  /** Name of the value in `Values`. */
  readonly key: string;
  /** May be given again; the value is a list. */
  readonly isList?: boolean;
  readonly help: string;
}

/** Values by key: a string, `true` for a switch, a list. Absent: not given. */
export class Values {
  readonly #values: ReadonlyMap<string, string | boolean | readonly string[]>;

  constructor(values: ReadonlyMap<string, string | boolean | readonly string[]>) {
    this.#values = values;
  }

  has(key: string): boolean {
    const value = this.#values.get(key);
    return value !== undefined && value !== false;
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return typeof value === 'string' ? value : undefined;
  }

  list(key: string): readonly string[] {
    const value = this.#values.get(key);
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }
}

export interface Invocation {
  readonly values: Values;
  readonly operands: readonly string[];
}

export type CommandBody = (tool: Tool, invocation: Invocation) => Promise<number>;

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** After the options, as QEMU writes it. */
  readonly operands: string;
  readonly options: readonly OptionRow[];
  readonly examples: readonly string[];
  readonly load: () => Promise<CommandBody>;
}
