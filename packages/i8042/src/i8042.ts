/**
 * Keyboard controller 8042 of the PC/AT and PS/2, with keyboard and mouse attached: ports 0x60 and 0x64, IRQ1, IRQ12,
 * scan code translation, the A20 gate and the reset line.
 * The controller's own answers are there at once; device bytes come one by one with `BYTE_GAP_NS` between them.
 * IBM PC/AT Technical Reference, "Keyboard Controller"; IBM PS/2 Hardware Interface Technical Reference, same title.
 * Not here: passwords (commands 0xA4 to 0xA6 say that there is none), key lock, diagnostic dump.
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  type DeviceInit,
  type DeviceTimer,
  field,
  type Irq,
  type IsaBus,
} from '@emkit/qdev';
import { type ByteQueue, clearQueue, dequeue, enqueue, makeQueue } from './byte-queue.ts';
import {
  commandToKeyboard,
  HELD_SIZE,
  keyboardHasByte,
  type KeyboardState,
  makeKeyboard,
  pressOnKeyboard,
  repeatKey,
  resetKeyboard,
  takeKeyboardByte,
} from './keyboard.ts';
import { KEYS } from './keys.ts';
import { BYTE_GAP_NS, KEY_QUEUE_SIZE, MAX_PENDING_MOVEMENT, MOUSE_QUEUE_SIZE, REPLY_QUEUE_SIZE } from './limits.ts';
import {
  commandToMouse,
  makeMouse,
  mouseHasByte,
  type MouseState,
  moveMouse,
  resetMouse,
  takeMouseByte,
} from './mouse.ts';
import { Command, Ctr, OutputPort, Source, Status } from './registers.ts';
import { BREAK_PREFIX, SET1_BREAK, translate } from './translation.ts';

const DATA_PORT = 0x60;
const COMMAND_PORT = 0x64;
const KEYBOARD_IRQ = 1;
const MOUSE_IRQ = 12;
const RAM_SIZE = 32;

interface I8042State {
  /** Controller RAM; byte 0 is the command byte. */
  ram: Uint8Array;
  outputPort: number;
  /** Command that waits for its byte at the data port; 0: none. */
  command: number;
  /** Last write was a command (status bit 3). */
  isCommand: boolean;
  /** Output buffer: byte, whether it is full, and whose byte it is. */
  output: number;
  isFull: boolean;
  source: number;
  /** Answers of the controller that wait. */
  replies: ByteQueue;
  /** A translated break prefix was swallowed. */
  isBreak: boolean;
  /** Device bytes come not before this time. */
  nextByteAt: number;
  gap: DeviceTimer;
  keyboard: KeyboardState;
  mouse: MouseState;
}

const queueFields = (size: number) => [
  field.buffer('data', size),
  field.u16('head', { max: size - 1 }),
  field.u16('count', { max: size }),
];
const MOVEMENT = { min: -MAX_PENDING_MOVEMENT, max: MAX_PENDING_MOVEMENT };

const VMSTATE = defineVmState<I8042State>({
  name: 'i8042',
  version: 1,
  fields: [
    field.buffer('ram', RAM_SIZE),
    field.u8('outputPort'),
    field.u8('command'),
    field.bool('isCommand'),
    field.u8('output'),
    field.bool('isFull'),
    field.u8('source', { max: Source.MOUSE }),
    field.struct('replies', queueFields(REPLY_QUEUE_SIZE)),
    field.bool('isBreak'),
    field.u64('nextByteAt', { max: 2 ** 52 }),
    field.timer('gap'),
    field.struct('keyboard', [
      field.struct('replies', queueFields(REPLY_QUEUE_SIZE)),
      field.struct('keys', queueFields(KEY_QUEUE_SIZE)),
      field.u8('command'),
      field.u8('scanSet', { min: 1, max: 3 }),
      field.u8('leds', { max: 7 }),
      field.u8('typematic', { max: 0x7f }),
      field.bool('isScanning'),
      field.bool('sendsBreaks'),
      field.u8('lastByte'),
      field.buffer('held', HELD_SIZE, { max: 1 }),
      field.i32('repeatKey', { min: -1, max: KEYS.length - 1 }),
      field.timer('repeat'),
    ]),
    field.struct('mouse', [
      field.struct('replies', queueFields(REPLY_QUEUE_SIZE)),
      field.struct('packets', queueFields(MOUSE_QUEUE_SIZE)),
      field.u8('command'),
      field.u8('deviceId', { max: 3 }),
      field.u8('sampleRate'),
      field.u8('knock1'),
      field.u8('knock2'),
      field.u8('resolution', { max: 3 }),
      field.bool('isScaled'),
      field.bool('isRemote'),
      field.bool('isWrapping'),
      field.bool('isReporting'),
      field.u8('buttons', { max: 7 }),
      field.u8('sentButtons', { max: 7 }),
      field.i32('dx', MOVEMENT),
      field.i32('dy', MOVEMENT),
      field.i32('dz', MOVEMENT),
      field.u8('lastByte'),
    ]),
  ],
});

