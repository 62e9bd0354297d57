/** A kernel boot as heard on the serial line: when the first kernel line came, when the shell first asked for input. */
/** Printed by the initramfs' start script, just before init starts the shell. */
const GREETING = 'BusyBox shell,';
/** The shell's prompt in the root directory. */
const PROMPT = '/ # ';

export interface BootSample {
  readonly firstLineMs: number;
  readonly promptMs: number;
  /** CPU time of the emulator process until the prompt; NaN where the host cannot tell. */
  readonly cpuMs: number;
}

export class BootLog {
  text = '';
  sample: BootSample | undefined;
  /** Why there will be no prompt. */
  failure: string | undefined;
  #firstLineMs = Number.NaN;
  #greeted = -1;

  /** Takes output; the times are since the start of the process. */
  feed(text: string, wallMs: number, cpuMs: number): void {
    this.text += text;
    if (this.sample !== undefined) return;
    if (Number.isNaN(this.#firstLineMs) && this.text.includes('Linux version')) this.#firstLineMs = wallMs;
    if (this.#greeted < 0) this.#greeted = this.text.indexOf(GREETING);
    if (this.#greeted >= 0 && this.text.includes(PROMPT, this.#greeted))
      this.sample = { firstLineMs: this.#firstLineMs, promptMs: wallMs, cpuMs };
    else this.failure ??= /Kernel panic - [^\r\n]*/.exec(this.text)?.[0];
  }

  get lastLine(): string {
    return (
      this.text
        .trim()
        .split(/[\r\n]+/)
        .at(-1) ?? ''
    );
  }
}
