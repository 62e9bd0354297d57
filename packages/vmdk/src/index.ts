export type { GrainCodec } from './codec.ts';
export { CID_NOPARENT, parseDescriptor } from './descriptor.ts';
export type { Descriptor, ParsedDescriptor } from './descriptor.ts';
export type { DescriptorExtent, ExtentAccess, ExtentType } from './descriptor-extent.ts';
export { createVmdkDriver, vmdk } from './driver.ts';
export { formatDescriptor } from './format-descriptor.ts';
export {
  MAX_COMPRESSED_GRAIN_BYTES,
  MAX_DESCRIPTOR_BYTES,
  MAX_DIRECTORY_ENTRIES,
  MAX_EXTENTS,
  MAX_GRAIN_BYTES,
  MAX_PARENTS,
  MAX_TABLE_ENTRIES,
} from './limits.ts';
