/** What only a connection needs; most runs of a tool make none, and do not load it. */
export { connectNbd } from '@emkit/nbd';
export { connectTcp, connectUnix } from '@emkit/storage-node';
