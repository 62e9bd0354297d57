export { ACPI_PM, AcpiPm } from './acpi-pm.ts';
export { GPE_COUNT, PM_BLOCK_SIZE, PM_TIMER_BITS, PM_TIMER_HZ } from './limits.ts';
export { ACPI_DISABLE, ACPI_ENABLE, APMC_PORT } from './registers.ts';
