/** Behaviour by the PC16550D data sheet, and the probes that operating systems make. */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { FIFO_SIZE, ISA_SERIAL, OUTPUT_BUFFER_SIZE, type Serial, type SerialBackend } from './index.ts';
import { IER_MSI, IER_RDI, IER_RLSI, IER_THRI, MCR_LOOP, MCR_OUT2, Reg } from './registers.ts';

class Line implements SerialBackend {
  output = '';
  readonly input: number[] = [];
  reads = 0;
  onReadable: (() => void) | undefined;
  onBreak: (() => void) | undefined;
  write(bytes: Uint8Array): void {
    this.output += String.fromCharCode(...bytes);
  }
  read(max: number): Uint8Array {
    this.reads++;
    return Uint8Array.from(this.input.splice(0, max));
  }
  send(text: string): void {
    for (const char of text) this.input.push(char.charCodeAt(0));
    this.onReadable?.();
  }
}

const BASE = 0x3f8;
interface Setup {
  bus: FakeBus;
  line: Line;
  uart: Serial;
  get(reg: number): number;
  put(reg: number, value: number): void;
  irq(): number;
}

function setup(): Setup {
  const bus = createFakeBus();
  const line = new Line();
  const uart = bus.add(ISA_SERIAL, { chardev: line });
  return {
    bus,
    line,
    uart,
    get: (reg) => bus.in8(BASE + reg),
    put: (reg, value) => bus.out8(BASE + reg, value),
    irq: () => bus.irqs.levels[4] as number,
  };
}

/** FIFOs on, 8N1, 115200 baud, interrupts let through. */
function open(s: Setup, ier: number, fcr = 0x01): void {
  s.put(Reg.LCR, 0x83);
  s.put(Reg.DATA, 1);
  s.put(Reg.IER, 0);
  s.put(Reg.LCR, 0x03);
  s.put(Reg.IIR_FCR, fcr);
  s.put(Reg.MCR, MCR_OUT2 | 3);
  s.put(Reg.IER, ier);
}

describe('registers', () => {
  it('have their reset values', () => {
    const s = setup();
    expect([1, 2, 3, 4, 5, 6, 7].map((reg) => s.get(reg))).toEqual([0x00, 0x01, 0x00, 0x00, 0x60, 0xb0, 0x00]);
  });

  it('hold what fits them, and the divisor behind DLAB', () => {
    const s = setup();
    for (const reg of [Reg.IER, Reg.LCR, Reg.MCR, Reg.SCR]) s.put(reg, 0x7f);
    expect([Reg.IER, Reg.LCR, Reg.MCR, Reg.SCR].map((reg) => s.get(reg))).toEqual([0x0f, 0x7f, 0x1f, 0x7f]);
    s.put(Reg.LCR, 0x80);
    s.bus.out16(BASE, 0x1234);
    expect([s.get(0), s.get(1)]).toEqual([0x34, 0x12]);
    s.put(Reg.LCR, 0);
    expect(s.get(1)).toBe(0x0f);
  });

  it('pass the loopback, 16550A and THRE tests of an operating system', () => {
    const s = setup();
    s.put(Reg.MCR, MCR_LOOP | 0x0a);
    expect(s.get(Reg.MSR) & 0xf0).toBe(0x90);
    s.put(Reg.MCR, MCR_OUT2);
    s.put(Reg.IIR_FCR, 1);
    expect(s.get(Reg.IIR_FCR) >> 6).toBe(3);
    s.put(Reg.IIR_FCR, 0x21); // no 64-byte FIFO
    expect(s.get(Reg.IIR_FCR) & 0x20).toBe(0);
    for (let i = 0; i < 2; i++) {
      s.put(Reg.IER, IER_THRI);
      expect(s.irq()).toBe(1);
      expect(s.get(Reg.IIR_FCR) & 0x0f).toBe(0x02); // raised again each time it is enabled
      expect(s.get(Reg.IIR_FCR) & 0x0f).toBe(0x01);
      s.put(Reg.IER, 0);
    }
  });

  it('loop the modem lines back with their deltas', () => {
    const s = setup();
    s.put(Reg.IER, IER_MSI);
    s.put(Reg.MCR, MCR_LOOP | MCR_OUT2 | 0x07);
    expect(s.get(Reg.MSR)).toBe(0xf0); // RI went on, which is no event
    s.put(Reg.MCR, MCR_LOOP | MCR_OUT2);
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([1, 0x00]);
    expect(s.get(Reg.MSR)).toBe(0x80 | 0x07); // DCTS, DDSR, TERI
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([0, 0x01]);
  });
});

