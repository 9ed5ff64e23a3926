/** What LongLLMLingua asks of a question: how well a document explains it, and which words it makes more likely. */
import type { SurprisalScorer } from '../score/types.ts';
import { restrictiveSentence } from './reference/contexts.ts';
import { meanSurprisal, textSurprisal } from './llmlingua-surprisal.ts';
import type { TextSurprisal } from './llmlingua-surprisal.ts';
import type { GroupRanges } from './mask.ts';

export interface QuestionInput {
  readonly scorer: SurprisalScorer;
  readonly question: string;
  readonly signal: AbortSignal | null;
}

/** The ids that are scored after a document: the question and the statement that the documents answer it. */
export function questionIds({ scorer, question }: QuestionInput): Uint32Array {
  const ids = scorer.encode(`\n\n${question}${restrictiveSentence}`).ids;
  return ids.slice(-Math.floor(scorer.contextLength / 2));
}

/** Condition for contrastive scores: question (and instruction), then a blank line; its last tokens when too long. */
export function conditionIds(input: QuestionInput, instruction: string): Uint32Array {
  const { scorer, question } = input;
  const text = instruction === '' ? question : `${question}\n\n${instruction}`;
  return scorer.encode(`${text}\n\n`).ids.slice(-Math.floor(scorer.contextLength / 4));
}

export interface DocumentScores {
  /** Mean surprisal of question and statement after the document; lower = better. */
  readonly questionLoss: number;
  /** Surprisal of the document's own tokens in that pass. */
  readonly scored: TextSurprisal;
}

/** Longest piece of a document in one pass: what a cancelled request still waits for. */
const pieceTokens = 512;

/**
 * One pass per document (LongLLMLingua equation 2): [BOS, document, question, statement]. The document's own
 * surprisals come out of the same pass. A long document is read in pieces, each after the last tokens of the one
 * before; its best piece counts.
 *
 * With `condition_in_question: before` the roles are swapped: [BOS, question, document], ranked by the document's
 * surprisal given the question.
 *
 * @throws SluiceError what the scorer throws
 */
export async function scoreDocument(
  input: QuestionInput,
  document: {
    readonly text: string;
    readonly groups: GroupRanges;
    readonly questionFirst: boolean;
  },
): Promise<DocumentScores> {
  const question = questionIds(input);
  const scored = await textSurprisal({
    scorer: input.scorer,
    text: document.text,
    groups: document.groups,
    windowTokens: pieceTokens,
    ...(document.questionFirst ? { condition: question } : { after: question }),
    left: { kind: 'original' },
    signal: input.signal,
  });
  const losses = document.questionFirst ? [meanSurprisal(scored)] : scored.afterMeans;
  return { questionLoss: Math.min(...losses, Number.POSITIVE_INFINITY), scored };
}

/** Surprisal of the document's tokens with ids before it as condition, in the same pieces. */
export async function conditionedSurprisal(
  input: QuestionInput,
  document: {
    readonly text: string;
    readonly groups: GroupRanges;
    readonly condition: Uint32Array;
  },
): Promise<TextSurprisal> {
  return textSurprisal({
    scorer: input.scorer,
    text: document.text,
    groups: document.groups,
    windowTokens: pieceTokens,
    condition: document.condition,
    left: { kind: 'original' },
    signal: input.signal,
  });
}

/**
 * Contrastive scores (LongLLMLingua equation 3): surprisal without the condition minus surprisal with it, which is the
 * pointwise mutual information of word and question. Larger = more to do with the question.
 */
export function contrastiveScores(
  without: ArrayLike<number>,
  conditioned: ArrayLike<number>,
): Float32Array {
  return Float32Array.from(without, (value, i) => value - (conditioned[i] ?? value));
}
