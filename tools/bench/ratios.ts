/**
 * Speed ratios. A ratio is the peer's time over emkit's, taken within one round, so that a machine that is slower for a
 * while slows both sides of it; above 1, emkit is the faster. Over rounds the median counts.
 *
 * A workload enters a comparison only if both sides finished it in every round with one and the same checksum.
 */
import type { Sample } from './guest-log.ts';
import { GROUPS, IDLE_WORKLOAD } from './workloads.ts';
import type { GroupName } from './workloads.ts';

/** One emulator's rounds; a workload that failed in a round is missing from it. */
export type Rounds = readonly ReadonlyMap<string, Sample>[];

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function geomean(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Of one workload: times per round, in which it was finished. */
export const wallTimes = (rounds: Rounds, workload: string): number[] =>
  rounds.flatMap((round) => round.get(workload)?.wallMs ?? []);
export const cpuTimes = (rounds: Rounds, workload: string): number[] =>
  rounds.flatMap((round) => round.get(workload)?.cpuMs ?? []);
export const checksums = (rounds: Rounds, workload: string): Set<string> =>
  new Set(rounds.flatMap((round) => round.get(workload)?.checksum ?? []));

/** Finished by both in all rounds with one checksum. */
export function comparable(emkit: Rounds, peer: Rounds, workload: string): boolean {
  const complete = [emkit, peer].every((rounds) => rounds.length > 0 && rounds.every((r) => r.has(workload)));
  return complete && new Set([...checksums(emkit, workload), ...checksums(peer, workload)]).size === 1;
}

/** What a serial line heard from outside can resolve; keeps ratios of shorter times from meaning anything. */
const SHORTEST_MS = 0.5;

/** The workload's ratio in each round; empty when not comparable. */
export function ratios(emkit: Rounds, peer: Rounds, workload: string): number[] {
  if (!comparable(emkit, peer, workload)) return [];
  const time = (round: ReadonlyMap<string, Sample>): number =>
    Math.max(SHORTEST_MS, round.get(workload)?.wallMs ?? Number.NaN);
  return emkit.map((round, n) => time(peer[n]) / time(round));
}

export interface GroupRatio {
  /** Median over rounds of the geometric mean over workloads; NaN when there is none. */
  readonly ratio: number;
  readonly used: readonly string[];
  /** Members that the guest ran but that cannot be compared. */
  readonly missing: readonly string[];
}

/** `ran` are the workloads that the guest has and was asked for; others of the group are no loss. */
export function groupRatio(emkit: Rounds, peer: Rounds, group: GroupName, ran: readonly string[]): GroupRatio {
  const members = GROUPS[group].filter((name) => ran.includes(name));
  const used = members.filter((name) => comparable(emkit, peer, name));
  const perWorkload = used.map((name) => ratios(emkit, peer, name));
  const perRound = emkit.map((_, n) => geomean(perWorkload.map((values) => values[n])));
  return {
    ratio: used.length === 0 ? Number.NaN : median(perRound),
    used,
    missing: members.filter((name) => !used.includes(name)),
  };
}

/** Workloads at less than `limit` of the peer's speed. Sleeping is no speed. */
export function slowerThan(emkit: Rounds, peer: Rounds, ran: readonly string[], limit: number): string[] {
  return ran.filter((name) => name !== IDLE_WORKLOAD && median(ratios(emkit, peer, name)) < limit);
}
