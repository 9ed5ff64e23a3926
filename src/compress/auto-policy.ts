/** Which method `auto` uses for what: one table, so that evaluation can correct it in one place. */
import type { MethodName } from '../core/method.ts';
import type { ContentKind } from '../core/span.ts';

export interface AutoRow {
  readonly content: ContentKind;
  /** Is a question known? */
  readonly question: boolean;
  readonly method: Exclude<MethodName, 'auto'>;
  /** Why: what was measured, or which rule. */
  readonly evidence: string;
}

const syntax = 'its own syntax must stay whole; word droppers break it';

export const autoPolicy: readonly AutoRow[] = [
  {
    content: 'prose',
    question: true,
    method: 'extractive',
    evidence:
      'whole sentences by BM25 and a document prior keep the answer far more often than dropped words (.97/.95/.92/.84 over four sets at .5/.33/.2/.1, Selective Context sentences .59/.40/.28/.19)',
  },
  {
    content: 'prose',
    question: false,
    method: 'extractive',
    evidence:
      'leading sentences of each document beat random sentences; surprisal of a small causal model was level with random units',
  },
  {
    content: 'search',
    question: true,
    method: 'structural',
    evidence: 'results are documents with a title line that must come along',
  },
  { content: 'search', question: false, method: 'structural', evidence: 'as with a question' },
  {
    content: 'log',
    question: true,
    method: 'structural',
    evidence:
      'rare templates and severity find the one odd line at a tenth of the tokens; BM25 finds .30',
  },
  { content: 'log', question: false, method: 'structural', evidence: 'as with a question' },
  { content: 'json', question: true, method: 'structural', evidence: syntax },
  { content: 'json', question: false, method: 'structural', evidence: syntax },
  { content: 'table', question: true, method: 'structural', evidence: syntax },
  { content: 'table', question: false, method: 'structural', evidence: syntax },
  { content: 'diff', question: true, method: 'structural', evidence: syntax },
  { content: 'diff', question: false, method: 'structural', evidence: syntax },
  { content: 'markup', question: true, method: 'structural', evidence: syntax },
  { content: 'markup', question: false, method: 'structural', evidence: syntax },
  { content: 'code', question: true, method: 'structural', evidence: 'only comments may go' },
  { content: 'code', question: false, method: 'structural', evidence: 'only comments may go' },
];

/**
 * In a conversation the JSON results of tools get this many times their share of the budget, taken from the messages,
 * which keep at least `messagesKeep` of theirs: later calls need values from the results letter by letter. Measured on
 * 30 agent conversations at .33/.2: .933/.833 of the next call's arguments kept at 1, .967/.867 at 1.5, .967/.933 at 2
 * and at 3.
 */
export const toolResultShare = 2;
export const messagesKeep = 0.5;

/** What takes over when the chosen method's model is missing; needs no model itself. */
export const withoutModel: Exclude<MethodName, 'auto'> = 'extractive';

export function autoMethod(content: ContentKind, question: boolean): Exclude<MethodName, 'auto'> {
  const row = autoPolicy.find((each) => each.content === content && each.question === question);
  return row?.method ?? withoutModel;
}
