/** What `help` as a value prints: boards, CPUs, devices, log items. stdout, exit 0, as in QEMU. */
import { accelProperties } from './accel-option.ts';
import { DEVICES } from './device-table.ts';
import type { ListRequest } from './machine-config.ts';
import type { PcModule } from './machine-port.ts';
import { MACHINES } from './machine-options.ts';
import { LOG_ITEMS } from './option-table.ts';

const columns = (rows: readonly (readonly [string, string])[], width: number): string =>
  rows.map(([a, b]) => `${a.padEnd(width)} ${b}`.trimEnd()).join('\n');

export async function listText(request: ListRequest, load: () => Promise<PcModule>): Promise<string> {
  switch (request.list) {
    case 'machine':
      return `Supported machines are:\n${columns(MACHINES, 20)}\n`;
    case 'cpu': {
      const machine = await load();
      const models = machine.cpuModels().map((m) => [`x86 ${m.name}`, m.description] as const);
      return `Available CPUs:\n${columns(models, Math.max(20, ...models.map(([name]) => name.length + 1)))}\n\nRecognized CPUID flags:\n${wrapNames(machine.cpuFeatures())}\n`;
    }
    case 'device':
      return `ISA devices:\n${DEVICES.map((d) => `name "${d.name}", bus ${d.bus}, desc "${d.description}"`).join('\n')}\n`;
    case 'device-properties': {
      const device = DEVICES.find((d) => d.name === request.of)!;
      return `${device.name} options:\n${device.properties.map((p) => `  ${`${p.name}=<${p.type}>`.padEnd(22)} - ${p.help}`).join('\n')}\n`;
    }
    case 'log':
      return `Log items (comma separated):\n${columns(LOG_ITEMS, 15)}\n`;
    case 'accel':
      return 'Accelerators supported in QEMU binary:\ntcg\n';
    case 'accel-properties':
      return accelProperties();
    case 'display':
      return 'Available display backend types:\nnone\n';
    case 'chardev':
      return 'Available chardev backend types:\n  file\n  null\n  stdio\n';
  }
}

function wrapNames(names: readonly string[]): string {
  const lines: string[] = [];
  let line = ' ';
  for (const name of names) {
    if (line.length + 1 + name.length > 78) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${name}`;
  }
  lines.push(line);
  return lines.join('\n');
}
