/** Text of a bus's functions, in the form of the monitor's `info pci`. */
import { PciReg } from './config-registers.ts';
import type { PciBus } from './pci-bus.ts';
import type { PciDevice } from './pci-device.ts';

/** Class and subclass -> name. PCI 3.0, Appendix D "Class Codes". */
const CLASS_NAMES: Readonly<Record<number, string>> = {
  0x0100: 'SCSI controller',
  0x0101: 'IDE controller',
  0x0200: 'Ethernet controller',
  0x0300: 'VGA controller',
  0x0401: 'Audio controller',
  0x0600: 'Host bridge',
  0x0601: 'ISA bridge',
  0x0604: 'PCI bridge',
  0x0680: 'Bridge',
  0x0780: 'Communication controller',
  0x0c03: 'USB controller',
};

export function formatInfoPci(bus: PciBus): string {
  const devices = ([...bus.devices] as PciDevice[]).sort((a, b) => a.devfn - b.devfn);
  return devices.map((device) => formatDevice(device)).join('');
}

function formatDevice(device: PciDevice): string {
  const classCode = device.le16(PciReg.SUBCLASS);
  const name = CLASS_NAMES[classCode] ?? `Class ${hex(classCode, 4)}`;
  const lines = [
    `  Bus  0, device ${String(device.devfn >> 3).padStart(3)}, function ${device.devfn & 7}:`,
    `    ${name}: PCI device ${hex(device.le16(PciReg.VENDOR_ID), 4)}:${hex(device.le16(PciReg.DEVICE_ID), 4)}`,
  ];
  const subsystem = device.le32(PciReg.SUBSYSTEM_VENDOR_ID);
  if (subsystem !== 0) lines.push(`      PCI subsystem ${hex(subsystem & 0xffff, 4)}:${hex(subsystem >>> 16, 4)}`);
  const pin = device.config[PciReg.INTERRUPT_PIN] as number;
  if (pin !== 0) lines.push(`      IRQ ${device.config[PciReg.INTERRUPT_LINE]}, pin ${'ABCD'[pin - 1]}`);
  for (const bar of device.listBars()) lines.push(`      BAR${bar.index}: ${describeBar(bar)}`);
  lines.push(`      id "${device.id}"`);
  return lines.join('\n') + '\n';
}

function describeBar(bar: { kind: string; address: number; size: number }): string {
  const digits = bar.kind === 'io' ? 4 : 8;
  const place =
    bar.address < 0
      ? `unmapped [${bar.size} bytes]`
      : `at 0x${hex(bar.address, digits)} [0x${hex(bar.address + bar.size - 1, digits)}]`;
  if (bar.kind === 'io') return `I/O ${place}.`;
  return `${bar.kind === 'mem64' ? '64' : '32'} bit memory ${place}.`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
