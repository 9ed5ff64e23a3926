/**
 * Every place where this package and the Python references (llmlingua 0.2.2, selective-context 0.1.4) cannot or should
 * not agree. Each row is asserted by a test: the two sides are shown to differ, so that a row which stops being true
 * fails and is taken out.
 */

export interface Divergence {
  readonly name: string;
  /** Cases of `cases.jsonl.gz` that show it. */
  readonly cases: readonly string[];
  readonly what: string;
  readonly reason: string;
}

export const divergences = [
  {
    name: 'special-token-crash',
    cases: ['L23'],
    what: 'the reference raises ValueError on a literal <|endoftext|>; here it is text and is compressed',
    reason: 'text of a user must never be able to stop a request',
  },
  {
    name: 'punkt-sentences',
    cases: ['L15', 'Q07'],
    what: "sentence borders come from NLTK's trained Punkt model there, from rules here",
    reason:
      'the Punkt parameters are not shipped; the comparison gives the borders as data (fixtures/punkt-sentences.json)',
  },
  {
    name: 'spacy-noun-chunks',
    cases: ['S01', 'S02', 'S03', 'S06', 'S07'],
    what: "phrases are spaCy's merged noun chunks there, rule-based chunks here",
    reason: 'no parser is shipped; the comparison takes the phrases from the trace',
  },
  {
    name: 'cl100k-counts',
    cases: ['T01'],
    what: "the classifier's percentile weighs each word by its tokens in OpenAI's cl100k_base",
    reason:
      'that vocabulary is not shipped; the comparison gives the counts as data (fixtures/cl100k-counts.json)',
  },
  {
    name: 'glued-pieces',
    cases: ['L01'],
    what: 'the reference decodes kept tokens side by side, so pieces of words and characters fuse; a mask is rendered in whole characters with a separator in every gap',
    reason: 'a mask cannot hold half a character; kept token ids are compared instead of text',
  },
  {
    name: 'start-token',
    cases: ['S04'],
    what: "the reference puts GPT-2's <|endoftext|> before every sentence, the compressor's reference mode the model's own BOS",
    reason:
      'for GPT-2 they are the same token; on other models BOS is what the model was trained with (the comparison passes the id)',
  },
] as const satisfies readonly Divergence[];

/**
 * Not compared, because the reference was not run on them: L09, L11, L13, L14, Q09-Q12 (no expectation). L13 and L14
 * would leave the model's 2,048 positions, where the reference evicts cache entries and token ids by different rules;
 * `ItpcResult.overflow` says when that happens here.
 */
export const notRun = ['L09', 'L11', 'L13', 'L14', 'Q09', 'Q10', 'Q11', 'Q12'] as const;
