/** `info` for people and for programs, from one description of the image. */
import type { ImageInfo, JsonValue, SnapshotInfo } from '@emkit/storage';
import { formatSize } from './sizes.ts';

/** An image with what is known about its files. */
export interface InfoReport {
  readonly filename: string;
  readonly info: ImageInfo;
  /** Bytes that the file takes on its disk; undefined: unknown. */
  readonly actualSize: number | undefined;
  readonly backing?:
    | {
        /** As in the header. */
        readonly name: string;
        readonly format?: string | undefined;
        /** As it would be opened; undefined: cannot be told. */
        readonly fullName: string | undefined;
      }
    | undefined;
}

const NS = 1e9;

export function infoJson({ filename, info, actualSize, backing }: InfoReport): { [key: string]: JsonValue } {
  const { snapshots, formatSpecific } = info;
  return {
    ...(snapshots !== undefined && snapshots.length > 0 ? { snapshots: snapshots.map(snapshotJson) } : {}),
    ...(backing?.format !== undefined ? { 'backing-filename-format': backing.format } : {}),
    'virtual-size': info.virtualSize,
    filename,
    ...(info.encrypted === true ? { encrypted: true } : {}),
    ...(info.clusterSize !== undefined ? { 'cluster-size': info.clusterSize } : {}),
    format: info.format,
    ...(info.compressed === true ? { compressed: true } : {}),
    ...(actualSize !== undefined ? { 'actual-size': actualSize } : {}),
    ...(formatSpecific !== undefined
      ? { 'format-specific': { type: formatSpecific.type, data: formatSpecific.data } }
      : {}),
    ...(backing?.fullName !== undefined ? { 'full-backing-filename': backing.fullName } : {}),
    ...(backing !== undefined ? { 'backing-filename': backing.name } : {}),
    'dirty-flag': info.dirty,
  };
}

function snapshotJson(s: SnapshotInfo): { [key: string]: JsonValue } {
  return {
    ...(s.icount !== undefined ? { icount: s.icount } : {}),
    'vm-clock-nsec': s.vmClock % NS,
    name: s.name,
    'date-sec': Math.floor(s.date / 1000),
    'date-nsec': Math.round((s.date % 1000) * 1e6),
    'vm-clock-sec': Math.floor(s.vmClock / NS),
    id: s.id,
    'vm-state-size': s.vmStateSize,
  };
}

export function infoText({ filename, info, actualSize, backing }: InfoReport): string {
  const lines = [
    `image: ${printable(filename)}`,
    `file format: ${info.format}`,
    `virtual size: ${formatSize(info.virtualSize)} (${info.virtualSize} bytes)`,
    `disk size: ${actualSize === undefined ? 'unavailable' : formatSize(actualSize)}`,
  ];
  if (info.encrypted === true) lines.push('encrypted: yes');
  if (info.clusterSize !== undefined) lines.push(`cluster_size: ${info.clusterSize}`);
  if (info.dirty) lines.push('cleanly shut down: no');
  if (backing !== undefined) {
    const { name, fullName } = backing;
    const actual =
      fullName === undefined
        ? ' (cannot determine actual path)'
        : fullName === name
          ? ''
          : ` (actual path: ${printable(fullName)})`;
    lines.push(`backing file: ${printable(name)}${actual}`);
    if (backing.format !== undefined) lines.push(`backing file format: ${printable(backing.format)}`);
  }
  if (info.snapshots !== undefined && info.snapshots.length > 0) lines.push(...snapshotLines(info.snapshots));
  if (info.formatSpecific !== undefined) {
    lines.push('Format specific information:');
    dump(info.formatSpecific.data, 1, lines);
  }
  return `${lines.join('\n')}\n`;
}

/** Names come from images: a terminal's control characters are shown, not obeyed. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export function snapshotLines(snapshots: readonly SnapshotInfo[]): string[] {
  return [
    'Snapshot list:',
    `${'ID'.padEnd(10)}${'TAG'.padEnd(17)}${'VM SIZE'.padStart(8)}${'DATE'.padStart(20)}${'VM CLOCK'.padStart(13)}${'ICOUNT'.padStart(11)}`,
    ...snapshots.map(
      (s) =>
        `${printable(s.id).padEnd(9)} ${printable(s.name).padEnd(16)} ${formatSize(s.vmStateSize).padStart(8)}` +
        `${localDate(s.date).padStart(20)}${clock(s.vmClock).padStart(13)}${(s.icount === undefined ? '' : String(s.icount)).padStart(11)}`,
    ),
  ];
}

const two = (n: number): string => String(n).padStart(2, '0');

function localDate(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

function clock(ns: number): string {
  const seconds = Math.floor(ns / NS);
  const ms = Math.floor((ns % NS) / 1e6);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${String(ms).padStart(3, '0')}`;
}

/** Nested values, four spaces a level; keys with spaces for dashes. */
function dump(
  value: { readonly [key: string]: JsonValue } | readonly JsonValue[],
  level: number,
  lines: string[],
): void {
  const entries = Array.isArray(value)
    ? value.map((item, i): [string, JsonValue] => [`[${i}]`, item as JsonValue])
    : Object.entries(value as { readonly [key: string]: JsonValue }).map(([k, v]): [string, JsonValue] => [
        k.replaceAll('-', ' '),
        v,
      ]);
  for (const [key, item] of entries) {
    const start = `${' '.repeat(4 * level)}${key}:`;
    if (item !== null && typeof item === 'object') {
      lines.push(start);
      dump(item, level + 1, lines);
    } else lines.push(`${start} ${typeof item === 'string' ? printable(item) : String(item)}`);
  }
}
