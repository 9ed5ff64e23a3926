/** What an engine holds of its own answers, where it does not say so itself. */
import { boundedCache } from '../core/bounded-cache.ts';
import { blocksOf, type Chain } from './chain.ts';

export interface AnswerBook {
  /** After an answer of this many generated tokens to the prompt; a prompt whose ids are not known is passed over. */
  remember(prompt: Chain, answerTokens: number): void;
  /**
   * Tokens of `prompt` that the engine holds when it begins with a remembered prompt and goes on with that one's answer:
   * generated tokens are cached like prompt tokens, but the last one, which was never fed back. `matched` = tokens of it
   * that were sent before. It is an estimate: a text that is tokenised anew may differ from what was generated. null =
   * no answer is known there.
   */
  heldBy(prompt: Chain, matched: number): number | null;
}

interface Answered {
  readonly promptTokens: number;
  readonly answerTokens: number;
}

const maxAnswers = 10_000;

export function createAnswerBook(): AnswerBook {
  const answers = boundedCache<Answered>({ maxEntries: maxAnswers });
  return {
    remember(prompt, answerTokens) {
      if (!prompt.exact || answerTokens < 1 || blocksOf(prompt) === 0) return;
      answers.set(nameOf(prompt, blocksOf(prompt)), { promptTokens: prompt.tokens, answerTokens });
    },
    heldBy(prompt, matched) {
      const { blockTokens, tokens, exact } = prompt;
      const blocks = Math.floor(matched / blockTokens);
      if (!exact || blocks === 0) return null;
      const answered = answers.get(nameOf(prompt, blocks));
      if (answered === undefined) return null;
      const held = Math.min(tokens - 1, answered.promptTokens + answered.answerTokens - 1);
      return Math.floor(held / blockTokens) * blockTokens;
    },
  };
}

function nameOf({ words }: Chain, blocks: number): string {
  return words.subarray((blocks - 1) * 4, blocks * 4).join(' ');
}
