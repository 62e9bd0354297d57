export { qed } from './driver.ts';
export {
  MAX_BACKING_NAME,
  MAX_CHECK_MEMORY,
  MAX_CHECKED_BYTES,
  MAX_CLUSTER_SIZE,
  MAX_IMAGE_SIZE,
  MAX_TABLE_SIZE,
  MIN_CLUSTER_SIZE,
  TABLE_CACHE_SIZE,
} from './limits.ts';
