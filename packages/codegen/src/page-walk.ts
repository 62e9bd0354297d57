/**
 * Page tables as data: what the core module's walker (page-walker.ts) is made from. A guest architecture says in it how its tables are
 * laid out; nothing here knows which one it is. Numbers are masks of an entry's low 32 bits unless said otherwise.
 *
 * The walker answers only what is plain: tables and page in RAM, access allowed. Whatever else there is (a device, a page that is
 * watched, bits that the table does not speak of) is the script walker's, which decides by itself. Of faults it knows two: an entry that
 * is not present, and a page that `write` or `user` withholds.
 */
export interface PageWalk {
  readonly bits: {
    readonly present: number;
    readonly write: number;
    readonly user: number;
    readonly accessed: number;
    readonly dirty: number;
    /** The entry maps a page, though it is not of the last level. */
    readonly large: number;
    readonly global: number;
  };
  /** Bit 63 of an entry of 8 bytes forbids fetches: a reserved bit unless the control word has `noExecute`. */
  readonly control: {
    /** Bits of the control word that are the mode: index in `modes` + 1; 0: script walks. */
    readonly mode: number;
    /** Supervisor writes heed `write`. */
    readonly writeProtect: number;
    /** Supervisor code does not run from user pages. */
    readonly noUserExecute: number;
    /** Supervisor accesses to user pages are the script's to judge. */
    readonly noUserAccess: number;
    readonly globals: number;
    /** Keys count, for user pages. */
    readonly keys: number;
    /** `large` counts where a level says that it is optional. */
    readonly large: number;
    readonly noExecute: number;
  };
  /**
   * Keys in bits 62:59 of the entry that maps the page: env offset of a word with two bits a key, the lower of which forbids reads and
   * writes, the upper one writes (of supervisors only under `writeProtect`). Fetches are not its business.
   */
  readonly keys: number;
  /**
   * Bits of a fault's error code: the page is there, was to be written, by a user, was to be executed (where that can be forbidden: under `noUserExecute`,
   * and in modes with entries of 8 bytes under `noExecute`). Without: script finds all faults.
   */
  readonly faults?: { readonly present: number; readonly write: number; readonly user: number; readonly fetch: number };
  readonly modes: readonly PageMode[];
}

export interface PageMode {
  /** 0: linear addresses are physical ones, and the rest says nothing. */
  readonly entryBytes: 0 | 4 | 8;
  /** Bits that a linear address has; those above are 0 (32 bits) or copies of the highest. */
  readonly addressBits: number;
  /** Env offset of 8 bytes with the physical address of the first table. `select`: of one such place for each value of these address bits, which has a `present` bit. */
  readonly root: { readonly offset: number; readonly select?: { readonly shift: number; readonly bits: number } };
  /** Bits of the physical address in the root and in an entry. Below 2^44. */
  readonly frame: bigint;
  /** Bits that no present entry may have. */
  readonly reserved: bigint;
  /** From the first table to the last. */
  readonly levels: readonly PageLevel[];
}

export interface PageLevel {
  /** Lowest address bit of the index, and how many there are. */
  readonly shift: number;
  readonly bits: number;
  /** What `large` means: 'never': a reserved bit (the last level has none, and ignores it). */
  readonly large: 'never' | LargePage;
}

export interface LargePage {
  /** Bits that such an entry may not have. */
  readonly reserved: number;
  /** Only under `control.large`; otherwise the bit is ignored. */
  readonly optional: boolean;
  /** Bits 32 and up of the physical address, in the low half of the entry. */
  readonly high?: { readonly shift: number; readonly bits: number };
}