describe('sending', () => {
  it('collects output until it is flushed or full', () => {
    const s = setup();
    for (const char of 'hello') s.put(Reg.DATA, char.charCodeAt(0));
    expect([s.line.output, s.get(Reg.LSR)]).toEqual(['', 0x60]);
    s.uart.flush();
    expect(s.line.output).toBe('hello');
    s.line.output = '';
    for (let i = 0; i < OUTPUT_BUFFER_SIZE; i++) s.put(Reg.DATA, 0x41);
    expect(s.line.output.length).toBe(OUTPUT_BUFFER_SIZE);
    s.put(Reg.DATA, 0x42);
    s.uart.unrealize();
    expect(s.line.output.endsWith('AB')).toBe(true);
    expect(s.line.onReadable).toBeUndefined();
  });

  it('makes one THRE interrupt for each write, with an edge for the controller', () => {
    const s = setup();
    open(s, IER_THRI);
    s.get(Reg.IIR_FCR);
    const before = s.bus.irqs.edges[4] as number;
    for (let i = 0; i < 5; i++) {
      s.put(Reg.DATA, 0x41);
      expect(s.irq()).toBe(1);
      expect(s.get(Reg.IIR_FCR)).toBe(0xc2);
      expect(s.irq()).toBe(0);
    }
    expect((s.bus.irqs.edges[4] as number) - before).toBe(5);
  });

  it('raises no interrupt while OUT2 is off', () => {
    const s = setup();
    s.put(Reg.IER, IER_THRI);
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([0, 0x02]);
  });
});

