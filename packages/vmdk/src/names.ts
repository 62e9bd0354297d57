/** Names of files in a descriptor: relative to the file that the descriptor stands in. Path separators are `/` and, from Windows hosts, `\`. */

/** As in a path of POSIX or Windows, or with a protocol (`nbd://...`, `json:...`). */
export function isAbsolute(name: string): boolean {
  return /^([/\\]|[A-Za-z][A-Za-z0-9+.-]*:)/.test(name);
}

/** Everything up to the last separator, with it; empty if there is none. */
export function directoryOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
}

/** `name` as it is said in a file called `base`. */
export function relativeTo(base: string, name: string): string {
  return isAbsolute(name) ? name : directoryOf(base) + name;
}

/** `disk.vmdk` is `['disk', '.vmdk']`: where extents get their suffix. */
export function splitName(path: string): [stem: string, extension: string] {
  const name = path.slice(directoryOf(path).length);
  const dot = name.lastIndexOf('.');
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
}
