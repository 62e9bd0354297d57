/** RAM whose offsets in the linear memory lie above 2 GiB: every access of script must take them as unsigned. */
import { CTL } from '@emkit/codegen';
import { expect, it } from 'vitest';
import { Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 0x8400_0000;
const HIGH = 0x8300_0000;

it('works in the helpers and the slow paths, and code runs there', () => {
  let target: ToyTarget | undefined;
  const tcg = new Tcg({
    ...toyHost(RAM),
    createTarget: (host) => (target = new ToyTarget(host)),
  });
  const { access, ramBase } = tcg;
  const ram = new DataView(tcg.memory.buffer, ramBase + HIGH, 8192);
  access.write32(HIGH, 0x8877_6655, 0);
  access.write16(HIGH + 4, 0x4433, 0);
  access.write8(HIGH + 6, 0x22, 0);
  expect(ram.getUint32(0, true)).toBe(0x8877_6655);
  expect([access.read32(HIGH, 0), access.read16(HIGH + 4, 0), access.read8(HIGH + 6, 0)]).toEqual([
    0x8877_6655, 0x4433, 0x22,
  ]);
  const value = new DataView(tcg.memory.buffer, CTL.VAL, 16);
  for (const [size, at] of [
    [4, 8],
    [2, 16],
    [8, 24],
    [4, 4094],
  ] as const) {
    value.setUint32(0, 0x1234_5678, true);
    value.setUint32(4, 0x9abc_def0, true);
    expect(access.store(HIGH + at, size, 0)).toBe(0);
    value.setUint32(0, 0, true);
    expect(access.load(HIGH + at, size, false, 0)).toBe(0);
    expect([size, size === 2 ? value.getUint16(0, true) : value.getUint32(0, true)]).toEqual([
      size,
      size === 2 ? 0x5678 : 0x1234_5678,
    ]);
    expect(ram.getUint16(at, true)).toBe(0x5678);
  }
  const code = [TOY.MOVI, 0, 0, 7, TOY.ST, 0, 1, 8, TOY.LD, 2, 1, 8, TOY.HALT, 0, 0, 0];
  new Uint8Array(tcg.memory.buffer, ramBase + HIGH, code.length).set(code);
  tcg.pc = HIGH;
  tcg.run(100);
  expect(target!.reg(2)).toBe(7);
});