describe('receiving', () => {
  it('takes one character at a time without FIFO', () => {
    const s = setup();
    open(s, IER_RDI, 0);
    s.line.send('abc');
    expect(s.line.input.length).toBe(2);
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([1, 0x04]);
    const text = [0, 0, 0].map(() => s.get(Reg.DATA));
    expect(String.fromCharCode(...text)).toBe('abc');
    expect([s.irq(), s.get(Reg.LSR)]).toEqual([0, 0x60]);
  });

  it('takes no more than the FIFO holds, and loses nothing', () => {
    const s = setup();
    open(s, IER_RDI);
    const sent = Array.from({ length: 100 }, (_, i) => String.fromCharCode(i + 1)).join('');
    s.line.send(sent);
    expect(s.line.input.length).toBe(100 - FIFO_SIZE);
    let got = '';
    while (s.get(Reg.LSR) & 1) got += String.fromCharCode(s.get(Reg.DATA));
    expect(got).toBe(sent);
  });

  it.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])('FCR %# raises RDA at its trigger level', (fcr, level) => {
    const s = setup();
    open(s, IER_RDI, fcr);
    s.line.send('x'.repeat(level - 1));
    expect(s.irq()).toBe(0);
    s.line.send('x');
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([1, 0xc4]);
    s.get(Reg.DATA);
    expect(s.irq()).toBe(0);
  });

  it('times out after four character times below the trigger', () => {
    const s = setup();
    open(s, IER_RDI, 0xc1);
    s.line.send('ab');
    s.bus.advance(347_222); // 40 bits at 115200 baud: 347222.2 ns
    expect(s.irq()).toBe(0);
    s.bus.advance(1);
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([1, 0xcc]);
    s.get(Reg.DATA); // reading starts the time anew
    expect(s.irq()).toBe(0);
    s.bus.advance(347_223);
    expect(s.irq()).toBe(1);
    s.get(Reg.DATA);
    s.bus.advance(1e9);
    expect(s.irq()).toBe(0);
  });

  it('shows a break with its own character', () => {
    const s = setup();
    open(s, IER_RLSI);
    s.line.send('a');
    s.line.onBreak?.();
    expect([s.irq(), s.get(Reg.LSR)]).toEqual([0, 0xe1]); // bit 7: an error somewhere in the FIFO
    expect(s.get(Reg.DATA)).toBe(0x61);
    expect([s.irq(), s.get(Reg.IIR_FCR)]).toEqual([1, 0xc6]);
    expect(s.get(Reg.LSR)).toBe(0xf1);
    expect([s.irq(), s.get(Reg.LSR), s.get(Reg.DATA)]).toEqual([0, 0x61, 0]);
  });

  it('overruns in loopback only', () => {
    const s = setup();
    open(s, IER_RDI | IER_RLSI);
    s.put(Reg.MCR, MCR_LOOP | MCR_OUT2);
    s.line.send('not now');
    for (let i = 0; i < FIFO_SIZE; i++) s.put(Reg.DATA, i);
    expect(s.get(Reg.LSR)).toBe(0x61);
    s.put(Reg.DATA, 99);
    expect(s.get(Reg.IIR_FCR)).toBe(0xc6);
    expect(s.get(Reg.LSR)).toBe(0x63);
    expect(Array.from({ length: FIFO_SIZE }, () => s.get(Reg.DATA))).toEqual(
      Array.from({ length: FIFO_SIZE }, (_, i) => i),
    );
    s.uart.flush();
    expect([s.line.output, s.line.input.length]).toEqual(['', 7]);
    s.put(Reg.IIR_FCR, 0); // without FIFO the newer character stays
    s.put(Reg.DATA, 1);
    s.put(Reg.DATA, 2);
    expect([s.get(Reg.LSR), s.get(Reg.DATA)]).toEqual([0x63, 2]);
    s.put(Reg.MCR, MCR_OUT2); // the line is back
    expect(s.get(Reg.DATA)).toBe('n'.charCodeAt(0));
  });

  it('orders causes: line status, data, transmitter, modem', () => {
    const s = setup();
    open(s, 0x0f);
    s.line.send('a');
    s.line.onBreak?.();
    s.get(Reg.DATA);
    s.put(Reg.MCR, MCR_LOOP | MCR_OUT2);
    const seen: number[] = [];
    seen.push(s.get(Reg.IIR_FCR) & 15);
    s.get(Reg.LSR);
    seen.push(s.get(Reg.IIR_FCR) & 15);
    s.get(Reg.DATA);
    seen.push(s.get(Reg.IIR_FCR) & 15, s.get(Reg.IIR_FCR) & 15);
    s.get(Reg.MSR);
    seen.push(s.get(Reg.IIR_FCR) & 15);
    expect(seen).toEqual([6, 4, 2, 0, 1]);
  });

  it('survives a back end that calls back from inside read, or gives too much', () => {
    const s = setup();
    open(s, IER_RDI);
    s.line.read = (max) => {
      s.line.onReadable?.();
      return new Uint8Array(max + 5).fill(7);
    };
    s.line.onReadable?.();
    expect(s.uart.state.rx.count).toBe(FIFO_SIZE);
  });
});

describe('state', () => {
  it('survives a round trip, and refuses a damaged state', () => {
    const s = setup();
    open(s, 0x0f, 0xc1);
    s.line.send('hello');
    s.line.onBreak?.();
    s.get(Reg.DATA);
    checkRoundTrip(s.uart, () => createFakeBus().add(ISA_SERIAL));
  });

  it('drives its line again after a load', () => {
    const s = setup();
    open(s, IER_RDI, 0x41);
    s.line.send('abcdef');
    s.bus.irqs.lines[4]?.set(0);
    s.uart.onPostLoad();
    expect(s.irq()).toBe(1);
  });
});
