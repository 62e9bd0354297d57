/** Bits and commands of the controller. IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". */

export const Status = {
  OUTPUT_FULL: 1 << 0,
  SYSTEM: 1 << 2,
  COMMAND: 1 << 3,
  UNLOCKED: 1 << 4,
  AUX_FULL: 1 << 5,
} as const;

/** Command byte. DEFAULT: as a self test leaves it on a PC, translating, mouse off. */
export const Ctr = {
  KEYBOARD_INT: 1 << 0,
  MOUSE_INT: 1 << 1,
  SYSTEM: 1 << 2,
  KEYBOARD_OFF: 1 << 4,
  MOUSE_OFF: 1 << 5,
  TRANSLATE: 1 << 6,
  DEFAULT: 0x65,
} as const;

/** Output port. DEFAULT: no reset, A20 on, clocks and data lines free. */
export const OutputPort = {
  NOT_RESET: 1 << 0,
  A20: 1 << 1,
  KEYBOARD_FULL: 1 << 4,
  MOUSE_FULL: 1 << 5,
  DEFAULT: 0xcf,
} as const;

/** Whose byte is in the output buffer. */
export const Source = { CONTROLLER: 0, KEYBOARD: 1, MOUSE: 2 } as const;

export const Command = {
  READ_RAM: 0x20,
  WRITE_RAM: 0x60,
  TEST_PASSWORD: 0xa4,
  MOUSE_OFF: 0xa7,
  MOUSE_ON: 0xa8,
  TEST_MOUSE: 0xa9,
  SELF_TEST: 0xaa,
  TEST_KEYBOARD: 0xab,
  KEYBOARD_OFF: 0xad,
  KEYBOARD_ON: 0xae,
  READ_INPUT_PORT: 0xc0,
  READ_OUTPUT_PORT: 0xd0,
  WRITE_OUTPUT_PORT: 0xd1,
  WRITE_KEYBOARD_BUFFER: 0xd2,
  WRITE_MOUSE_BUFFER: 0xd3,
  WRITE_MOUSE: 0xd4,
  A20_OFF: 0xdd,
  A20_ON: 0xdf,
  READ_TEST_INPUTS: 0xe0,
  PULSE: 0xf0,
} as const;
