/** What the tiers of `auto` spend, and how their scores are mixed: data, with where it comes from. */
import type { Tier } from '../core/method.ts';

/** Vectors keep more answers where the question shares few words with them; docs/quality.md has both tiers. */
export const defaultTier: Tier = 'balanced';

/**
 * Pools with more UTF-16 units of text than this are not shown to the model: new text of 30,000 units takes
 * about half a second of one core. A fixed bound, so that the choice depends on the text alone and not on how busy the machine is.
 */
export const tierLimits = { vectorChars: 30_000, pairChars: 60_000 } as const;
