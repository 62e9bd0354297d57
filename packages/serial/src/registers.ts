/** Registers and bits of the 16550A. National Semiconductor PC16550D data sheet, §8.0 "Registers", tables II to V. */

/** Offsets; which of several registers answers depends on DLAB and direction. */
export const Reg = { DATA: 0, IER: 1, IIR_FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;
export const REGISTER_COUNT = 8;

/** §8.7 interrupt enable register. */
export const IER_RDI = 1 << 0;
export const IER_THRI = 1 << 1;
export const IER_RLSI = 1 << 2;
export const IER_MSI = 1 << 3;
export const IER_MASK = 0x0f;

/** §8.6 interrupt identification register, in order of priority. */
export const IIR_RLS = 0x06;
export const IIR_RDA = 0x04;
export const IIR_CTI = 0x0c;
export const IIR_THRE = 0x02;
export const IIR_MSR = 0x00;
export const IIR_NONE = 0x01;
export const IIR_FIFOS = 0xc0;

/** §8.5 FIFO control register. */
export const FCR_ENABLE = 1 << 0;
export const FCR_CLEAR_RX = 1 << 1;
export const FCR_CLEAR_TX = 1 << 2;
export const FCR_TRIGGER_SHIFT = 6;
/** Bytes at which "received data available" is raised, by FCR bits 7-6. */
export const TRIGGER_LEVELS: readonly number[] = [1, 4, 8, 14];

/** §8.1 line control register. */
export const LCR_WORD_MASK = 0x03;
export const LCR_STOP = 1 << 2;
export const LCR_PARITY = 1 << 3;
export const LCR_DLAB = 1 << 7;

/** §8.8 modem control register. */
export const MCR_DTR = 1 << 0;
export const MCR_RTS = 1 << 1;
export const MCR_OUT1 = 1 << 2;
export const MCR_OUT2 = 1 << 3;
export const MCR_LOOP = 1 << 4;
export const MCR_MASK = 0x1f;

/** §8.4 line status register. */
export const LSR_DR = 1 << 0;
export const LSR_OE = 1 << 1;
export const LSR_PE = 1 << 2;
export const LSR_FE = 1 << 3;
export const LSR_BI = 1 << 4;
export const LSR_THRE = 1 << 5;
export const LSR_TEMT = 1 << 6;
export const LSR_FIFO_ERROR = 1 << 7;
export const LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI;
/** Errors that belong to one character in the FIFO. */
export const LSR_CHARACTER_ERRORS = LSR_PE | LSR_FE | LSR_BI;

/** §8.9 modem status register: deltas low, lines high. */
export const MSR_DCTS = 1 << 0;
export const MSR_DDSR = 1 << 1;
export const MSR_TERI = 1 << 2;
export const MSR_DDCD = 1 << 3;
export const MSR_CTS = 1 << 4;
export const MSR_DSR = 1 << 5;
export const MSR_RI = 1 << 6;
export const MSR_DCD = 1 << 7;
export const MSR_DELTAS = 0x0f;
