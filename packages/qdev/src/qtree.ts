/** Text of the device tree, in the form of the monitor's `info qtree`. */
import type { Bus } from './bus.ts';
import type { Device } from './device.ts';
import { formatProperty, type PropertySpec } from './property.ts';

export function formatQtree(root: Bus): string {
  const lines: string[] = [];
  appendBus(lines, root, 0);
  return lines.join('\n') + '\n';
}

function appendBus(lines: string[], bus: Bus, depth: number): void {
  const pad = '  '.repeat(depth);
  lines.push(`${pad}bus: ${bus.name}`, `${pad}  type ${bus.type}`);
  for (const device of bus.devices) appendDevice(lines, device, depth + 1);
}

function appendDevice(lines: string[], device: Device, depth: number): void {
  const pad = '  '.repeat(depth);
  lines.push(`${pad}dev: ${device.type.name}, id "${device.id}"`);
  for (const group of device.gpioGroups()) lines.push(`${pad}  gpio-${group.direction} "${group.name}" ${group.count}`);
  for (const [name, spec] of Object.entries(device.type.properties)) {
    lines.push(`${pad}  ${name} = ${formatProperty(spec as PropertySpec, device.properties[name])}`);
  }
  for (const bus of device.childBuses) appendBus(lines, bus, depth + 1);
}
