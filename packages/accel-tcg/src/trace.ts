/** Sinks for `-d`: what the accelerator reports of translation and execution. Each is absent when off. */
import type { GlobalDef, IrBlock } from '@emkit/ir';

export interface TcgTrace {
  readonly inAsm?: (pc: number, csBase: number, flags: number, bytes: Uint8Array) => void;
  /** As the target made it (constants are folded on the way), and without what nobody sees. The block is valid during the call. */
  readonly op?: (pc: number, block: IrBlock, globals: readonly GlobalDef[]) => void;
  readonly opOptimised?: (pc: number, block: IrBlock, globals: readonly GlobalDef[]) => void;
  readonly outAsm?: (pc: number, module: Uint8Array) => void;
  /** Before each block; blocks are neither chained nor compiled then. */
  readonly exec?: (pc: number, flags: number) => void;
  readonly event?: (event: string, text: string) => void;
}
