/** When the alarm matches next. MC146818A data sheet, "Alarm bytes": a byte with both top bits set matches anything. */
import { decode, decodeHour } from './calendar.ts';
import { ALARM_ANY, Reg } from './registers.ts';

const ANY = -1;

/** Seconds from `now` (second of the day) to the next match, 1 to 86400; 0 when the bytes can never match. */
export function secondsToAlarm(cmos: Uint8Array, registerB: number, now: number): number {
  const isAny = (value: number): boolean => (value & ALARM_ANY) === ALARM_ANY;
  const s = cmos[Reg.SECONDS_ALARM] as number;
  const m = cmos[Reg.MINUTES_ALARM] as number;
  const h = cmos[Reg.HOURS_ALARM] as number;
  const second = isAny(s) ? ANY : decode(s, registerB);
  const minute = isAny(m) ? ANY : decode(m, registerB);
  const hour = isAny(h) ? ANY : decodeHour(h, registerB);
  if (second > 59 || minute > 59 || hour > 23) return 0;
  // whole hours are skipped, then whole minutes: at most 2 * (24 + 60 + 60) steps, as there is a match within a day
  for (let t = now + 1; ;) {
    if (hour !== ANY && Math.floor(t / 3600) % 24 !== hour) t = (Math.floor(t / 3600) + 1) * 3600;
    else if (minute !== ANY && Math.floor(t / 60) % 60 !== minute) t = (Math.floor(t / 60) + 1) * 60;
    else if (second !== ANY && t % 60 !== second) t++;
    else return t - now;
  }
}
