/**
 * Interrupt (and any other one-bit) lines. An Irq is the sending end; it is connected to one receiver, which is another
 * Irq or a handler. `set` forwards at once and always, also when the level is unchanged: receivers keep the level they
 * need, so a line can be driven again after a state was loaded without inventing an edge.
 */
export type IrqHandler = (level: number) => void;

export class Irq {
  readonly name: string;
  /** Level last driven, 0 or 1. */
  level = 0;
  #handler: IrqHandler | null;

  constructor(name: string, handler: IrqHandler | null = null) {
    this.name = name;
    this.#handler = handler;
  }

  get isConnected(): boolean {
    return this.#handler !== null;
  }

  /** Connects to one receiver and drives the present level into it. Use `splitIrq` for several. */
  connect(to: Irq | IrqHandler): void {
    if (this.#handler !== null) throw new Error(`interrupt line ${this.name} is already connected`);
    this.#handler = to instanceof Irq ? (level) => to.set(level) : to;
    if (this.level !== 0) this.#handler(this.level);
  }

  disconnect(): void {
    this.#handler = null;
  }

  /** Drives the line; any non-zero level is 1. Hot path. */
  set(level: number | boolean): void {
    const bit = level ? 1 : 0;
    this.level = bit;
    if (this.#handler !== null) this.#handler(bit);
  }

  raise(): void {
    this.set(1);
  }

  lower(): void {
    this.set(0);
  }

  /** High, then low: one edge. */
  pulse(): void {
    this.set(1);
    this.set(0);
  }
}

/** One line into several receivers, in the order given. */
export function splitIrq(name: string, targets: readonly (Irq | IrqHandler)[]): Irq {
  const outputs = targets.map((target) => {
    if (target instanceof Irq) return target;
    return new Irq(name, target);
  });
  return new Irq(name, (level) => {
    for (const output of outputs) output.set(level);
  });
}

/** `count` lines into one receiver, which is high while any of them is. After a load each sender drives its line again. */
export function orIrqs(name: string, count: number, target: Irq | IrqHandler): Irq[] {
  const output = target instanceof Irq ? target : new Irq(name, target);
  const inputs: Irq[] = [];
  const update = (): void => output.set(inputs.some((input) => input.level !== 0));
  for (let i = 0; i < count; i++) inputs.push(new Irq(`${name}[${i}]`, update));
  return inputs;
}

/** A line that drives the opposite level. The receiver is not driven until the line is. */
export function invertIrq(name: string, target: Irq | IrqHandler): Irq {
  const output = target instanceof Irq ? target : new Irq(name, target);
  return new Irq(name, (level) => output.set(level === 0));
}
