/** What the emitters of ops that are done out of line are given. */
import type { FunctionBuilder } from '@emkit/wasm';
import type { CoreModuleOptions } from './cold-probe.ts';
import type { Scratch } from './lowering.ts';

/** What may be called there. */
export interface OutsideCallees {
  readonly imports: {
    readonly slowLoad: number;
    readonly slowStore: number;
    readonly raise: number;
    readonly callj: number;
  };
  /** Types of the target's helpers by number of arguments, and their table. */
  readonly helperTypes: readonly number[];
  readonly helperTable: number;
  /** Makes a TLB entry without script; delivers the fault that it found. */
  readonly fill: number | undefined;
  readonly faults: number | undefined;
}

export interface OutsideContext extends OutsideCallees {
  readonly f: FunctionBuilder;
  readonly ip: number;
  readonly address: number;
  readonly address64: number;
  /** i32 scratch. */
  readonly status: number;
  readonly scratch: Scratch;
  readonly options: CoreModuleOptions;
}

/** i32 status on the stack: return it when it is not 0. */
export function returnIfSet({ f, status }: OutsideContext): void {
  f.tee(status);
  f.if_();
  f.get(status).return_();
  f.end();
}
