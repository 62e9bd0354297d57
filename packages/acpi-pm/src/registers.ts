/** Register layout of the PIIX4 power management function. 82371AB data sheet, §7.1 (PCI) and §7.2 (I/O); bits as in ACPI 6.4 §4.8.3. */

/** PCI configuration registers. */
export const ConfigReg = {
  /** Base of the I/O block: bits 15-6, bit 0 fixed to 1. */
  PMBASE: 0x40,
  /** Byte 3 of DEVACTB: bit 1 (APMC_EN) says that a write to APMC raises SMI. */
  DEVACTB3: 0x5b,
  /** Bit 0: the I/O block at PMBASE is decoded. */
  PMREGMISC: 0x80,
  /** Base of the SMBus block; kept, not decoded. */
  SMBBASE: 0x90,
  SMBHSTCFG: 0xd2,
} as const;

/** Offsets in the I/O block. */
export const PmReg = { PM1_STS: 0x00, PM1_EN: 0x02, PM1_CNT: 0x04, PM_TMR: 0x08 } as const;

/** PM1_STS; cleared by writing 1. */
export const TMR_STS = 1 << 0;
export const BM_STS = 1 << 4;
export const GBL_STS = 1 << 5;
export const PWRBTN_STS = 1 << 8;
export const RTC_STS = 1 << 10;
export const WAK_STS = 1 << 15;
export const PM1_STS_MASK = TMR_STS | BM_STS | GBL_STS | PWRBTN_STS | RTC_STS | WAK_STS;

/** PM1_EN: same places as the status bits. */
export const PM1_EN_MASK = TMR_STS | GBL_STS | PWRBTN_STS | RTC_STS;

/** PM1_CNT. */
export const SCI_EN = 1 << 0;
export const BM_RLD = 1 << 1;
export const SLP_TYP_SHIFT = 10;
export const SLP_TYP_MASK = 7 << SLP_TYP_SHIFT;
/** Write-only. */
export const SLP_EN = 1 << 13;
export const PM1_CNT_MASK = SCI_EN | BM_RLD | SLP_TYP_MASK;

/** Values of SLP_TYP. The data sheet's "suspend type" 0 is soft off; boards' tables name 2 as S4. */
export const SLP_TYP_SOFT_OFF = 0;
export const SLP_TYP_S4 = 2;

/** Advanced power management ports, and what the ACPI tables tell the guest to write there. */
export const APMC_PORT = 0xb2;
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;
