/** What a region block's emitter knows of values, by number. */

/** Facts of the values of the block that is being emitted. All emitters have the same arrays: regions are made one after the other. */
class Facts {
  uses = new Int32Array(1024);
  lastUse = new Int32Array(1024);
  root = new Int32Array(1024);
  local = new Int32Array(1024);
  borrowed = new Uint8Array(1024);

  reset(count: number, capacity: number): void {
    if (this.uses.length < count) {
      this.uses = new Int32Array(capacity);
      this.lastUse = new Int32Array(capacity);
      this.root = new Int32Array(capacity);
      this.local = new Int32Array(capacity);
      this.borrowed = new Uint8Array(capacity);
    }
    this.uses.fill(0, 0, count);
    this.lastUse.fill(-1, 0, count);
    this.local.fill(-1, 0, count);
    this.borrowed.fill(0, 0, count);
  }
}

export const FACTS = new Facts();
