/**
 * The operations of `npm run bench -- storage`: the same words for emkit-img and for qemu-img, on a 1 GiB image whose MiBs are random and
 * zero in turn (../shared/bench/README.md has the peer's own times). `limit`: emkit's time by qemu-img's that the project wants at most.
 */
export interface StorageWork {
  readonly name: string;
  /** Arguments of both programs. Files are relative to the work folder; `OUT` stands for a fresh file of this side's. */
  readonly args: readonly string[];
  /** Made anew before each run, by qemu-img for both. */
  readonly prepare?: readonly string[];
  readonly limit?: number;
}

/** 4 KiB times a prime: wraps over the image without coming back to a cluster soon, since qemu-img bench has no random mode. */
const STRIDE = String(4096 * 7919);
const BENCH_READ = ['bench', '-f', 'qcow2', '-c', '50000', '-s', '4096', '-S', STRIDE];
const BENCH_WRITE = ['bench', '-w', '-f', 'qcow2', '-t', 'writeback', '-s', '4096', '-d', '1'];

export const STORAGE_WORK: readonly StorageWork[] = [
  { name: 'create qcow2', args: ['create', '-f', 'qcow2', 'OUT', '1G'] },
  { name: 'info qcow2', args: ['info', 'half.qcow2'] },
  { name: 'raw to qcow2', args: ['convert', '-f', 'raw', '-O', 'qcow2', 'half.raw', 'OUT'], limit: 1.2 },
  { name: 'qcow2 to raw', args: ['convert', '-f', 'qcow2', '-O', 'raw', 'half.qcow2', 'OUT'], limit: 1.2 },
  { name: 'qcow2 to vmdk', args: ['convert', '-f', 'qcow2', '-O', 'vmdk', 'half.qcow2', 'OUT'], limit: 1.2 },
  { name: 'raw to qcow2 -c zlib', args: ['convert', '-c', '-f', 'raw', '-O', 'qcow2', 'half.raw', 'OUT'], limit: 0.8 },
  {
    name: 'raw to qcow2 -c zstd',
    args: ['convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compression_type=zstd', 'half.raw', 'OUT'],
    limit: 0.8,
  },
  { name: 'compressed qcow2 to raw', args: ['convert', '-f', 'qcow2', '-O', 'raw', 'zlib.qcow2', 'OUT'] },
  { name: 'check qcow2', args: ['check', 'half.qcow2'] },
  { name: 'compare raw qcow2', args: ['compare', '-f', 'raw', '-F', 'qcow2', 'half.raw', 'half.qcow2'] },
  { name: 'map qcow2', args: ['map', '--output=json', 'half.qcow2'] },
  { name: 'read 4 KiB, depth 1', args: [...BENCH_READ, '-d', '1', 'half.qcow2'], limit: 1.5 },
  { name: 'read 4 KiB, depth 64', args: [...BENCH_READ, '-d', '64', 'half.qcow2'], limit: 1.5 },
  {
    name: 'write 4 KiB, allocated',
    args: [...BENCH_WRITE, '-c', '50000', '-S', STRIDE, 'OUT'],
    prepare: ['convert', '-f', 'qcow2', '-O', 'qcow2', 'half.qcow2', 'OUT'],
    limit: 1.2,
  },
  {
    name: 'write 4 KiB, into empty clusters',
    args: [...BENCH_WRITE, '-c', '16000', '-S', '65536', 'OUT'],
    prepare: ['create', '-q', '-f', 'qcow2', 'OUT', '1G'],
    limit: 1.2,
  },
];
