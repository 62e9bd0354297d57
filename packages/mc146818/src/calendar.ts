/**
 * Time and date between the chip's registers and plain numbers, in the guest's format (BCD or binary, 12 or 24 hours).
 * Registers may hold nonsense, as the guest may write any byte: values are brought into range when they are used.
 */
import { B_24H, B_DM_BINARY, HOURS_PM, Reg } from './registers.ts';

export interface CalendarTime {
  second: number;
  minute: number;
  hour: number;
  /** 1 = Sunday. */
  weekday: number;
  day: number;
  month: number;
  /** All four digits. */
  year: number;
}

const SECONDS_PER_DAY = 86_400;
const MS_PER_DAY = 86_400_000;

export function decode(value: number, registerB: number): number {
  return (registerB & B_DM_BINARY) !== 0 ? value : (value >> 4) * 10 + (value & 15);
}

export function encode(value: number, registerB: number): number {
  return (registerB & B_DM_BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

export function decodeHour(value: number, registerB: number): number {
  if ((registerB & B_24H) !== 0) return decode(value, registerB);
  const hour = decode(value & ~HOURS_PM, registerB) % 12;
  return (value & HOURS_PM) !== 0 ? hour + 12 : hour;
}

export function encodeHour(hour: number, registerB: number): number {
  if ((registerB & B_24H) !== 0) return encode(hour, registerB);
  const text = encode(hour % 12 === 0 ? 12 : hour % 12, registerB);
  return hour >= 12 ? text | HOURS_PM : text;
}

function clamp(value: number, min: number, max: number): number {
  return value < min ? min : value > max ? max : value;
}

export function readTime(cmos: Uint8Array, registerB: number): CalendarTime {
  const at = (reg: number): number => decode(cmos[reg] as number, registerB);
  const year = clamp(at(Reg.CENTURY), 0, 99) * 100 + clamp(at(Reg.YEAR), 0, 99);
  const month = clamp(at(Reg.MONTH), 1, 12);
  return {
    second: clamp(at(Reg.SECONDS), 0, 59),
    minute: clamp(at(Reg.MINUTES), 0, 59),
    hour: clamp(decodeHour(cmos[Reg.HOURS] as number, registerB), 0, 23),
    weekday: clamp(at(Reg.WEEKDAY), 1, 7),
    day: clamp(at(Reg.DAY), 1, daysInMonth(year, month)),
    month,
    year,
  };
}

export function writeTime(cmos: Uint8Array, registerB: number, time: CalendarTime): void {
  cmos[Reg.SECONDS] = encode(time.second, registerB);
  cmos[Reg.MINUTES] = encode(time.minute, registerB);
  cmos[Reg.HOURS] = encodeHour(time.hour, registerB);
  cmos[Reg.WEEKDAY] = encode(time.weekday, registerB);
  cmos[Reg.DAY] = encode(time.day, registerB);
  cmos[Reg.MONTH] = encode(time.month, registerB);
  cmos[Reg.YEAR] = encode(time.year % 100, registerB);
  cmos[Reg.CENTURY] = encode(Math.floor(time.year / 100) % 100, registerB);
}

function daysInMonth(year: number, month: number): number {
  return utcDate(year, month, 0).getUTCDate();
}

/** Day 0 of the following month is the last one of `month`. Years below 100 are meant as they are. */
function utcDate(year: number, monthIndex: number, day: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, monthIndex, day);
  return date;
}

export function secondOfDay(time: CalendarTime): number {
  return time.hour * 3600 + time.minute * 60 + time.second;
}

/** `time` moved by whole seconds, forwards or backwards; the year wraps at 10000. */
export function addSeconds(time: CalendarTime, seconds: number): CalendarTime {
  const total = secondOfDay(time) + seconds;
  const days = Math.floor(total / SECONDS_PER_DAY);
  const rest = total - days * SECONDS_PER_DAY;
  const date = utcDate(time.year, time.month - 1, time.day);
  date.setTime(date.getTime() + days * MS_PER_DAY);
  const year = ((date.getUTCFullYear() % 10_000) + 10_000) % 10_000;
  return {
    second: rest % 60,
    minute: Math.floor(rest / 60) % 60,
    hour: Math.floor(rest / 3600),
    weekday: ((((time.weekday - 1 + days) % 7) + 7) % 7) + 1,
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    year,
  };
}

/** Broken-down UTC of ms since 1970. */
export function fromEpochMs(ms: number): CalendarTime {
  const date = new Date(ms);
  return {
    second: date.getUTCSeconds(),
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    weekday: date.getUTCDay() + 1,
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    year: date.getUTCFullYear(),
  };
}
