export { CONFIG_ADDRESS_PORT, CONFIG_DATA_PORT, CONFIG_MECHANISM_FIELDS, ConfigMechanism } from './config-mechanism.ts';
export type { ConfigMechanismState } from './config-mechanism.ts';
export { COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER, COMMAND_MEMORY, PciReg } from './config-registers.ts';
export { formatInfoPci } from './info-pci.ts';
export { CONFIG_SIZE, MAX_BARS, MAX_FUNCTIONS, MAX_MSI_VECTORS } from './limits.ts';
export { INTX_LINES, PciBus, swizzleIntx } from './pci-bus.ts';
export type { PciBusOptions } from './pci-bus.ts';
export { PCI_FIELDS, PCI_PROPERTIES, PciDevice, setLe16, setLe32 } from './pci-device.ts';
export type { BarKind, PciId, PciState } from './pci-device.ts';
