/**
 * The layers of the house, lowest first. A package may import packages of lower layers only, never one of its own layer.
 * The dependency rule (.dependency-cruiser.mjs) and the package table in the README are made from this list.
 */
export const LAYERS = [
  { title: 'ground', packages: ['bits', 'aio', 'wasm', 'storage', 'launch-node'] },
  {
    title: 'core',
    packages: ['ir', 'memory', 'softfloat', 'raw', 'vmdk', 'qed', 'luks', 'nbd', 'storage-web', 'storage-node'],
  },
  { title: 'parts', packages: ['codegen', 'x86', 'qcow2', 'block', 'qdev', 'loader', 'firmware-tables', 'demo-guest'] },
  { title: 'engines and buses', packages: ['accel-tcg', 'gdbstub', 'pci', 'block-node'] },
  {
    title: 'devices',
    packages: [
      'serial',
      'i8259',
      'i8254',
      'mc146818',
      'i8042',
      'i8237',
      'i440fx',
      'acpi-pm',
      'debugcon',
      'apic',
      'fw-cfg',
    ],
  },
  { title: 'assembler', packages: ['machine'] },
  { title: 'boards', packages: ['pc'] },
];

/** Private packages for tests only; no shipped source may import them. */
export const TEST_ONLY = ['cpu-testbed', 'device-testbed', 'storage-testbed'];
