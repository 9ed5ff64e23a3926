/** Names of everything that can decide a mask. */

export const methodNames = [
  'auto',
  'extractive',
  'structural',
  'selective-context',
  'llmlingua',
  'longllmlingua',
  'llmlingua2',
] as const;
export type MethodName = (typeof methodNames)[number];

/** Baselines, for evaluation only; never chosen by `auto` and not offered over HTTP. */
export const baselineNames = [
  'identity',
  'head',
  'tail',
  'middle',
  'random-word',
  'random-sentence',
  'bm25-sentence',
  'bm25-document',
  'bm25-sentence-document',
] as const;
export type BaselineName = (typeof baselineNames)[number];

/**
 * How much `auto` may spend on ranking sentences for a question: rules and the token table; sentence vectors as well;
 * and the cross-encoder as well.
 */
export const tierNames = ['express', 'balanced', 'thorough'] as const;
export type Tier = (typeof tierNames)[number];
