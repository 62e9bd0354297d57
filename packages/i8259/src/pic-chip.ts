/**
 * One 8259A: requests, masks, priorities, commands. Pure state functions, no lines: the pair (`i8259.ts`) wires two of
 * them. Intel 8259A data sheet (231468-003). Not here: MCS-80 call mode and buffered mode, whose bits are stored only.
 * A request of an edge-triggered input stays latched when the line falls again, as long as it is not acknowledged.
 */
import {
  ICW1,
  ICW1_IC4,
  ICW1_LTIM,
  ICW1_SNGL,
  ICW2_MASK,
  ICW4_AEOI,
  ICW4_MASK,
  ICW4_SFNM,
  Ocw2,
  OCW3,
  OCW3_ESMM,
  OCW3_POLL,
  OCW3_RIS,
  OCW3_RR,
  OCW3_SMM,
  POLL_INTERRUPT,
} from './registers.ts';

/** Which initialization word port A0 = 1 expects. */
export const InitStep = { NONE: 0, ICW2: 1, ICW3: 2, ICW4: 3 } as const;

export interface PicChipState {
  /** Levels of the inputs. */
  lines: number;
  irr: number;
  isr: number;
  imr: number;
  /** Inputs that are level-triggered (the PC's ELCR, outside the chip). */
  elcr: number;
  vectorBase: number;
  icw1: number;
  icw3: number;
  icw4: number;
  initStep: number;
  /** The level with the lowest priority. */
  lowest: number;
  readIsr: boolean;
  poll: boolean;
  specialMask: boolean;
  rotateOnAeoi: boolean;
}

/** Power-on: everything masked until initialized (the data sheet leaves it undefined). */
export function makePicChip(): PicChipState {
  return {
    lines: 0,
    irr: 0,
    isr: 0,
    imr: 0xff,
    elcr: 0,
    vectorBase: 0,
    icw1: 0,
    icw3: 0,
    icw4: 0,
    initStep: InitStep.NONE,
    lowest: 7,
    readIsr: false,
    poll: false,
    specialMask: false,
    rotateOnAeoi: false,
  };
}

/** Reset of the board; the levels of the inputs and ELCR belong to others and stay. */
export function resetPicChip(c: PicChipState): void {
  c.isr = c.vectorBase = c.icw1 = c.icw3 = c.icw4 = 0;
  c.imr = 0xff;
  c.initStep = InitStep.NONE;
  c.lowest = 7;
  c.readIsr = c.poll = c.specialMask = c.rotateOnAeoi = false;
  c.irr = c.lines & levelInputs(c);
}

/** LTIM makes all inputs level-triggered. */
export function levelInputs(c: PicChipState): number {
  return (c.icw1 & ICW1_LTIM) !== 0 ? 0xff : c.elcr;
}

/** An input changes, or is driven again with the level it has. */
export function setLine(c: PicChipState, line: number, level: number): void {
  const bit = 1 << line;
  if ((levelInputs(c) & bit) !== 0) {
    c.irr = level ? c.irr | bit : c.irr & ~bit;
  } else if (level && (c.lines & bit) === 0) {
    c.irr |= bit;
  }
  c.lines = level ? c.lines | bit : c.lines & ~bit;
}

/** The trigger mode of an input changes; a level-triggered request is the line itself. */
export function setElcr(c: PicChipState, line: number, isLevel: boolean): void {
  const bit = 1 << line;
  c.elcr = isLevel ? c.elcr | bit : c.elcr & ~bit;
  if (isLevel) c.irr = (c.irr & ~bit) | (c.lines & bit);
}

/** The level with the highest priority of a non-empty set. */
function highest(c: PicChipState, set: number): number {
  let level = (c.lowest + 1) & 7;
  while ((set & (1 << level)) === 0) level = (level + 1) & 7;
  return level;
}

/** 0 is the highest priority. */
function priority(c: PicChipState, level: number): number {
  return (level + 7 - c.lowest) & 7;
}

