/** Why fewer tokens were reused than the last forwarded prompt could have given. */
import { missReasons, type MissReason } from '../core/reuse-words.ts';

export { missReasons, type MissReason };

export interface MissInput {
  /** Tokens that were reused as the backend reported them; null = it does not tell. */
  readonly reported: number | null;
  /** Tokens expected on the chosen replica before forwarding. */
  readonly planned: number;
  /** Forwarded tokens before this request that it starts with, on whatever replica. */
  readonly reusable: number;
  readonly promptTokens: number;
  readonly blockTokens: number;
  /** What the mode decision already knew. */
  readonly known: MissReason | null;
  /** The conversation's replica is another one than the chosen one. */
  readonly moved: boolean;
  /** Fewest tokens that the provider caches; 0 = no such rule. */
  readonly minimumTokens: number;
  /** The index was fed by events, so that a planned block that is missing was evicted after the last event. */
  readonly exactIndex: boolean;
}

/** Pure. @returns null when nothing is missing or nothing is known about it */
export function missReasonOf(input: MissInput): MissReason | null {
  const { reported, reusable, blockTokens, promptTokens } = input;
  if (reported === null) return input.known;
  const missing = reusable - reported;
  if (missing <= 0) return input.known;
  if (promptTokens < input.minimumTokens) return 'below-minimum';
  const full = blockTokens * Math.floor(Math.min(reusable, promptTokens - 1) / blockTokens);
  if (full - reported <= 0) return input.known ?? 'block-floor';
  if (input.known !== null) return input.known;
  if (input.moved) return 'other-replica';
  // Expected less than what was forwarded here: the index saw the blocks go.
  if (input.planned < full && reported >= input.planned) return 'evicted';
  if (input.exactIndex && reported < input.planned) return 'evicted';
  return 'unknown';
}
