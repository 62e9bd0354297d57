/**
 * All handlers, as a dense array by row id: what the decoder found is one index away from its translation.
 */
import { OPCODES } from '../decode/table.ts';
import { FPU_HANDLERS } from '../fpu/handlers.ts';
import { ALU_HANDLERS } from './alu.ts';
import { BMI_HANDLERS } from './bmi.ts';
import { FLOW_HANDLERS } from './flow.ts';
import { MULDIV_HANDLERS } from './muldiv.ts';
import { SHIFT_HANDLERS } from './shift.ts';
import { STACK_HANDLERS } from './stack.ts';
import { STRING_HANDLERS } from './string.ts';
import { SYSTEM_HANDLERS } from './system.ts';
import { SYSTEM_64_HANDLERS } from './system-64.ts';
import type { Handler, HandlerTable } from './translator.ts';

const PARTS: readonly HandlerTable[] = [
  ALU_HANDLERS,
  SHIFT_HANDLERS,
  BMI_HANDLERS,
  MULDIV_HANDLERS,
  STACK_HANDLERS,
  FLOW_HANDLERS,
  STRING_HANDLERS,
  SYSTEM_HANDLERS,
  SYSTEM_64_HANDLERS,
  FPU_HANDLERS,
];

function merge(): Map<string, Handler> {
  const all = new Map<string, Handler>();
  for (const part of PARTS) {
    for (const [name, handler] of Object.entries(part)) {
      if (all.has(name)) throw new Error(`two handlers named '${name}'`);
      all.set(name, handler);
    }
  }
  return all;
}

function bind(): Handler[] {
  const all = merge();
  return OPCODES.rows.map((row) => {
    const handler = all.get(row.fn);
    if (handler === undefined) throw new Error(`opcode row '${row.text}': no handler '${row.fn}'`);
    return handler;
  });
}

/** Handler of each row of `OPCODES`. */
export const HANDLERS: readonly Handler[] = bind();
