/** What a measured program sees of the environment: the same on every machine. */

const KEPT = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME'];

/**
 * Everything but the basics is left out: NODE_EXTRA_CA_CERTS alone, which some machines set for all programs, has Node read all certificates at its start,
 * 80 ms that have nothing to do with what is measured.
 */
export function measuredEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(KEPT.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
