/** The parts that own the terminal: guard, escape keys, input queue, output buffer, timestamps. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEscapeKeys, type EscapeCommand } from './escape-keys.ts';
import { createInputQueue, HIGH_MARK } from './input-queue.ts';
import { createOutputBuffer } from './output-buffer.ts';
import { createTerminalGuard, RESET_SEQUENCE } from './terminal-guard.ts';
import { createTimestamps } from './timestamps.ts';

const bytes = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
const text = (b: Uint8Array): string => String.fromCharCode(...b);

describe('terminal guard', () => {
  const setup = () => {
    const modes: boolean[] = [];
    const written: string[] = [];
    return {
      modes,
      written,
      guard: createTerminalGuard({ isTTY: true, setRawMode: (m: boolean) => modes.push(m) }, true, (s) =>
        written.push(s),
      ),
    };
  };
  it('restores once, and resets the screen only when the guest wrote to it', () => {
    const a = setup();
    a.guard.enter();
    a.guard.leave();
    a.guard.leave();
    expect([a.modes, a.written]).toEqual([[true, false], []]);
    const b = setup();
    b.guard.enter();
    b.guard.noteGuestOutput();
    b.guard.leave();
    b.guard.leave();
    expect([b.modes, b.written]).toEqual([[true, false], [RESET_SEQUENCE]]);
  });
  it('leaves a pipe alone', () => {
    const written: string[] = [];
    const guard = createTerminalGuard({ isTTY: false }, false, (s) => written.push(s));
    guard.enter();
    guard.noteGuestOutput();
    guard.leave();
    expect([guard.isRaw, written]).toEqual([false, []]);
  });
});

describe('escape keys', () => {
  const feed = (...chunks: string[]) => {
    const events: string[] = [];
    const keys = createEscapeKeys(1);
    for (const chunk of chunks)
      keys.feed(
        bytes(chunk),
        (b) => events.push(text(b)),
        (c: EscapeCommand) => events.push(`<${c}>`),
      );
    return events;
  };
  it('passes bytes, runs commands in order, sends C-a for C-a C-a', () => {
    expect(feed('ab\x01hcd\x01\x01e')).toEqual(['ab', '<help>', 'cd', '\x01e']);
    expect(feed('\x01x')).toEqual(['<quit>']);
    expect(feed('\x01b\x01s\x01c\x01t\x01z')).toEqual(['<break>', '<save>', '<monitor>', '<timestamps>', '<suspend>']);
  });
  it('works across chunks and swallows unknown letters', () => {
    expect(feed('a\x01', 'x')).toEqual(['a', '<quit>']);
    expect(feed('\x01', '\x01', 'z')).toEqual(['\x01', 'z']);
    expect(feed('\x01qrs')).toEqual(['rs']);
  });
  it('gives the same for any cutting of the input', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '\x01', 'x', 'h', '\r'), { maxLength: 30 }),
        fc.array(fc.nat(29), { maxLength: 5 }),
        (letters, cuts) => {
          const whole = letters.join('');
          const pieces: string[] = [];
          let from = 0;
          for (const cut of [...new Set(cuts)].sort((a, b) => a - b)) {
            if (cut <= from || cut >= whole.length) continue;
            pieces.push(whole.slice(from, cut));
            from = cut;
          }
          pieces.push(whole.slice(from));
          expect(feed(...pieces).join('')).toBe(feed(whole).join(''));
        },
      ),
      { seed: 7, numRuns: 300 },
    );
  });
});

describe('input queue', () => {
  it('loses nothing of a paste and pauses its source while it is full', () => {
    const calls: string[] = [];
    const queue = createInputQueue({ pause: () => calls.push('pause'), resume: () => calls.push('resume') });
    const paste = Uint8Array.from({ length: 3 * HIGH_MARK }, (_, i) => i & 0xff);
    for (let at = 0; at < paste.length; at += 1000) queue.push(paste.subarray(at, at + 1000));
    expect(calls).toEqual(['pause']);
    const got: number[] = [];
    for (let part = queue.take(16); part.length > 0; part = queue.take(16)) got.push(...part);
    expect(Uint8Array.from(got)).toEqual(paste);
    expect(calls).toEqual(['pause', 'resume']);
    expect(queue.length).toBe(0);
  });
});

describe('output buffer', () => {
  it('writes once a turn, in order, and at once when it is full', async () => {
    const pieces: number[] = [];
    const buffer = createOutputBuffer((b) => pieces.push(b.length));
    for (let i = 0; i < 1000; i++) buffer.write(bytes('x'));
    expect(pieces).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(pieces).toEqual([1000]);
    for (let i = 0; i < 20; i++) buffer.write(new Uint8Array(1000));
    buffer.write(new Uint8Array(100_000));
    buffer.flush();
    expect(pieces.reduce((a, b) => a + b)).toBe(121_000);
    expect(pieces.length).toBe(4);
  });
});

describe('timestamps', () => {
  it('stand before each line while on', () => {
    let now = 0;
    const stamps = createTimestamps(() => now);
    expect(text(stamps.apply(bytes('a\n')))).toBe('a\n');
    stamps.on = true;
    now = 61_005;
    expect(text(stamps.apply(bytes('b\nc')))).toBe('[01:01.005] b\n[01:01.005] c');
    expect(text(stamps.apply(bytes('d\n')))).toBe('d\n');
  });
});
