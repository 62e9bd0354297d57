/** A debugger on a guest with five-level paging: breakpoints, watchpoints and memory at 57-bit addresses. */
import { ENV } from '@emkit/x86';
import { demoGuest } from '@emkit/demo-guest';
import { expect, it } from 'vitest';
import { EXIT } from '@emkit/accel-tcg';
import { attachDebugger, createPc } from '../src/index.ts';

const packet = (text: string): Uint8Array => {
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const sum = bytes.reduce((a, b) => (a + b) & 0xff, 0);
  return Uint8Array.from(`$${text}#${sum.toString(16).padStart(2, '0')}`, (c) => c.charCodeAt(0));
};
const LA57 = 1 << 12;
const PML5 = 0x20_0000;
/** The lowest GiB shows here too. */
const HIGH = 0xff11_0000;

it('stops at them and reads them', async () => {
  const pc = await createPc({
    memorySize: 16 * 2 ** 20,
    cpu: 'max,+la57',
    kernel: { name: 'demo', bytes: demoGuest() },
    startPaused: true,
  });
  const { cpu, tcg, machine, ram } = pc.board;
  const view = new DataView(ram.buffer, ram.byteOffset);
  const word = (at: number, low: number): void => view.setUint32(at, low, true);
  word(PML5, 0x20_1007);
  word(PML5 + 0x111 * 8, 0x20_1007);
  word(0x20_1000, 0x20_2007);
  word(0x20_2000, 0x87);
  // inc eax; mov [rbx], eax; jmp -6
  ram.set([0xff, 0xc0, 0x89, 0x03, 0xeb, 0xfa], 0x30_0000);
  const sent: string[] = [];
  const connection = {
    send: (bytes: Uint8Array) => void sent.push(String.fromCharCode(...bytes)),
    onData: undefined as ((bytes: Uint8Array) => void) | undefined,
    onClose: undefined,
    close: () => undefined,
  };
  attachDebugger(pc.board, connection);
  const ask = (payload: string): string => {
    sent.length = 0;
    connection.onData!(packet(payload));
    return sent
      .filter((s) => s.startsWith('$'))
      .map((s) => s.slice(1, -3))
      .join();
  };
  // set before the guest has turned five-level paging on
  expect(ask('Z0,ff11000000300002,1')).toBe('OK');
  cpu.setEnv32(ENV.MSR_EFER, 0xd01);
  cpu.setCrRaw(3, PML5);
  cpu.setCrRaw(4, 0x6b0 | LA57);
  cpu.setCrRaw(0, 0x8001_0033);
  cpu.setSeg(1, 8, 0, 0xffffffff, 0xa09b00);
  for (const seg of [0, 2, 3]) cpu.setSeg(seg, 16, 0, 0xffffffff, 0xc09300);
  cpu.updateHflags();
  cpu.setRip(0x30_0000, HIGH);
  cpu.setReg64(3, 0x30_0100, HIGH);
  cpu.setReg(0, 0);
  tcg.flushTlb(true);
  expect(tcg.run(1000)).toBe(EXIT.DEBUG);
  expect([cpu.eip, cpu.env32(ENV.CS_BASE), cpu.reg(0)]).toEqual([0x30_0002, HIGH, 1]);
  expect(ask('mff11000000300000,6')).toBe('ffc08903ebfa');
  expect(ask('Mff11000000300100,4:11223344')).toBe('OK');
  expect(ask('m300100,4')).toBe('11223344');
  expect(ask('m0100000000300100,4')).toBe('E14');
  expect(ask('z0,ff11000000300002,1')).toBe('OK');
  expect(ask('Z2,ff11000000300100,4')).toBe('OK');
  // other areas come and go
  for (let k = 0; k < 4000; k++) cpu.linear.of(0, k << 12);
  machine.onDebug = undefined;
  expect(tcg.run(1000)).toBe(EXIT.DEBUG);
  expect(cpu.eip).toBe(0x30_0004);
  expect(tcg.debug.hit).not.toBeNull();
  expect(ask('z2,ff11000000300100,4')).toBe('OK');
  expect(tcg.run(1000)).toBe(EXIT.SLICE);
  pc.quit();
});