/** The level that INT asks for, or -1. `cascade` is the slave's line on a master, or -1. */
export function pendingLevel(c: PicChipState, cascade: number): number {
  if (c.initStep !== InitStep.NONE) return -1;
  const requests = c.irr & ~c.imr;
  if (requests === 0) return -1;
  const wanted = highest(c, requests);
  // special mask mode: a masked level in service holds nobody back
  const inService = c.specialMask ? c.isr & ~c.imr : c.isr;
  if (inService === 0) return wanted;
  const serving = highest(c, inService);
  if (priority(c, wanted) < priority(c, serving)) return wanted;
  // special fully nested mode: the slave in service may ask again
  return wanted === serving && wanted === cascade && (c.icw4 & ICW4_SFNM) !== 0 ? wanted : -1;
}

/** The acknowledge cycle for `level`. */
export function takeInService(c: PicChipState, level: number): void {
  const bit = 1 << level;
  if ((levelInputs(c) & bit) === 0) c.irr &= ~bit;
  if ((c.icw4 & ICW4_AEOI) === 0) c.isr |= bit;
  else if (c.rotateOnAeoi) c.lowest = level;
}

/** Reads A0 = 0 or 1, except in poll mode, which is the caller's (it is an acknowledge). */
export function readPic(c: PicChipState, a0: number): number {
  if (a0 === 1) return c.imr;
  return c.readIsr ? c.isr : c.irr;
}

/** The poll word; acknowledges. */
export function readPoll(c: PicChipState, cascade: number): number {
  c.poll = false;
  const level = pendingLevel(c, cascade);
  if (level < 0) return 0;
  takeInService(c, level);
  return POLL_INTERRUPT | level;
}

export function writePic(c: PicChipState, a0: number, value: number): void {
  if (a0 === 1) writeA1(c, value);
  else if (value & ICW1) writeIcw1(c, value);
  else if (value & OCW3) writeOcw3(c, value);
  else writeOcw2(c, value);
}

/** "Initialization Command Words 1 and 2", items a to f. */
function writeIcw1(c: PicChipState, value: number): void {
  c.icw1 = value;
  c.imr = c.isr = 0;
  c.lowest = 7;
  c.specialMask = c.readIsr = c.poll = c.rotateOnAeoi = false;
  if ((value & ICW1_IC4) === 0) c.icw4 = 0;
  c.irr = c.lines & levelInputs(c); // the edge sense circuit is reset
  c.initStep = InitStep.ICW2;
}

function writeA1(c: PicChipState, value: number): void {
  switch (c.initStep) {
    case InitStep.ICW2:
      c.vectorBase = value & ICW2_MASK;
      c.initStep = (c.icw1 & ICW1_SNGL) === 0 ? InitStep.ICW3 : icw4OrDone(c);
      return;
    case InitStep.ICW3:
      c.icw3 = value;
      c.initStep = icw4OrDone(c);
      return;
    case InitStep.ICW4:
      c.icw4 = value & ICW4_MASK;
      c.initStep = InitStep.NONE;
      return;
    default:
      c.imr = value;
  }
}

function icw4OrDone(c: PicChipState): number {
  return (c.icw1 & ICW1_IC4) !== 0 ? InitStep.ICW4 : InitStep.NONE;
}

function writeOcw2(c: PicChipState, value: number): void {
  const level = value & 7;
  switch (value >> 5) {
    case Ocw2.ROTATE_AEOI_CLEAR:
      c.rotateOnAeoi = false;
      return;
    case Ocw2.ROTATE_AEOI_SET:
      c.rotateOnAeoi = true;
      return;
    case Ocw2.EOI:
    case Ocw2.ROTATE_EOI: {
      // special mask mode: a non-specific EOI does not reach masked levels
      const inService = c.specialMask ? c.isr & ~c.imr : c.isr;
      if (inService === 0) return;
      const ended = highest(c, inService);
      c.isr &= ~(1 << ended);
      if (value >> 5 === Ocw2.ROTATE_EOI) c.lowest = ended;
      return;
    }
    case Ocw2.SPECIFIC_EOI:
      c.isr &= ~(1 << level);
      return;
    case Ocw2.ROTATE_SPECIFIC_EOI:
      c.isr &= ~(1 << level);
      c.lowest = level;
      return;
    case Ocw2.SET_PRIORITY:
      c.lowest = level;
      return;
    default:
  }
}

function writeOcw3(c: PicChipState, value: number): void {
  c.poll = (value & OCW3_POLL) !== 0;
  if (value & OCW3_RR) c.readIsr = (value & OCW3_RIS) !== 0;
  if (value & OCW3_ESMM) c.specialMask = (value & OCW3_SMM) !== 0;
}
