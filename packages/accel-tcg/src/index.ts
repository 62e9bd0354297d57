export { EXIT, Tcg } from './tcg.ts';
export type { ExitReason, TcgOptions, TcgTrace } from './tcg.ts';
export type { CodeSource, Target, TargetHost, TranslateRequest, TranslateResult } from './target.ts';
