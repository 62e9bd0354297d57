/**
 * cpio archives in the "newc" format, as Linux takes for its initramfs: reader and writer over byte arrays.
 *
 * Spec: Linux Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5) "New ASCII Format". Each header field is eight
 * hex digits; names and data are padded to four bytes. The reader checks every length against the archive; hard links (data on
 * the last name only) are given back as the archive has them. Not done: checksummed ("070702") archives, several archives in one file.
 */
const HEADER = 110;
const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const FIELDS = [
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'mtime',
  'size',
  'devMajor',
  'devMinor',
  'rdevMajor',
  'rdevMinor',
  'nameSize',
  'check',
];

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;

const pad4 = (n) => (4 - (n & 3)) & 3;

/** Entries in order: `{ name, mode, data, rdevMajor, rdevMinor, ... }`; `data` is a view, not a copy. Throws on a damaged archive. */
export function* readCpio(bytes) {
  const archive = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (;;) {
    if (at + HEADER > archive.length) throw new Error(`cpio archive is truncated at byte ${at}: no trailer`);
    if (archive.toString('latin1', at, at + 6) !== MAGIC) throw new Error(`not a cpio newc header at byte ${at}`);
    /** @type {any} the fields by name, then name and data */
    const entry = {};
    for (let i = 0; i < FIELDS.length; i++) {
      const text = archive.toString('latin1', at + 6 + i * 8, at + 14 + i * 8);
      if (!/^[0-9a-fA-F]{8}$/.test(text))
        throw new Error(`cpio header at byte ${at}: field ${FIELDS[i]} is no hex number`);
      entry[FIELDS[i]] = parseInt(text, 16);
    }
    const nameEnd = at + HEADER + entry.nameSize;
    const dataAt = nameEnd + pad4(nameEnd);
    if (entry.nameSize === 0 || dataAt + entry.size > archive.length)
      throw new Error(`cpio archive is truncated: the entry at byte ${at} reaches past the end`);
    entry.name = archive.toString('utf8', at + HEADER, nameEnd - 1).replace(/^(?:\.?\/)+/, '');
    if (entry.name === TRAILER) return;
    entry.data = archive.subarray(dataAt, dataAt + entry.size);
    yield entry;
    at = dataAt + entry.size + pad4(entry.size);
  }
}

/** An archive of `{ name, mode, data?, rdevMajor?, rdevMinor? }`; owner root, time 0, so that equal input gives equal bytes. */
export function writeCpio(entries) {
  const parts = [];
  let length = 0;
  const push = (chunk) => {
    parts.push(chunk);
    length += chunk.length;
  };
  const add = (entry, ino) => {
    const name = Buffer.from(`${entry.name}\0`, 'utf8');
    const data = entry.data ?? Buffer.alloc(0);
    const isDirectory = (entry.mode & S_IFMT) === S_IFDIR;
    const values = [
      ino,
      entry.mode,
      0,
      0,
      isDirectory ? 2 : 1,
      0,
      data.length,
      0,
      0,
      entry.rdevMajor ?? 0,
      entry.rdevMinor ?? 0,
      name.length,
      0,
    ];
    push(Buffer.from(MAGIC + values.map((n) => n.toString(16).padStart(8, '0')).join(''), 'latin1'));
    push(name);
    push(Buffer.alloc(pad4(HEADER + name.length)));
    push(data);
    push(Buffer.alloc(pad4(data.length)));
  };
  entries.forEach((entry, i) => add(entry, i + 1));
  add({ name: TRAILER, mode: 0 }, 0);
  push(Buffer.alloc((512 - (length % 512)) % 512));
  return Buffer.concat(parts);
}
