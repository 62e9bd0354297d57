/**
 * System control port A, port 0x92: fast A20 gate and fast processor reset. A board ORs the `a20` line with the keyboard
 * controller's. IBM PS/2 technical reference "System Control Port A"; 82371SB §2.5.5.3 "P92".
 */
import { MemoryRegion } from '@emkit/memory';
import { defineDevice, defineVmState, Device, type DeviceInit, field, type Irq, type IsaBus } from '@emkit/qdev';

const PORT = 0x92;
const FAST_INIT = 1 << 0;
const FAST_A20 = 1 << 1;

interface Port92State {
  value: number;
}
const VMSTATE = defineVmState<Port92State>({
  name: 'port92',
  version: 1,
  fields: [field.u8('value', { max: FAST_INIT | FAST_A20 })],
});

export class Port92 extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: Port92State = { value: 0 };
  readonly #a20: Irq;
  readonly #region: MemoryRegion;

  constructor(init: DeviceInit) {
    super(init);
    this.#a20 = this.defineGpioOut('a20', 1)[0] as Irq;
    this.#region = MemoryRegion.io('port92', 1, {
      read: () => this.state.value,
      write: (_offset, value) => this.#write(value),
    });
  }

  protected override onRealize(): void {
    (this.parentBus as IsaBus).io.add(PORT, this.#region);
  }

  protected override onUnrealize(): void {
    this.#region.unmap();
  }

  protected override onReset(): void {
    this.state.value = 0;
  }

  protected override onResetExit(): void {
    this.#drive();
  }

  override onPostLoad(): void {
    this.#drive();
  }

  #drive(): void {
    this.#a20.set(this.state.value & FAST_A20);
  }

  /** Reset happens on the rising edge of bit 0 only. */
  #write(value: number): void {
    const before = this.state.value;
    this.state.value = value & (FAST_INIT | FAST_A20);
    this.#drive();
    if ((value & FAST_INIT) !== 0 && (before & FAST_INIT) === 0) this.env.system.reset('port 92');
  }
}

export const PORT92 = defineDevice({
  name: 'port92',
  description: 'System control port A',
  bus: 'isa',
  userCreatable: false,
  properties: {},
  create: (init) => new Port92(init),
});
