/**
 * PS/2 mouse with three buttons and, after its knock, a wheel. State and pure functions; the controller moves the bytes.
 * IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft "IntelliMouse" protocol (sample rates 200, 100, 80).
 * Movement that the guest does not take is summed up and bounded. Not here: sample rate in time, five buttons.
 */
import { type ByteQueue, clearQueue, dequeue, enqueue, makeQueue, roomIn } from './byte-queue.ts';
import { ACK, RESEND, SELF_TEST_PASSED } from './keyboard.ts';
import { MAX_PENDING_MOVEMENT, MOUSE_QUEUE_SIZE, REPLY_QUEUE_SIZE } from './limits.ts';

const Command = {
  SCALING_1: 0xe6,
  SCALING_2: 0xe7,
  RESOLUTION: 0xe8,
  STATUS: 0xe9,
  STREAM: 0xea,
  READ: 0xeb,
  RESET_WRAP: 0xec,
  SET_WRAP: 0xee,
  REMOTE: 0xf0,
  IDENTIFY: 0xf2,
  SAMPLE_RATE: 0xf3,
  ENABLE: 0xf4,
  DISABLE: 0xf5,
  DEFAULTS: 0xf6,
  RESEND: 0xfe,
  RESET: 0xff,
} as const;

/** Device IDs. */
const PLAIN = 0;
const WHEEL = 3;
const BUTTON_MASK = 7;

/** Bits of a packet's first byte. */
const ALWAYS_ONE = 1 << 3;
const X_SIGN = 1 << 4;
const Y_SIGN = 1 << 5;

export interface MouseState {
  replies: ByteQueue;
  packets: ByteQueue;
  command: number;
  deviceId: number;
  sampleRate: number;
  /** The two sample rates before. */
  knock1: number;
  knock2: number;
  resolution: number;
  isScaled: boolean;
  isRemote: boolean;
  isWrapping: boolean;
  isReporting: boolean;
  buttons: number;
  /** Buttons as last reported. */
  sentButtons: number;
  dx: number;
  /** Upwards, as in packets. */
  dy: number;
  dz: number;
  lastByte: number;
}

export function makeMouse(): MouseState {
  return {
    replies: makeQueue(REPLY_QUEUE_SIZE),
    packets: makeQueue(MOUSE_QUEUE_SIZE),
    command: 0,
    deviceId: PLAIN,
    sampleRate: 100,
    knock1: 0,
    knock2: 0,
    resolution: 2,
    isScaled: false,
    isRemote: false,
    isWrapping: false,
    isReporting: false,
    buttons: 0,
    sentButtons: 0,
    dx: 0,
    dy: 0,
    dz: 0,
    lastByte: 0,
  };
}

export function resetMouse(m: MouseState): void {
  clearQueue(m.replies);
  m.command = m.knock1 = m.knock2 = m.lastByte = 0;
  m.deviceId = PLAIN;
  m.isWrapping = false;
  setDefaults(m);
}

function setDefaults(m: MouseState): void {
  m.sampleRate = 100;
  m.resolution = 2;
  m.isScaled = m.isRemote = m.isReporting = false;
  forgetMovement(m);
}

function forgetMovement(m: MouseState): void {
  clearQueue(m.packets);
  m.dx = m.dy = m.dz = 0;
  m.sentButtons = m.buttons;
}

/** A byte from the system. */
export function commandToMouse(m: MouseState, byte: number): void {
  if (m.isWrapping && byte !== Command.RESET_WRAP && byte !== Command.RESET) {
    enqueue(m.replies, byte);
    return;
  }
  if (m.command !== 0) {
    const { command } = m;
    m.command = 0;
    takeArgument(m, command, byte);
    return;
  }
  if (byte === Command.RESEND) {
    enqueue(m.replies, m.lastByte);
    return;
  }
  if (!isCommand(byte)) {
    enqueue(m.replies, RESEND);
    return;
  }
  enqueue(m.replies, ACK);
  obey(m, byte);
}

function isCommand(byte: number): boolean {
  return (
    (byte >= Command.SCALING_1 && byte <= Command.RESET_WRAP) ||
    byte === Command.SET_WRAP ||
    byte === Command.REMOTE ||
    (byte >= Command.IDENTIFY && byte <= Command.DEFAULTS) ||
    byte === Command.RESET
  );
}

