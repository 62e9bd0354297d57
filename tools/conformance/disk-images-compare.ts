/** Recorded and own answers side by side; a line for each difference. */
import type { ChainStatus } from '@emkit/block';
import type { CheckResult, ImageInfo, JsonValue, Reference, SnapshotInfo } from '@emkit/storage';
import type { Fields, MapEntry } from './disk-images-manifest.ts';

/** `info` in the keys of `qemu-img info --output=json`, as far as they were recorded. */
export function infoFields(name: string, info: ImageInfo, backing: Reference | undefined): Record<string, JsonValue> {
  const fields: Record<string, JsonValue> = {
    filename: name,
    format: info.format,
    'virtual-size': info.virtualSize,
    'dirty-flag': info.dirty,
  };
  if (info.clusterSize !== undefined) fields['cluster-size'] = info.clusterSize;
  if (info.encrypted === true) fields['encrypted'] = true;
  if (info.compressed === true) fields['compressed'] = true;
  if (backing !== undefined) fields['backing-filename'] = backing.name;
  if (backing?.format !== undefined) fields['backing-filename-format'] = backing.format;
  if (info.snapshots !== undefined && info.snapshots.length > 0) fields['snapshots'] = info.snapshots.map(snapshot);
  if (info.formatSpecific !== undefined) fields['format-specific'] = info.formatSpecific;
  return fields;
}

function snapshot(s: SnapshotInfo): JsonValue {
  return {
    id: s.id,
    name: s.name,
    'vm-state-size': s.vmStateSize,
    'vm-clock-sec': Math.floor(s.vmClock / 1e9),
    'vm-clock-nsec': s.vmClock % 1e9,
    ...(s.icount === undefined ? {} : { icount: s.icount }),
  };
}

/** Keys in any order. The name of an image that was opened by options is printed as JSON, which is the tool's matter. */
export function compareInfo(recorded: Fields, own: Record<string, JsonValue>): string[] {
  const { filename, ...rest } = recorded;
  const { filename: ownName, ...ownRest } = own;
  const names =
    typeof filename === 'string' && filename.startsWith('json:') ? [] : compareJson('filename', filename, ownName);
  return [...names, ...compareJson('', rest, ownRest)];
}

function compareJson(path: string, wanted: JsonValue | undefined, own: JsonValue | undefined): string[] {
  if (isObject(wanted) && isObject(own)) {
    const keys = [...new Set([...Object.keys(wanted), ...Object.keys(own)])];
    return keys.flatMap((key) => compareJson(path === '' ? key : `${path}.${key}`, wanted[key], own[key]));
  }
  if (Array.isArray(wanted) && Array.isArray(own) && wanted.length === own.length)
    return wanted.flatMap((item: JsonValue, i) => compareJson(`${path}[${i}]`, item, own[i] as JsonValue));
  return JSON.stringify(wanted) === JSON.stringify(own) ? [] : [`${path}: ${show(own)}, recorded ${show(wanted)}`];
}

function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: JsonValue | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 120);
}

export interface OwnMapEntry extends MapEntry {
  /** The layer that decides knows zeroes only from holes of the file below it, which the recording machine's file system made. */
  readonly isRaw: boolean;
}

export function mapEntry(start: number, status: ChainStatus, isRaw: boolean): OwnMapEntry {
  const { length, depth, zero, data, offset } = status;
  const isAt = offset !== undefined && status.compressed !== true;
  return { start, length, depth, present: status.allocated, zero, data, isRaw, ...(isAt ? { offset } : {}) };
}

/**
 * Piece by piece, wherever either has a boundary. Which parts of stored data are zero is the recording file system's answer (its holes);
 * that something is stored, where, at which depth, or is zero without being stored, is the format's.
 */
export function compareMap(recorded: readonly MapEntry[], own: readonly OwnMapEntry[]): string[] {
  const differences: string[] = [];
  for (let i = 0, k = 0; i < recorded.length && k < own.length;) {
    const a = recorded[i] as MapEntry;
    const b = own[k] as OwnMapEntry;
    const start = Math.max(a.start, b.start);
    const end = Math.min(a.start + a.length, b.start + b.length);
    if (start < end) {
      const [left, right] = [piece(a, start, b.isRaw), piece(b, start, b.isRaw)];
      if (left !== right) differences.push(`map at ${start}+${end - start}: ${right}, recorded ${left}`);
    }
    if (a.start + a.length === end) i++;
    if (b.start + b.length === end) k++;
  }
  const ends = [recorded, own].map((list) => list.reduce((sum, { start, length }) => Math.max(sum, start + length), 0));
  if (ends[0] !== ends[1]) differences.push(`map ends at ${ends[1]}, recorded ${ends[0]}`);
  return differences;
}

function piece(e: MapEntry, start: number, isRaw: boolean): string {
  const parts = [`depth ${e.depth}`, e.present ? 'present' : 'absent'];
  if (!isRaw) parts.push(e.data ? 'data' : e.zero ? 'zero' : 'neither');
  if (e.offset !== undefined) parts.push(`at ${e.offset + start - e.start}`);
  return parts.join(' ');
}

/** As qemu-img's exit code: 1 error, 2 corruptions, 3 leaks only. */
export function checkExit(result: CheckResult): number {
  if (result.checkErrors > 0) return 1;
  if (result.corruptions > 0) return 2;
  return result.leaks > 0 ? 3 : 0;
}

const CHECK_KEYS = {
  corruptions: 'corruptions',
  leaks: 'leaks',
  'check-errors': 'checkErrors',
  'image-end-offset': 'imageEndOffset',
  'total-clusters': 'totalClusters',
  'allocated-clusters': 'allocatedClusters',
  'fragmented-clusters': 'fragmentedClusters',
  'compressed-clusters': 'compressedClusters',
} as const;

/** A number that is 0 is not printed. */
export function compareCheck(recorded: Fields, result: CheckResult): string[] {
  return Object.entries(CHECK_KEYS).flatMap(([key, own]) => {
    const [wanted, is] = [recorded[key] ?? 0, result[own] ?? 0];
    return wanted === is ? [] : [`check ${key}: ${is}, recorded ${String(wanted)}`];
  });
}
