/**
 * The 440FX as the board sees it: it offers the PCI bus, decodes ports 0xCF8/0xCFC, and carries the host bridge function.
 * RAM has precedence over PCI memory (which is mapped at priority -1), except where the bridge shows PCI: 0xA0000-0xBFFFF
 * and the PAM windows. Boards put ROMs and VGA into `pciMemory`.
 */
import { MemoryRegion } from '@emkit/memory';
import {
  createDevice,
  defineDevice,
  defineVmState,
  Device,
  DeviceError,
  type DeviceInit,
  field,
  property,
  type PropertySpecs,
  type SystemBus,
} from '@emkit/qdev';
import { CONFIG_MECHANISM_FIELDS, ConfigMechanism, type ConfigMechanismState, PciBus } from '@emkit/pci';
import { I440FX, type I440fx } from './i440fx.ts';

const PROPERTIES = {
  ram: property.link<MemoryRegion>('memory-region', 'RAM, with guest-physical address 0 at offset 0'),
  'ram-size': property.size(0, 'bytes of RAM, for the row boundary registers'),
} satisfies PropertySpecs;

const VMSTATE = defineVmState<{ configMechanism: ConfigMechanismState }>({
  name: 'i440FX-pcihost',
  version: 1,
  fields: [field.struct('configMechanism', CONFIG_MECHANISM_FIELDS)],
});

export class I440fxPciHost extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: { configMechanism: ConfigMechanismState } = { configMechanism: { address: 0 } };
  /** PCI memory space; RAM hides it where both are. */
  readonly pciMemory = MemoryRegion.container('pci', 2 ** 52);
  readonly #ram: MemoryRegion | null;
  readonly #ramSize: number;
  #bus: PciBus | null = null;
  #bridge: I440fx | null = null;
  #mechanism: ConfigMechanism | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#ram = init.props.ram;
    this.#ramSize = init.props['ram-size'];
  }

  /** After realize. */
  get pciBus(): PciBus {
    if (this.#bus === null) throw new DeviceError(`${this.id} is not realized`);
    return this.#bus;
  }

  get bridge(): I440fx {
    if (this.#bridge === null) throw new DeviceError(`${this.id} is not realized`);
    return this.#bridge;
  }

  protected override onRealize(): void {
    if (this.#ram === null) throw new DeviceError(`${this.id}: property 'ram' is required`);
    const system = this.parentBus as SystemBus;
    // The board's wiring of slots to PIRQ lines: slot 1 pin A is PIRQA (as QEMU's pc machine, which ACPI and MP tables describe)
    const mapIntx = (devfn: number, pin: number): number => ((devfn >> 3) + pin + 3) & 3;
    this.#bus = new PciBus('pci.0', { memory: this.pciMemory, io: system.io, dma: system.dma, mapIntx }, this);
    this.#mechanism = new ConfigMechanism(this.#bus);
    this.state.configMechanism = this.#mechanism.state;
    system.memory.transaction(() => {
      system.memory.add(0, this.pciMemory, -1);
      (this.#mechanism as ConfigMechanism).map(system.io);
      this.#bridge = createDevice(I440FX, { id: `${this.id}.bridge`, env: this.env, properties: { addr: '0.0' } });
      this.#bridge.setMemory(
        { system: system.memory, ram: this.#ram as MemoryRegion, pci: createLegacyView(this.pciMemory) },
        this.#ramSize,
      );
      this.#bridge.realize(this.#bus as PciBus);
    });
  }

  protected override onUnrealize(): void {
    this.#mechanism?.unmap();
    this.pciMemory.unmap();
  }

  protected override onReset(): void {
    this.state.configMechanism.address = 0;
  }
}

/**
 * PCI below 1 MiB as the PAM windows and closed SMRAM show it: opaque. A hole in a region tree lets what lies below shine
 * through, which would be RAM here; on the bus it is an unclaimed cycle.
 */
function createLegacyView(pci: MemoryRegion): MemoryRegion {
  const view = MemoryRegion.container('pci-legacy', 0x100000);
  view.add(0, MemoryRegion.alias('pci-low', pci, { size: 0x100000 }));
  view.add(
    0xa0000,
    MemoryRegion.io('pci-unclaimed', 0x60000, { read: () => 0xffffffff, write: () => {}, valid: { unaligned: true } }),
    -1,
  );
  return view;
}

export const I440FX_PCIHOST = defineDevice({
  name: 'i440FX-pcihost',
  description: '440FX host bridge with its PCI bus',
  bus: 'system',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new I440fxPciHost(init),
});