function obey(m: MouseState, command: number): void {
  switch (command) {
    case Command.SCALING_1:
    case Command.SCALING_2:
      m.isScaled = command === Command.SCALING_2;
      return;
    case Command.RESOLUTION:
    case Command.SAMPLE_RATE:
      m.command = command;
      return;
    case Command.STATUS:
      enqueue(
        m.replies,
        (m.isRemote ? 0x40 : 0) | (m.isReporting ? 0x20 : 0) | (m.isScaled ? 0x10 : 0) | statusButtons(m.buttons),
      );
      enqueue(m.replies, m.resolution);
      enqueue(m.replies, m.sampleRate);
      return;
    case Command.STREAM:
    case Command.REMOTE:
      m.isRemote = command === Command.REMOTE;
      forgetMovement(m);
      return;
    case Command.READ:
      makePacket(m, m.replies);
      return;
    case Command.SET_WRAP:
    case Command.RESET_WRAP:
      m.isWrapping = command === Command.SET_WRAP;
      return;
    case Command.IDENTIFY:
      enqueue(m.replies, m.deviceId);
      return;
    case Command.ENABLE:
    case Command.DISABLE:
      m.isReporting = command === Command.ENABLE;
      forgetMovement(m);
      return;
    case Command.DEFAULTS:
      setDefaults(m);
      return;
    default: // RESET
      resetMouse(m);
      enqueue(m.replies, ACK);
      enqueue(m.replies, SELF_TEST_PASSED);
      enqueue(m.replies, PLAIN);
  }
}

/** In the status the left button is bit 2, in packets bit 0. */
function statusButtons(buttons: number): number {
  return ((buttons & 1) << 2) | ((buttons & 4) >> 1) | ((buttons & 2) >> 1);
}

function takeArgument(m: MouseState, command: number, byte: number): void {
  if (command === Command.RESOLUTION) {
    if (byte > 3) {
      enqueue(m.replies, RESEND);
      return;
    }
    m.resolution = byte;
  } else {
    if (m.knock1 === 200 && m.knock2 === 100 && byte === 80) m.deviceId = WHEEL;
    m.knock1 = m.knock2;
    m.knock2 = byte;
    m.sampleRate = byte;
  }
  enqueue(m.replies, ACK);
}

/** A hand. `dy` and `dz` (wheel notches) grow downwards; buttons: bit 0 left, 1 right, 2 middle. */
export function moveMouse(m: MouseState, dx: number, dy: number, dz: number, buttons: number): void {
  m.dx = bound(m.dx + Math.trunc(dx));
  m.dy = bound(m.dy - Math.trunc(dy));
  m.dz = m.deviceId === WHEEL ? bound(m.dz + Math.trunc(dz)) : 0;
  m.buttons = buttons & BUTTON_MASK;
  reportMovement(m);
}

function bound(value: number): number {
  if (!(value > -MAX_PENDING_MOVEMENT)) return value < 0 ? -MAX_PENDING_MOVEMENT : 0; // NaN is no movement
  return Math.min(value, MAX_PENDING_MOVEMENT);
}

/** In stream mode, queues packets until all has been told or there is no more room. */
export function reportMovement(m: MouseState): void {
  if (!m.isReporting || m.isRemote || m.isWrapping) return;
  while ((m.dx !== 0 || m.dy !== 0 || m.dz !== 0 || m.buttons !== m.sentButtons) && makePacket(m, m.packets)) continue;
}

function makePacket(m: MouseState, queue: ByteQueue): boolean {
  if (roomIn(queue) < 4) return false;
  const x = Math.max(-255, Math.min(255, m.dx));
  const y = Math.max(-255, Math.min(255, m.dy));
  m.dx -= x;
  m.dy -= y;
  m.sentButtons = m.buttons;
  enqueue(queue, ALWAYS_ONE | m.buttons | (x < 0 ? X_SIGN : 0) | (y < 0 ? Y_SIGN : 0));
  enqueue(queue, x & 0xff);
  enqueue(queue, y & 0xff);
  if (m.deviceId === WHEEL) {
    const z = Math.max(-8, Math.min(7, m.dz));
    m.dz -= z;
    enqueue(queue, z & 0xff);
  }
  return true;
}

export function mouseHasByte(m: MouseState): boolean {
  return m.replies.count > 0 || m.packets.count > 0;
}

export function takeMouseByte(m: MouseState): number {
  m.lastByte = dequeue(m.replies.count > 0 ? m.replies : m.packets);
  if (m.packets.count === 0) reportMovement(m);
  return m.lastByte;
}
