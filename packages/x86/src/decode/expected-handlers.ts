/**
 * Handlers that rows name and that are still to be written: until then the instruction is #UD. A name that exists in a
 * handler table does nothing here.
 */
export const EXPECTED_HANDLERS: ReadonlySet<string> = new Set(
  `movsxd cmpxchg16b rdrand rdseed
  syscall sysret swapgs read_base write_base clac stac xgetbv xsetbv rdpkru wrpkru rdpid invpcid
  xsave xsaveopt xsavec xsaves xrstor xrstors`.split(/\s+/),
);
