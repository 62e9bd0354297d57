/**
 * PS/2 keyboard: scan code sets 1 to 3, typematic, LEDs. State and pure functions; the controller moves the bytes.
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)", "Commands from the system".
 * Not here: per-key modes of set 3 (accepted), fake shifts of the navigation keys, resend of more than the last byte.
 */
import type { DeviceClock, DeviceTimer } from '@emkit/qdev';
import { type ByteQueue, clearQueue, dequeue, enqueue, makeQueue, roomIn } from './byte-queue.ts';
import { keyBytes } from './key-bytes.ts';
import { findKey, KEYS } from './keys.ts';
import { KEY_QUEUE_SIZE, REPLY_QUEUE_SIZE } from './limits.ts';

export const ACK = 0xfa;
export const RESEND = 0xfe;
export const SELF_TEST_PASSED = 0xaa;
const ECHO = 0xee;

const Command = {
  SET_LEDS: 0xed,
  ECHO: 0xee,
  SCAN_SET: 0xf0,
  IDENTIFY: 0xf2,
  TYPEMATIC: 0xf3,
  ENABLE: 0xf4,
  DISABLE: 0xf5,
  DEFAULTS: 0xf6,
  ALL_TYPEMATIC: 0xf7,
  ALL_MAKE_BREAK: 0xf8,
  ALL_MAKE: 0xf9,
  ALL_TYPEMATIC_MAKE_BREAK: 0xfa,
  KEY_TYPEMATIC: 0xfb,
  KEY_MAKE_BREAK: 0xfc,
  KEY_MAKE: 0xfd,
  RESEND: 0xfe,
  RESET: 0xff,
} as const;

/** 10.9 characters a second after 500 ms. */
const DEFAULT_TYPEMATIC = 0x2b;
const NO_KEY = -1;
/** Largest number of keys that `held` has room for. */
export const HELD_SIZE = 128;

export interface KeyboardState {
  replies: ByteQueue;
  keys: ByteQueue;
  /** Command that waits for its argument; 0: none. */
  command: number;
  scanSet: number;
  leds: number;
  typematic: number;
  isScanning: boolean;
  /** Set 3 sends releases. */
  sendsBreaks: boolean;
  lastByte: number;
  /** 1 for each key that is down, by its place in KEYS. */
  held: Uint8Array;
  repeatKey: number;
  repeat: DeviceTimer;
}

export function makeKeyboard(repeat: DeviceTimer): KeyboardState {
  return {
    replies: makeQueue(REPLY_QUEUE_SIZE),
    keys: makeQueue(KEY_QUEUE_SIZE),
    command: 0,
    scanSet: 2,
    leds: 0,
    typematic: DEFAULT_TYPEMATIC,
    isScanning: true,
    sendsBreaks: true,
    lastByte: 0,
    held: new Uint8Array(HELD_SIZE),
    repeatKey: NO_KEY,
    repeat,
  };
}

/** Power-on: the keys that are held stay held, as fingers do not feel a reset. */
export function resetKeyboard(k: KeyboardState): void {
  clearQueue(k.replies);
  k.command = k.leds = k.lastByte = 0;
  setDefaults(k);
  k.isScanning = true;
}

function setDefaults(k: KeyboardState): void {
  k.typematic = DEFAULT_TYPEMATIC;
  k.scanSet = 2;
  k.sendsBreaks = true;
  k.repeatKey = NO_KEY;
  k.repeat.del();
  clearQueue(k.keys);
}

