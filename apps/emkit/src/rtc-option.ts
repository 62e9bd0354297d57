/** -rtc: base=utc|localtime|DATE, clock=host|rt|vm. A DATE is what the guest's clock shows at start. */
import { OptionError } from './option-error.ts';
import { parseKeyValues, type Token } from './tokenizer.ts';

export interface RtcConfig {
  readonly startMs: number | undefined;
  readonly zone: 'utc' | 'localtime';
  readonly clock: 'host' | 'rt' | 'vm';
}

export function parseRtc(token: Token, previous: RtcConfig): RtcConfig {
  const keys = parseKeyValues(token, undefined, ['base', 'clock', 'driftfix']);
  let { startMs, zone, clock } = previous;
  const base = keys.get('base');
  if (base === 'utc' || base === 'localtime') {
    zone = base;
    startMs = undefined;
  } else if (base !== undefined) {
    const m = /^(\d{4})-(\d\d?)-(\d\d?)(?:T(\d\d?):(\d\d):(\d\d))?$/.exec(base);
    const parts = m === null ? [] : m.slice(1).map((x) => Number(x ?? 0));
    const ms = Date.UTC(parts[0] ?? NaN, (parts[1] ?? NaN) - 1, parts[2], parts[3] ?? 0, parts[4] ?? 0, parts[5] ?? 0);
    // Date.UTC carries over (month 13, hour 25): the round trip tells.
    const date = new Date(ms);
    const same =
      !Number.isNaN(ms) &&
      date.getUTCMonth() + 1 === parts[1] &&
      date.getUTCDate() === parts[2] &&
      date.getUTCHours() === (parts[3] ?? 0);
    if (!same)
      throw new OptionError(
        `invalid datetime format\nvalid formats: '2006-06-17T16:01:21' or '2006-06-17'`,
        `${token.typed}: or base=utc, base=localtime`,
      );
    startMs = ms;
    zone = 'utc';
  }
  const source = keys.get('clock');
  if (source !== undefined) {
    if (source !== 'host' && source !== 'rt' && source !== 'vm')
      throw new OptionError(`invalid option value '${source}'`, `${token.typed}: clock is host, rt or vm`);
    clock = source;
  }
  const drift = keys.get('driftfix');
  if (drift !== undefined && drift !== 'none' && drift !== 'slew')
    throw new OptionError(`invalid option value '${drift}'`, `${token.typed}: driftfix is none or slew`);
  return { startMs, zone, clock };
}
