import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GdbStub } from './gdb-stub.ts';
import type { GdbTarget } from './gdb-stub.ts';
import { MAX_BREAKPOINTS, MAX_PACKET } from './limits.ts';
import { framePacket } from './packet.ts';

interface Fake extends GdbTarget {
  readonly log: string[];
  readonly memory: Uint8Array;
}
function fake(): Fake {
  const log: string[] = [];
  const registers = Array.from({ length: 4 }, (_, n) => Uint8Array.of(n, 0, 0, 0));
  const memory = new Uint8Array(256);
  return {
    log,
    memory,
    registerCount: 4,
    readRegister: (n) => registers[n] ?? null,
    writeRegister: (n, bytes) => registers[n] !== undefined && (registers[n].set(bytes.subarray(0, 4)), true),
    readMemory: (a, n) => memory.slice(a, a + n),
    writeMemory: (a, bytes) => a >= 0 && a + bytes.length <= 256 && (memory.set(bytes, a), true),
    setBreakpoints: (s) => log.push(`bp ${[...s].map((x) => x.toString(16)).join()}`),
    setWatchpoints: (w) => log.push(`watch ${w.length}`),
    resume: () => log.push('resume'),
    step: () => log.push('step'),
    interrupt: () => log.push('interrupt'),
    detach: () => log.push('detach'),
    kill: () => log.push('kill'),
    description: (annex) => (annex === 'target.xml' ? '<target/>' : undefined),
    monitor: (c) => `you said ${c}\n`,
  };
}
function session(): { stub: GdbStub; target: Fake; ask(payload: string): string; out: string[] } {
  const target = fake();
  const out: string[] = [];
  const stub = new GdbStub(target, (bytes) => out.push(String.fromCharCode(...bytes)));
  return {
    stub,
    target,
    out,
    ask: (payload) => {
      out.length = 0;
      stub.receive(framePacket(payload));
      return out
        .filter((s) => s.startsWith('$'))
        .map((s) => s.slice(1, -3))
        .join();
    },
  };
}

describe('gdb stub', () => {
  it('reads and writes registers and memory', () => {
    const s = session();
    expect(s.ask('g')).toBe('00000000010000000200000003000000');
    expect(s.ask('P1=78563412')).toBe('OK');
    expect(s.ask('p1')).toBe('78563412');
    expect(s.ask('p9')).toBe('E01');
    expect(s.ask('M10,2:beef')).toBe('OK');
    expect(s.ask('m10,2')).toBe('beef');
    expect(s.ask('m1000,4')).toBe('E14');
  });

  it('takes binary writes with escapes', () => {
    const s = session();
    s.ask('X20,3:a#b');
    expect([...s.target.memory.slice(0x20, 0x23)]).toEqual([0x61, 0x23, 0x62]);
  });

  it('runs, stops and tells why', () => {
    const s = session();
    expect(s.ask('?')).toBe('T05thread:1;');
    expect(s.ask('vCont;c')).toBe('');
    s.stub.stopped({ kind: 'watch', access: 'write', address: 0x1234 });
    expect(s.out.at(-1)).toContain('$T05thread:1;watch:1234;#');
    s.ask('c');
    s.stub.receive(Uint8Array.of(3));
    expect(s.target.log).toContain('interrupt');
    s.stub.stopped({ kind: 'interrupt' });
    expect(s.out.at(-1)).toContain('$T02');
  });

  it('keeps break- and watchpoints, with a limit', () => {
    const s = session();
    expect(s.ask('Z0,401000,1')).toBe('OK');
    expect(s.target.log.at(-1)).toBe('bp 401000');
    expect(s.ask('Z2,2000,4')).toBe('OK');
    expect(s.target.log.at(-1)).toBe('watch 1');
    expect(s.ask('z2,2000,4')).toBe('OK');
    for (let n = 1; n < MAX_BREAKPOINTS; n++) s.ask(`Z0,${n.toString(16)},1`);
    expect(s.ask('Z0,ffff0000,1')).toBe('E28');
  });

  it('takes and gives 64-bit addresses as signed numbers, exact to the byte', () => {
    const s = session();
    expect(s.ask('Z0,ffffffff81000001,1')).toBe('OK');
    expect(s.target.log.at(-1)).toBe('bp -7effffff');
    expect(s.ask('z0,ffffffff81000001,1')).toBe('OK');
    expect(s.ask('Z0,7fffdeadbee1,1')).toBe('OK');
    expect(s.target.log.at(-1)).toBe('bp 7fffdeadbee1');
    s.ask('c');
    s.stub.stopped({ kind: 'watch', access: 'read', address: -0x7effffff });
    expect(s.out.at(-1)).toContain('rwatch:ffffffff81000001;#');
    s.ask('c');
    s.stub.stopped({ kind: 'watch', access: 'read', address: 0xffff_ffff });
    expect(s.out.at(-1)).toContain('rwatch:ffffffff;#');
  });

  it('leaves it to the target what number a 64-bit address has, if it cares', () => {
    const s = session();
    const asked: unknown[] = [];
    s.target.address = (low, high, lasting) => {
      asked.push([low, high, lasting]);
      return high === 0x11 ? null : 0x40;
    };
    s.target.highHalf = (n) => (n === 0x40 ? 0xff11_0000 : 0);
    s.target.memory[0x40] = 0xab;
    expect(s.ask('mff110000ffffffff,1')).toBe('ab');
    expect(s.ask('Z2,ff110000ffffffff,1')).toBe('OK');
    expect(s.ask('Z0,1100000000,1')).toBe('E28');
    expect(asked).toEqual([
      [-1, -15663104, false],
      [-1, -15663104, true],
      [0, 0x11, true],
    ]);
    s.ask('c');
    s.stub.stopped({ kind: 'watch', access: 'write', address: 0x40 });
    expect(s.out.at(-1)).toContain('watch:ff11000000000040;#');
  });

  it('drops acknowledgements when asked, and answers a damaged packet with a minus', () => {
    const s = session();
    s.stub.receive(new TextEncoderLike().encode('$g#00'));
    expect(s.out).toEqual(['-']);
    expect(s.ask('QStartNoAckMode')).toBe('OK');
    s.ask('g');
    expect(s.out.every((x) => x.startsWith('$'))).toBe(true);
  });

  it('serves the target description in pieces and the monitor', () => {
    const s = session();
    expect(s.ask('qXfer:features:read:target.xml:0,4')).toBe('m<tar');
    expect(s.ask('qXfer:features:read:target.xml:4,100')).toBe('lget/>');
    expect(s.ask('qXfer:features:read:../etc/passwd:0,4')).toBe('E00');
    expect(s.ask('qRcmd,6869')).toBe(
      [...'you said hi\n'].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join(''),
    );
  });

  it('detaches once', () => {
    const s = session();
    s.ask('D');
    s.stub.close();
    expect(s.target.log.filter((x) => x === 'detach')).toHaveLength(1);
  });

  it('survives any bytes, with bounded replies', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 40 }),
            fc.stringMatching(/^[gGpPmMXcsvZzqQHT?][0-9a-f,:;=]{0,20}$/).map(framePacket),
          ),
          { maxLength: 30 },
        ),
        (chunks) => {
          const s = session();
          for (const c of chunks) {
            s.stub.receive(c);
            s.stub.stopped({ kind: 'step' });
          }
          expect(s.out.every((x) => x.length <= 2 * MAX_PACKET + 4)).toBe(true);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });
});

class TextEncoderLike {
  encode(s: string): Uint8Array {
    return Uint8Array.from(s, (c) => c.charCodeAt(0));
  }
}
