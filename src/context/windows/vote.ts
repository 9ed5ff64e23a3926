/** Answers of several windows: which of them say the same, and how sure each is. */
import type { AnswerToken } from './types.ts';

/** Same answer, same text: Unicode NFKC, lower case, without punctuation and English articles, single blanks. */
export function normaliseAnswer(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/(?<=\d),(?=\d{3}\b)/g, '')
    .replaceAll(/[^\p{L}\p{M}\p{N}%.\s]|\.(?!\d)/gu, ' ')
    .replaceAll(/\b(?:a|an|the)\b/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

const nothingSaid =
  /^(?:none|unknown|n a|not (?:enough )?information|no (?:relevant )?information|no answer|not (?:mentioned|stated|given|specified|provided|found|available)|(?:i )?(?:do not|don t|cannot|can t) (?:know|tell|answer|say)|unanswerable)\b/;
const nothingFound =
  /\b(?:(?:does|do|did)(?: not|n t) (?:mention|contain|say|state|specify|provide|include)|(?:doesn|don|didn) t (?:mention|contain|say|state|specify|provide|include)|not (?:mentioned|stated|specified|provided) in|cannot be (?:determined|answered))\b/;
/** A longer answer may use such words about something else. */
const mostWords = 15;

/** The answer says that the text holds no answer, or nothing at all. A plain "no" is an answer. */
export function saysNothing(text: string): boolean {
  const answer = normaliseAnswer(text);
  if (answer === '') return true;
  if (answer.split(' ').length > mostWords) return false;
  return nothingSaid.test(answer) || nothingFound.test(answer);
}

/** Geometric mean of the probabilities of an answer's tokens, 0 to 1; null = not told. */
export function confidenceOf(tokens: readonly AnswerToken[] | null): number | null {
  if (tokens === null || tokens.length === 0) return null;
  const sum = tokens.reduce((total, { logProbability }) => total + logProbability, 0);
  return Math.exp(sum / tokens.length);
}

export interface Ballot {
  readonly window: number;
  readonly text: string;
  /** At least 0. */
  readonly weight: number;
}

export interface Verdict {
  /** The window whose words are taken: of those that agree, the one with the most weight. */
  readonly window: number;
  /** Summed weight of the windows that agree, as a share of all. */
  readonly share: number;
  readonly votes: number;
}

/** Adds up the weight of equal answers. null = nobody said anything. Of equals the earlier window wins. */
export function countVotes(ballots: readonly Ballot[]): Verdict | null {
  const sums = new Map<string, { weight: number; votes: number; best: Ballot }>();
  let all = 0;
  for (const ballot of ballots) {
    const answer = normaliseAnswer(ballot.text);
    if (answer === '') continue;
    all += ballot.weight;
    const known = sums.get(answer);
    if (known === undefined) sums.set(answer, { weight: ballot.weight, votes: 1, best: ballot });
    else {
      known.weight += ballot.weight;
      known.votes += 1;
      if (ballot.weight > known.best.weight) known.best = ballot;
    }
  }
  let winner: { weight: number; votes: number; best: Ballot } | null = null;
  for (const sum of sums.values()) {
    if (winner === null || sum.weight > winner.weight) winner = sum;
  }
  if (winner === null) return null;
  return {
    window: winner.best.window,
    share: all > 0 ? winner.weight / all : 1 / sums.size,
    votes: winner.votes,
  };
}