export class KeyboardController extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: I8042State;
  readonly #a20: Irq;
  readonly #dataRegion: MemoryRegion;
  readonly #commandRegion: MemoryRegion;
  #keyboardIrq: Irq | null = null;
  #mouseIrq: Irq | null = null;

  constructor(init: DeviceInit) {
    super(init);
    this.#a20 = this.defineGpioOut('a20', 1)[0] as Irq;
    const { clock } = this.env;
    this.state = {
      ram: new Uint8Array(RAM_SIZE),
      outputPort: OutputPort.DEFAULT,
      command: 0,
      isCommand: false,
      output: 0,
      isFull: false,
      source: Source.CONTROLLER,
      replies: makeQueue(REPLY_QUEUE_SIZE),
      isBreak: false,
      nextByteAt: 0,
      gap: clock.createTimer(() => this.#load()),
      keyboard: makeKeyboard(clock.createTimer(() => this.#onRepeat())),
      mouse: makeMouse(),
    };
    this.state.ram[0] = Ctr.DEFAULT;
    this.#dataRegion = MemoryRegion.io('i8042-data', 1, {
      read: () => this.#readData(),
      write: (_offset, value) => this.#writeData(value),
    });
    this.#commandRegion = MemoryRegion.io('i8042-cmd', 1, {
      read: () => this.#readStatus(),
      write: (_offset, value) => this.#writeCommand(value),
    });
  }

  protected override onRealize(): void {
    const bus = this.parentBus as IsaBus;
    this.#keyboardIrq = bus.irq(KEYBOARD_IRQ);
    this.#mouseIrq = bus.irq(MOUSE_IRQ);
    bus.io.add(DATA_PORT, this.#dataRegion);
    bus.io.add(COMMAND_PORT, this.#commandRegion);
  }

  protected override onUnrealize(): void {
    this.state.gap.del();
    this.state.keyboard.repeat.del();
    this.#dataRegion.unmap();
    this.#commandRegion.unmap();
    this.#keyboardIrq?.lower();
    this.#mouseIrq?.lower();
  }

  protected override onReset(): void {
    const s = this.state;
    s.ram.fill(0);
    s.ram[0] = Ctr.DEFAULT;
    s.outputPort = OutputPort.DEFAULT;
    s.command = s.output = s.nextByteAt = 0;
    s.source = Source.CONTROLLER;
    s.isCommand = s.isFull = s.isBreak = false;
    clearQueue(s.replies);
    s.gap.del();
    resetKeyboard(s.keyboard);
    resetMouse(s.mouse);
  }

  protected override onResetExit(): void {
    this.#updateLines();
  }

  override onPostLoad(): void {
    this.#updateLines();
  }

  /** A key goes down or up; names as in `KEYS`. False: no such key, or it could not be told to the guest. */
  pressKey(name: string, isDown: boolean): boolean {
    const isTaken = pressOnKeyboard(this.state.keyboard, name, isDown, this.env.clock);
    this.#load();
    return isTaken;
  }

  /** The mouse moves (pixels, downwards positive; wheel notches), with these buttons down: bit 0 left, 1 right, 2 middle. */
  mouseMove(dx: number, dy: number, dz: number, buttons: number): void {
    moveMouse(this.state.mouse, dx, dy, dz, buttons);
    this.#load();
  }

  /** Bit 0 scroll lock, 1 num lock, 2 caps lock. */
  get leds(): number {
    return this.state.keyboard.leds;
  }

  get #ctr(): number {
    return this.state.ram[0] as number;
  }

  #readStatus(): number {
    const s = this.state;
    let status = Status.UNLOCKED | (this.#ctr & Status.SYSTEM);
    if (s.isFull) status |= Status.OUTPUT_FULL | (s.source === Source.MOUSE ? Status.AUX_FULL : 0);
    if (s.isCommand) status |= Status.COMMAND;
    return status;
  }

  /** An empty buffer shows its last byte. */
  #readData(): number {
    const s = this.state;
    const byte = s.output;
    if (s.isFull) {
      s.isFull = false;
      s.nextByteAt = this.env.clock.now() + BYTE_GAP_NS;
      this.#updateLines();
      this.#load();
    }
    return byte;
  }

  #onRepeat(): void {
    repeatKey(this.state.keyboard, this.env.clock);
    this.#load();
  }

  /** Fills the empty output buffer: first with the controller's answers, then from devices whose clock is not held. */
  #load(): void {
    const s = this.state;
    while (!s.isFull) {
      if (s.replies.count > 0) {
        this.#fill(dequeue(s.replies), Source.CONTROLLER);
        return;
      }
      const isKeyboard = (this.#ctr & Ctr.KEYBOARD_OFF) === 0 && keyboardHasByte(s.keyboard);
      if (!isKeyboard && ((this.#ctr & Ctr.MOUSE_OFF) !== 0 || !mouseHasByte(s.mouse))) return;
      if (this.env.clock.now() < s.nextByteAt) {
        s.gap.mod(s.nextByteAt);
        return;
      }
      if (isKeyboard)
        this.#fillFromKeyboard(takeKeyboardByte(s.keyboard)); // a break prefix may leave the buffer empty
      else this.#fill(takeMouseByte(s.mouse), Source.MOUSE);
    }
  }

  #fillFromKeyboard(byte: number): void {
    const s = this.state;
    if ((this.#ctr & Ctr.TRANSLATE) === 0) {
      s.isBreak = false;
      this.#fill(byte, Source.KEYBOARD);
    } else if (byte === BREAK_PREFIX) {
      s.isBreak = true;
    } else {
      this.#fill(translate(byte) | (s.isBreak ? SET1_BREAK : 0), Source.KEYBOARD);
      s.isBreak = false;
    }
  }

  #fill(byte: number, source: number): void {
    const s = this.state;
    s.output = byte;
    s.source = source;
    s.isFull = true;
    this.#updateLines();
  }

  #reply(byte: number): void {
    enqueue(this.state.replies, byte);
  }

  #writeCommand(command: number): void {
    const s = this.state;
    s.isCommand = true;
    s.command = 0;
    if (command >= Command.READ_RAM && command < Command.READ_RAM + RAM_SIZE) {
      this.#reply(s.ram[command - Command.READ_RAM] as number);
    } else if (command >= Command.PULSE) {
      if ((command & OutputPort.NOT_RESET) === 0) this.env.system.reset('keyboard controller');
    } else {
      this.#obey(command);
    }
    this.#load();
  }

  #obey(command: number): void {
    const s = this.state;
    switch (command) {
      case Command.TEST_PASSWORD:
        this.#reply(0xf1); // none installed
        return;
      case Command.MOUSE_OFF:
        this.#writeCtr(this.#ctr | Ctr.MOUSE_OFF);
        return;
      case Command.MOUSE_ON:
        this.#writeCtr(this.#ctr & ~Ctr.MOUSE_OFF);
        return;
      case Command.TEST_MOUSE:
      case Command.TEST_KEYBOARD:
      case Command.READ_TEST_INPUTS:
        this.#reply(0x00);
        return;
      case Command.SELF_TEST:
        this.#writeCtr(this.#ctr | Ctr.SYSTEM);
        this.#reply(0x55);
        return;
      case Command.KEYBOARD_OFF:
        this.#writeCtr(this.#ctr | Ctr.KEYBOARD_OFF);
        return;
      case Command.KEYBOARD_ON:
        this.#writeCtr(this.#ctr & ~Ctr.KEYBOARD_OFF);
        return;
      case Command.READ_INPUT_PORT:
        this.#reply(0x80); // not locked
        return;
      case Command.READ_OUTPUT_PORT:
        this.#reply(this.#outputPort());
        return;
      case Command.A20_OFF:
        this.#writeOutputPort(s.outputPort & ~OutputPort.A20);
        return;
      case Command.A20_ON:
        this.#writeOutputPort(s.outputPort | OutputPort.A20);
        return;
      case Command.WRITE_OUTPUT_PORT:
      case Command.WRITE_KEYBOARD_BUFFER:
      case Command.WRITE_MOUSE_BUFFER:
      case Command.WRITE_MOUSE:
        s.command = command;
        return;
      default:
        if (command >= Command.WRITE_RAM && command < Command.WRITE_RAM + RAM_SIZE) s.command = command;
        else this.trace('unknown-command', command);
    }
  }

  #writeData(value: number): void {
    const s = this.state;
    const { command } = s;
    s.isCommand = false;
    s.command = 0;
    if (command >= Command.WRITE_RAM && command < Command.WRITE_RAM + RAM_SIZE) {
      if (command === Command.WRITE_RAM) this.#writeCtr(value);
      else s.ram[command - Command.WRITE_RAM] = value;
    } else if (command === Command.WRITE_OUTPUT_PORT) {
      this.#writeOutputPort(value);
    } else if (command === Command.WRITE_KEYBOARD_BUFFER || command === Command.WRITE_MOUSE_BUFFER) {
      this.#fill(value, command === Command.WRITE_MOUSE_BUFFER ? Source.MOUSE : Source.KEYBOARD);
    } else if (command === Command.WRITE_MOUSE) {
      this.#writeCtr(this.#ctr & ~Ctr.MOUSE_OFF); // sending releases the clock
      commandToMouse(s.mouse, value);
    } else {
      this.#writeCtr(this.#ctr & ~Ctr.KEYBOARD_OFF);
      commandToKeyboard(s.keyboard, value);
    }
    this.#load();
  }

  #writeCtr(value: number): void {
    this.state.ram[0] = value;
    this.#updateLines();
  }

  /** Bits 4 and 5 are the interrupt lines themselves. */
  #outputPort(): number {
    const s = this.state;
    const full = !s.isFull ? 0 : s.source === Source.MOUSE ? OutputPort.MOUSE_FULL : OutputPort.KEYBOARD_FULL;
    return (s.outputPort & ~(OutputPort.MOUSE_FULL | OutputPort.KEYBOARD_FULL)) | full;
  }

  #writeOutputPort(value: number): void {
    this.state.outputPort = value;
    this.#updateLines();
    if ((value & OutputPort.NOT_RESET) === 0) this.env.system.reset('keyboard controller');
  }

  #updateLines(): void {
    const s = this.state;
    const isMouse = s.source === Source.MOUSE;
    this.#keyboardIrq?.set(s.isFull && !isMouse && (this.#ctr & Ctr.KEYBOARD_INT) !== 0);
    this.#mouseIrq?.set(s.isFull && isMouse && (this.#ctr & Ctr.MOUSE_INT) !== 0);
    this.#a20.set((s.outputPort & OutputPort.A20) !== 0);
  }
}

export const I8042 = defineDevice({
  name: 'i8042',
  description: 'Keyboard controller 8042 with keyboard and mouse',
  bus: 'isa',
  userCreatable: false,
  properties: {},
  create: (init) => new KeyboardController(init),
});
