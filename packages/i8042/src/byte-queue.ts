/** A bounded queue of bytes as plain state: data, head, count. */

export interface ByteQueue {
  data: Uint8Array;
  head: number;
  count: number;
}

export function makeQueue(size: number): ByteQueue {
  return { data: new Uint8Array(size), head: 0, count: 0 };
}

export function roomIn(queue: ByteQueue): number {
  return queue.data.length - queue.count;
}

/** A byte that does not fit is dropped; false then. */
export function enqueue(queue: ByteQueue, byte: number): boolean {
  const { data } = queue;
  if (queue.count === data.length) return false;
  data[(queue.head + queue.count) % data.length] = byte;
  queue.count++;
  return true;
}

/** The oldest byte; the caller has checked that there is one. */
export function dequeue(queue: ByteQueue): number {
  const byte = queue.data[queue.head] as number;
  queue.head = (queue.head + 1) % queue.data.length;
  queue.count--;
  return byte;
}

export function clearQueue(queue: ByteQueue): void {
  queue.head = queue.count = 0;
}
