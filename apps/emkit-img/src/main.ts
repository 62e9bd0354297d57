/**
 * The command's entry. It holds nothing else: what the bundler would put into the same file as the entry, the worker's file might load, and
 * with it the command would start there.
 */
void import('./start.ts').then(({ start }) => start());
