/** Devices that -device can add, with their properties: for checking, for `-device help` and `-device X,help`. */
export interface PropertySpec {
  readonly name: string;
  readonly type: 'uint32' | 'chr' | 'bool';
  readonly help: string;
}

export interface DeviceSpec {
  readonly name: string;
  readonly bus: string;
  readonly description: string;
  readonly properties: readonly PropertySpec[];
}

export const DEVICES: readonly DeviceSpec[] = [
  {
    name: 'isa-debug-exit',
    bus: 'ISA',
    description: 'a write of V ends emkit with exit code (V << 1) | 1',
    properties: [
      { name: 'iobase', type: 'uint32', help: 'first port (default 0x501)' },
      { name: 'iosize', type: 'uint32', help: 'number of ports (default 2)' },
    ],
  },
  {
    name: 'isa-debugcon',
    bus: 'ISA',
    description: 'debug console: written bytes go to a character device',
    properties: [
      { name: 'iobase', type: 'uint32', help: 'port (default 0xe9)' },
      { name: 'readback', type: 'uint32', help: 'value read from the port (default 0xe9)' },
      { name: 'chardev', type: 'chr', help: 'ID of a -chardev' },
    ],
  },
  {
    name: 'isa-serial',
    bus: 'ISA',
    description: '16550A serial port',
    properties: [
      { name: 'index', type: 'uint32', help: '0 to 3: COM1 to COM4 (default: the next free one)' },
      { name: 'chardev', type: 'chr', help: 'ID of a -chardev' },
    ],
  },
];
