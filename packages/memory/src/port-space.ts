/**
 * The 64 Ki port space: an AddressSpace with a table from port to range, so that IN and OUT cost a table load and a call.
 * Ports wrap nowhere: bytes of an access beyond port 0xFFFF are open bus (SDM Vol. 1, "I/O Port Addressing").
 */
import { AddressSpace, type AddressSpaceOptions } from './address-space.ts';
import type { FlatRange } from './flat-view.ts';
import { PORT_SPACE_SIZE } from './limits.ts';
import { MemTxResult } from './mem-tx.ts';

export class PortSpace extends AddressSpace {
  /** Port -> 1 + index in `#ranges`; 0 where nothing is mapped. */
  readonly #table = new Uint16Array(PORT_SPACE_SIZE);
  #ranges: readonly (FlatRange | null)[] = [null];

  constructor(options: AddressSpaceOptions) {
    super(options);
    this.#fill();
  }

  protected override rebuild(): void {
    super.rebuild();
    this.#fill();
  }

  #fill(): void {
    const table = this.#table.fill(0);
    this.#ranges = [null, ...this.view.ranges];
    this.view.ranges.forEach((range, index) => {
      if (range.start < PORT_SPACE_SIZE) table.fill(index + 1, range.start, Math.min(range.end, PORT_SPACE_SIZE));
    });
  }

  override find(port: number): FlatRange | null {
    return port < PORT_SPACE_SIZE ? (this.#ranges[this.#table[port] as number] as FlatRange | null) : null;
  }

  override read8(port: number): number {
    const range = this.find(port);
    if (range !== null && range.handler !== null && range.handler.directBytes) {
      this.txResult = MemTxResult.OK;
      return range.handler.ops.read((port + range.regionDelta) | 0, 1) & 0xff;
    }
    return super.read8(port);
  }

  override write8(port: number, value: number): void {
    const range = this.find(port);
    if (range !== null && range.handler !== null && range.handler.directBytes && !range.readonly) {
      this.txResult = MemTxResult.OK;
      range.handler.ops.write((port + range.regionDelta) | 0, value & 0xff, 1);
      return;
    }
    super.write8(port, value);
  }
}
