/** Deflate of grains (RFC 1950 around RFC 1951). A host that has a faster way brings its own: `createVmdkDriver`. */

export interface GrainCodec {
  /** In zlib's format. */
  deflate(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * Fills `output` from its beginning and gives the count of bytes; what does not fit is an error or dropped, never more memory. Throws
   * anything if the data is no zlib stream. Bytes after the stream are allowed.
   */
  inflate(data: Uint8Array, output: Uint8Array): number | Promise<number>;
}

/** Runs anywhere, on the calling thread. */
export const JS_CODEC: GrainCodec = {
  deflate: async (data) => (await import('fflate')).zlibSync(data),
  inflate: async (data, output) =>
    Math.min((await import('fflate')).unzlibSync(data, { out: output }).length, output.length),
};
