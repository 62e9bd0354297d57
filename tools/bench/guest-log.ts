/**
 * What the benchmark guest says on its serial line, with the times at which it was heard.
 *
 *     START name / END name checksum / INFO name ticks n / DONE
 *
 * The guest's own clock is never asked: a guest's idea of time is part of what is being measured.
 */
export interface Sample {
  readonly wallMs: number;
  /** CPU time of the whole emulator process, all threads; NaN where the host cannot tell. */
  readonly cpuMs: number;
  readonly checksum: string;
  /** Timer interrupts that the guest counted, for workloads with a timer. */
  readonly ticks?: number;
}

export class GuestLog {
  readonly samples = new Map<string, Sample>();
  /** Complete lines that belong to no workload: banner, complaints. */
  readonly remarks: string[] = [];
  /** The workload between its START and END. */
  running: string | undefined;
  done = false;
  #startWall = 0;
  #startCpu = 0;
  #rest = '';

  /** Takes output that arrived at `wallMs`, when the process had used `cpuMs`. */
  feed(text: string, wallMs: number, cpuMs: number): void {
    this.#rest += text;
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      const line = this.#rest.slice(0, end).trim();
      this.#rest = this.#rest.slice(end + 1);
      if (line !== '') this.#line(line, wallMs, cpuMs);
    }
  }

  #line(line: string, wallMs: number, cpuMs: number): void {
    // Firmware may leave terminal control sequences in front of the first line.
    const match = /(START|END|INFO|DONE)(?: (\S+))?(?: (\S+))?(?: (\d+))?$/.exec(line);
    const [, word, name = '', value = '', count] = match ?? [];
    if (word === 'START' && name !== '') {
      this.running = name;
      this.#startWall = wallMs;
      this.#startCpu = cpuMs;
    } else if (word === 'END' && name === this.running && /^[0-9a-f]{8}$/i.test(value)) {
      this.running = undefined;
      this.samples.set(name, {
        wallMs: wallMs - this.#startWall,
        cpuMs: cpuMs - this.#startCpu,
        checksum: value.toLowerCase(),
      });
    } else if (word === 'INFO' && value === 'ticks' && count !== undefined) {
      const sample = this.samples.get(name);
      if (sample !== undefined) this.samples.set(name, { ...sample, ticks: Number(count) });
    } else if (word === 'DONE' && name === '') {
      this.done = true;
    } else {
      this.remarks.push(line);
    }
  }
}
