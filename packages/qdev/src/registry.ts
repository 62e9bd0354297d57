/** The device types a machine knows, by name, and the text of `-device help` and `-device X,help`. */
import { type AnyDeviceType, DeviceError, type DeviceType } from './device.ts';
import { formatProperty, type PropertySpec } from './property.ts';

export class DeviceRegistry {
  readonly #types = new Map<string, DeviceType>();

  register(...types: readonly AnyDeviceType[]): void {
    for (const type of types) {
      if (this.#types.has(type.name)) throw new DeviceError(`device type ${type.name} is registered twice`);
      this.#types.set(type.name, type);
    }
  }

  get(name: string): DeviceType | undefined {
    return this.#types.get(name);
  }

  /** Sorted by name. */
  list(): DeviceType[] {
    return [...this.#types.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** `-device help`: one line per type. */
  formatList(): string {
    return this.list()
      .filter((type) => type.userCreatable !== false)
      .map((type) => `name "${type.name}", bus ${type.bus}, desc "${type.description}"\n`)
      .join('');
  }
}

/** `-device X,help`. */
export function formatDeviceHelp(type: DeviceType): string {
  const lines = [`${type.name} options:`];
  for (const [name, spec] of Object.entries(type.properties).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const fallback = spec.type === 'link' ? '' : ` (default: ${formatProperty(spec, spec.default)})`;
    const choices = spec.choices === undefined ? '' : ` [${spec.choices.join('|')}]`;
    lines.push(`  ${`${name}=<${typeName(spec)}>`.padEnd(22)} - ${spec.description}${choices}${fallback}`);
  }
  return lines.join('\n') + '\n';
}

function typeName(spec: PropertySpec): string {
  return spec.type === 'link' ? 'str' : spec.type;
}
