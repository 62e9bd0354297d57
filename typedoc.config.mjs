/** The reference of all published packages, in docs/api. A broken {@link} is an error; sources are not linked. */
import { LAYERS } from './tools/boundaries/layers.mjs';

export default {
  name: 'emkit',
  entryPointStrategy: 'packages',
  entryPoints: LAYERS.flatMap((layer) => layer.packages.map((name) => `packages/${name}`)),
  out: 'docs/api',
  readme: 'none', // the root README links folders, which a generated page cannot
  includeVersion: true,
  treatWarningsAsErrors: true,
  packageOptions: {
    // A published signature may name an internal type: the reference shows its shape.
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    // The types are checked by their own layer, with Node's types for the tests and without them for the sources.
    skipErrorChecking: true,
    readme: 'README.md',
    excludeInternal: true,
    disableSources: true,
  },
};
