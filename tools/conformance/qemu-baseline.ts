/** What QEMU's TCG passes of the native vectors, from the data's own baseline file: no group should do worse. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILE = 'qemu72-tcg-baseline.tsv';

export class QemuBaseline {
  /** Group to vectors passed leniently (columns: group, vectors, strict, lenient). */
  readonly #passes = new Map<string, number>();
  readonly #worse: string[] = [];
  #compared = 0;

  /** `dir` is the suite's folder or its data folder. */
  constructor(dir: string) {
    const file = [join(dir, FILE), join(dirname(dir), FILE)].find((name) => existsSync(name));
    if (file === undefined) return;
    for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
      const [group, , , lenient] = line.split('\t');
      if (lenient !== undefined) this.#passes.set(group, Number(lenient));
    }
  }

  /** A whole group's result in one tier. */
  compare(group: string, tier: string, passed: number): void {
    const qemu = this.#passes.get(group);
    if (qemu === undefined) return;
    this.#compared++;
    if (passed < qemu) this.#worse.push(`${group} ${tier} (${passed}, QEMU ${qemu})`);
  }

  summary(): string[] {
    if (this.#compared === 0) return [];
    return [`groups with fewer passes than QEMU 7.2 has leniently: ${this.#worse.join(', ') || 'none'}`];
  }
}