/** A byte from the system. */
export function commandToKeyboard(k: KeyboardState, byte: number): void {
  if (k.command !== 0 && byte < Command.SET_LEDS) {
    const { command } = k;
    k.command = 0;
    takeArgument(k, command, byte);
    return;
  }
  k.command = 0; // a command instead of an argument takes its place
  switch (byte) {
    case Command.ECHO:
      enqueue(k.replies, ECHO);
      return;
    case Command.RESEND:
      enqueue(k.replies, k.lastByte);
      return;
    case Command.SET_LEDS:
    case Command.SCAN_SET:
    case Command.TYPEMATIC:
    case Command.KEY_TYPEMATIC:
    case Command.KEY_MAKE_BREAK:
    case Command.KEY_MAKE:
      k.command = byte;
      break;
    case Command.IDENTIFY:
      enqueue(k.replies, ACK);
      enqueue(k.replies, 0xab);
      enqueue(k.replies, 0x83);
      return;
    case Command.ENABLE:
      k.isScanning = true;
      break;
    case Command.DISABLE:
      setDefaults(k);
      k.isScanning = false;
      break;
    case Command.DEFAULTS:
      setDefaults(k);
      break;
    case Command.ALL_TYPEMATIC:
    case Command.ALL_MAKE:
      k.sendsBreaks = false;
      break;
    case Command.ALL_MAKE_BREAK:
    case Command.ALL_TYPEMATIC_MAKE_BREAK:
      k.sendsBreaks = true;
      break;
    case Command.RESET:
      resetKeyboard(k);
      enqueue(k.replies, ACK);
      enqueue(k.replies, SELF_TEST_PASSED);
      return;
    default:
      enqueue(k.replies, RESEND);
      return;
  }
  enqueue(k.replies, ACK);
}

function takeArgument(k: KeyboardState, command: number, byte: number): void {
  if (command === Command.SCAN_SET) {
    if (byte > 3) {
      enqueue(k.replies, RESEND);
      return;
    }
    enqueue(k.replies, ACK);
    if (byte === 0) enqueue(k.replies, k.scanSet);
    else k.scanSet = byte;
    return;
  }
  if (command === Command.SET_LEDS) k.leds = byte & 7;
  if (command === Command.TYPEMATIC) k.typematic = byte & 0x7f;
  enqueue(k.replies, ACK);
}

/** A finger. False: there is no such key, or the keyboard is not listening or has no room. */
export function pressOnKeyboard(k: KeyboardState, name: string, isDown: boolean, clock: DeviceClock): boolean {
  const index = findKey(name);
  if (index < 0) return false;
  const wasDown = k.held[index] === 1;
  if (wasDown === isDown) return true; // repetition is the keyboard's own work
  k.held[index] = isDown ? 1 : 0;
  if (isDown) {
    k.repeatKey = index;
    k.repeat.mod(clock.now() + (((k.typematic >> 5) & 3) + 1) * 250e6);
  } else if (k.repeatKey === index) {
    k.repeatKey = NO_KEY;
    k.repeat.del();
  }
  return sendKey(k, index, isDown);
}

function sendKey(k: KeyboardState, index: number, isDown: boolean): boolean {
  if (!k.isScanning) return false;
  if (!isDown && k.scanSet === 3 && !k.sendsBreaks) return true;
  const bytes = keyBytes(index, isDown, k.scanSet);
  if (roomIn(k.keys) < bytes.length + (isDown ? KEY_QUEUE_SIZE / 2 : 0)) return false;
  for (const byte of bytes) enqueue(k.keys, byte);
  return true;
}

/** The repeat timer has fired: "Set Typematic Rate/Delay", period (8 + A) * 2^B / 240 s. Only into an empty queue. */
export function repeatKey(k: KeyboardState, clock: DeviceClock): void {
  if (k.repeatKey < 0 || k.repeatKey >= KEYS.length) return;
  if (k.keys.count === 0) sendKey(k, k.repeatKey, true);
  const period = ((8 + (k.typematic & 7)) << ((k.typematic >> 3) & 3)) / 240;
  k.repeat.mod(clock.now() + Math.round(period * 1e9));
}

export function keyboardHasByte(k: KeyboardState): boolean {
  return k.replies.count > 0 || k.keys.count > 0;
}

/** Replies go before keys. */
export function takeKeyboardByte(k: KeyboardState): number {
  k.lastByte = dequeue(k.replies.count > 0 ? k.replies : k.keys);
  return k.lastByte;
}
