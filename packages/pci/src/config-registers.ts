/** Type 00h configuration header. PCI Local Bus Specification 3.0, §6.1 "Configuration Space Organization", Figure 6-1. */
export const PciReg = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION_ID: 0x08,
  PROG_IF: 0x09,
  SUBCLASS: 0x0a,
  CLASS: 0x0b,
  CACHE_LINE_SIZE: 0x0c,
  LATENCY_TIMER: 0x0d,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  ROM_ADDRESS: 0x30,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** §6.2.2 "Device Control", Table 6-1. */
export const COMMAND_IO = 1 << 0;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_MASTER = 1 << 2;
export const COMMAND_SERR = 1 << 8;
export const COMMAND_INTX_DISABLE = 1 << 10;

/** §6.2.3 "Device Status", Table 6-2. */
export const STATUS_INTERRUPT = 1 << 3;
export const STATUS_CAPABILITIES = 1 << 4;
/** Error bits that are cleared by writing 1. */
export const STATUS_W1C = 0xf900;

export const HEADER_MULTIFUNCTION = 0x80;

/** §6.2.5.1 "Address Maps": low bits of a base address register. */
export const BAR_IO = 0x1;
export const BAR_MEM_64 = 0x4;
export const BAR_PREFETCH = 0x8;
/** §6.2.5.2 "Expansion ROM Base Address Register": enable bit. */
export const ROM_ENABLE = 0x1;

/** Appendix H "Capability IDs". */
export const CAP_MSI = 0x05;
