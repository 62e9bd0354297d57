import { isBlockError } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { CID_NOPARENT, looksLikeDescriptor, parseDescriptor } from './descriptor.ts';
import { asQemuReads, parseExtent } from './descriptor-extent.ts';
import { formatDescriptor } from './format-descriptor.ts';
import { MAX_DESCRIPTOR_BYTES, MAX_EXTENTS } from './limits.ts';
import { encodeText, fromLatin1 } from './text.ts';

const WORKSTATION = `# Disk DescriptorFile
version=1
encoding="windows-1252"
CID=7d2e9a01
parentCID=FFFFFFFF
isNativeSnapshot="no"
createType="twoGbMaxExtentSparse"

# Extent description
RW 4192256 SPARSE "Büro-s001.vmdk"
RDONLY 100 ZERO
NOACCESS 63 FLAT "\\\\.\\PhysicalDrive0" 5 partitionUUID dev

# Change Tracking File
changeTrackPath="x-ctk.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.longContentID = "0123456789abcdef0123456789abcdef"
`;

function kindOf(source: string | Uint8Array): string {
  try {
    parseDescriptor(source);
    return 'good';
  } catch (error) {
    return isBlockError(error) ? error.kind : 'crash';
  }
}

describe('a descriptor', () => {
  it('of Workstation is read with all its keys', () => {
    const parsed = parseDescriptor(fromLatin1(WORKSTATION));
    expect(parsed).toMatchObject({ version: 1, encoding: 'windows-1252', cid: 0x7d2e9a01, parentCid: CID_NOPARENT });
    expect(parsed.extents).toEqual([
      { access: 'RW', sectors: 4192256, type: 'SPARSE', name: 'Büro-s001.vmdk' },
      { access: 'RDONLY', sectors: 100, type: 'ZERO' },
      { access: 'NOACCESS', sectors: 63, type: 'FLAT', name: '\\\\.\\PhysicalDrive0', offset: 5 },
    ]);
    expect(parsed.ddb.get('ddb.adapterType')).toBe('lsilogic');
    expect([...parsed.other]).toEqual([
      ['isNativeSnapshot', 'no'],
      ['changeTrackPath', 'x-ctk.vmdk'],
    ]);
    expect(parsed.malformed).toEqual([]);
  });

  it.each([
    ['CRLF', (text: string) => text.replaceAll('\n', '\r\n')],
    ['a byte order mark', (text: string) => `\ufeff${text}`],
    ['NULs and old text behind it', (text: string) => `${text}\0\0\0CID=00000001\ncreateType="x"\nRW 1 ZERO\n`],
    ['spaces', (text: string) => text.replaceAll('=', '  =\t').replaceAll('RW ', '\t RW   ')],
    ['no quotes', (text: string) => text.replace('"twoGbMaxExtentSparse"', 'twoGbMaxExtentSparse')],
    ['keys in other case', (text: string) => text.replace('createType', 'CREATETYPE').replace('CID=', 'cid=')],
    ['comments between', (text: string) => text.replaceAll('\n', '\n# RW 5 ZERO\n#CID=1\n')],
    ['no last newline', (text: string) => text.trimEnd()],
  ])('survives %s', (_, change) => {
    const parsed = parseDescriptor(change(WORKSTATION.replace('encoding="windows-1252"\n', '')));
    expect(parsed).toMatchObject({ cid: 0x7d2e9a01, createType: 'twoGbMaxExtentSparse' });
    expect(parsed.extents).toHaveLength(3);
    expect(parsed.extents[0]).toMatchObject({ name: 'Büro-s001.vmdk', sectors: 4192256 });
    expect(parsed.ddb.size).toBe(2);
  });

  it('says where its CID stands', () => {
    const bytes = encodeText('\ufeffversion=1\r\nCID = "691c86c"\r\nparentCID=ffffffff\r\ncreateType="x"\r\n');
    const { cid, cidAt } = parseDescriptor(bytes);
    expect(cid).toBe(0x691c86c);
    expect(String.fromCharCode(...bytes.subarray(cidAt.offset, cidAt.offset + cidAt.length))).toBe('691c86c');
  });

  it('in an encoding that nobody knows is read byte by byte', () => {
    const text = 'encoding="klingon"\nCID=1\ncreateType="caf\xe9"\n';
    expect(parseDescriptor(fromLatin1(text)).createType).toBe('caf\xe9');
  });

  it.each([
    ['without CID', 'version=1\ncreateType="x"\n'],
    ['with a CID that is no number', 'CID=xyz\ncreateType="x"\n'],
    ['with a CID of nine digits', 'CID=123456789\ncreateType="x"\n'],
    ['without createType', 'version=1\nCID=1\n'],
    ['that is empty', ''],
    ['that is noise', '\u0001\u0002%%%=\n==\n'],
  ])('%s is refused', (_, text) => expect(kindOf(text)).toBe('invalid-format'));

  it('names lines that it cannot understand', () => {
    const text =
      'CID=1\ncreateType="x"\nRW x FLAT "a" 0\nRW 5 FLAT "a"\nRW 5 VMFSRDM "a"\nRW 99999999999999999 ZERO\nRW 8\n';
    expect(parseDescriptor(text).malformed).toHaveLength(5);
  });

  it('is read back as it was written', () => {
    const parsed = parseDescriptor(WORKSTATION.replace('windows-1252', 'UTF-8'));
    const again = parseDescriptor(formatDescriptor(parsed));
    expect({ ...again, cidAt: 0 }).toEqual({ ...parsed, cidAt: 0 });
  });

  it('is not written with what would not be read back', () => {
    const parsed = parseDescriptor(WORKSTATION);
    for (const createType of ['a"b', 'a\nb', 'a\0b'])
      expect(() => formatDescriptor({ ...parsed, createType })).toThrow(/cannot hold/);
  });

  it('may be as long as the limit, and no longer', () => {
    const text = 'CID=1\ncreateType="x"\n#';
    expect(kindOf(text.padEnd(MAX_DESCRIPTOR_BYTES, ' '))).toBe('good');
    expect(kindOf(text.padEnd(MAX_DESCRIPTOR_BYTES + 1, ' '))).toBe('invalid-format');
  });

  it('may have as many extents as the limit, and no more', () => {
    const text = (count: number): string => `CID=1\ncreateType="x"\n${'RW 1 ZERO\n'.repeat(count)}`;
    expect(kindOf(text(MAX_EXTENTS))).toBe('good');
    expect(kindOf(text(MAX_EXTENTS + 1))).toBe('invalid-format');
  });

  it('is known by its version line', () => {
    const is = (text: string): boolean => looksLikeDescriptor(encodeText(text));
    expect(is(WORKSTATION)).toBe(true);
    expect(is('# comment\r\n\r\nversion=1\r\n')).toBe(true);
    expect(is('version=4\n')).toBe(false);
    expect(is('hello\nversion=1\n')).toBe(false);
    expect(is('')).toBe(false);
  });
});

describe('an extent line', () => {
  it('counts once more for each empty line before it, as in QEMU', () => {
    const extents = parseDescriptor('CID=1\ncreateType="x"\n\n\nRW 1 ZERO\nRW 2 ZERO\n').extents;
    expect(asQemuReads(extents, 100).map(({ sectors }) => sectors)).toEqual([1, 1, 1, 2]);
  });

  it('takes sectors whose bytes are exact', () => {
    const most = Math.floor(Number.MAX_SAFE_INTEGER / 512);
    expect(parseExtent(`RW ${most} ZERO`)?.sectors).toBe(most);
    expect(parseExtent(`RW ${most + 1} ZERO`)).toBeUndefined();
    expect(parseExtent(`RW 1 FLAT "a" ${most + 1}`)).toBeUndefined();
  });
});
