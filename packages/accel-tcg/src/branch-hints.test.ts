/** Compiled code says which of its branches are seldom taken, and does not where the optimisation is off. */
import { expect, it } from 'vitest';
import { engine } from './engine.ts';
import { EXIT, Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const START = 0x1000;
const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

/** Modules with hints, and modules, that a loop with a load is compiled to. */
function compiled(hints: boolean): readonly [number, number] {
  const modules: Uint8Array<ArrayBuffer>[] = [];
  let target!: ToyTarget;
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier: 'hot',
    optimisations: { 'branch-hints': hints },
    trace: { outAsm: (_pc, bytes) => modules.push(Uint8Array.from(bytes)) },
    createTarget: (host) => (target = new ToyTarget(host)),
  });
  const loop = [insn(TOY.LD, 0, 3), insn(TOY.SUB, 1, 2), insn(TOY.JNZ, 1, 0, -2), insn(TOY.HALT)];
  new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM).set(loop.flat(), START);
  for (let n = 0; n < 6; n++) {
    tcg.pc = START;
    target.halted = false;
    [0, 100, 1, 0x9000].forEach((value, k) => target.setReg(k, value));
    while (tcg.run(1000) === EXIT.SLICE);
  }
  const hinted = modules.filter((bytes) => sections(bytes).length > 0);
  return [hinted.length, modules.length];
}

/** Contents of the module's sections of hints. */
const sections = (bytes: Uint8Array<ArrayBuffer>): readonly ArrayBuffer[] =>
  WebAssemblyModule.customSections(new engine.Module(bytes) as object, 'metadata.code.branch_hint');

/** `engine` has not what only a test asks. */
const WebAssemblyModule = engine.Module as unknown as {
  customSections(module: object, name: string): readonly ArrayBuffer[];
};

it('says which branches are seldom taken unless that is off', () => {
  const [hinted, modules] = compiled(true);
  expect(modules).toBeGreaterThan(0);
  expect(hinted).toBe(modules);
  expect(compiled(false)).toEqual([0, modules]);
});
