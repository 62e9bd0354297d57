/**
 * The main loop of a machine with one vCPU on the thread of its devices: a slice of guest code, a poll, and now and then
 * a turn for the host's own events. When the vCPU halts, it sleeps until the next deadline or event, without spinning; short
 * sleeps block the thread, which costs less than a turn and ends on time, with the turns as often as beside a busy vCPU.
 *
 * With a counted virtual clock (icount) an idle guest makes no instructions, so the loop moves the clock itself: to the
 * next deadline at once (`idle: 'warp'`, repeatable), or as real time passes (`idle: 'sleep'`).
 */
import type { AioContext } from './aio-context.ts';
import { MAX_BLOCK_NS } from './limits.ts';

/** What a slice says: it ran and wants to go on; the vCPU waits for an interrupt (or is paused); the loop is to end. */
export type SliceResult = 'ran' | 'halted' | 'stop';

export interface RunLoopOptions {
  /** Run guest code for about a millisecond, or until it halts; called only with the loop in a consistent state. */
  readonly runSlice: () => SliceResult;
  /** At most this long without a turn for the host's events, in ns; default 4 ms. */
  readonly hostTurnNs?: number;
  /** What an idle guest does with a counted virtual clock; default `sleep`. */
  readonly idle?: 'sleep' | 'warp';
}

const DEFAULT_HOST_TURN_NS = 4_000_000;

/** Run until a slice says `stop`. An exception from a slice or a callback rejects the promise. */
export async function runLoop(context: AioContext, options: RunLoopOptions): Promise<void> {
  const { host } = context;
  const hostTurnNs = options.hostTurnNs ?? DEFAULT_HOST_TURN_NS;
  let lastTurn = host.monotonicNs();
  for (;;) {
    const result = options.runSlice();
    if (result === 'stop') return;
    if (host.monotonicNs() - lastTurn >= hostTurnNs) {
      await context.yieldToHost();
      lastTurn = host.monotonicNs();
    }
    const halted = result === 'halted';
    // Does not block when something is due: no poll need come before it, which would cost as much as the sleep itself.
    if (halted && !isCounted(context) && context.blockUpTo(MAX_BLOCK_NS)) {
      context.poll(false);
      continue;
    }
    // Progress may have raised an interrupt: let the vCPU look before it sleeps.
    if (context.poll(false) || !halted || warpToDeadline(context, options.idle)) continue;
    await sleep(context);
    lastTurn = host.monotonicNs();
    // What ended the sleep comes before the vCPU, which would find nothing new else.
    context.poll(false);
  }
}

function isCounted(context: AioContext): boolean {
  return context.clocks.virtual.running && !context.clocks.virtual.realTime;
}

/** Move a counted clock to its next deadline; false when that is not to be done or there is none. */
function warpToDeadline(context: AioContext, idle: 'sleep' | 'warp' | undefined): boolean {
  if (idle !== 'warp' || !isCounted(context)) return false;
  const deadline = context.nextDeadlineNs('virtual');
  if (deadline === Infinity) return false;
  context.clocks.virtual.warp(Math.max(0, deadline - context.now('virtual')));
  return true;
}

async function sleep(context: AioContext): Promise<void> {
  if (!isCounted(context)) return context.wait();
  const { virtual, virtualRt } = context.clocks;
  const before = virtualRt.now();
  await context.wait(context.nextDeadlineNs('virtual') - virtual.now());
  // As far as real time went, be it past the deadline: cutting it there would make the guest's time run slow.
  if (isCounted(context)) virtual.warp(virtualRt.now() - before);
}
