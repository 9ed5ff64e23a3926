/** How a request goes on with its conversation, in the words of plans and reports. */

/**
 * - `extend`: the forwarded prefix stands, messages were added (or nothing changed)
 * - `branch`: the client edited, rewound or regenerated; the prefix stands up to there
 * - `rewrite`: the forwarded prefix is given up for a shorter one; the next epoch starts
 * - `cold`: nothing is cached that this request could use
 */
export type Mode = 'extend' | 'branch' | 'rewrite' | 'cold';

/**
 * - `pays`: projected cost is below pass-through
 * - `nothing-new`: all text was forwarded before
 * - `costs-more`: the compressor would cost more than it saves
 * - `cacheable-minimum`: the prompt would fall below what the provider caches, and cost more
 * - `session-loss`: compressing has lost in this conversation; it goes on uncompressed
 */
export type AdmissionReason =
  'pays' | 'nothing-new' | 'costs-more' | 'cacheable-minimum' | 'session-loss';

/**
 * Why the forwarded prefix is given up (first three) or kept.
 * - `cold`: nothing is cached, compressing costs less than what it saves
 * - `break-even`: above the high-water mark, and enough turns are expected
 * - `limit`: the prompt does not fit otherwise
 * - `nothing-to-gain`: no shorter form is known, or it saves less than the smallest worthwhile step
 * - `below-high-water`: cached, and not long enough to think of it
 * - `above-low-water`: it would be needed again too soon
 * - `too-few-turns`: cached, and the expected turns do not pay for writing anew
 * - `costs-more`: cold, but compressing costs more than it saves
 * - `session-loss`: compressing has lost in this conversation
 */
export type RewriteReason =
  | 'cold'
  | 'break-even'
  | 'limit'
  | 'nothing-to-gain'
  | 'below-high-water'
  | 'above-low-water'
  | 'too-few-turns'
  | 'costs-more'
  | 'session-loss';

/** `exact` = from token ids and the engine's own events, or as good. */
export type Exactness = 'exact' | 'estimated' | 'unknown';

/**
 * Why fewer tokens were reused than the last forwarded prompt could have given.
 * - `ttl`: the cache's lifetime had passed
 * - `prefix-changed-by-client`: the client edited, rewound or regenerated
 * - `rewritten`: we gave up the prefix for a shorter one
 * - `evicted`: the replica needed the room
 * - `regime`: position regime, model or another part of the domain changed
 * - `block-floor`: only the incomplete last block
 * - `other-replica`: another replica holds it
 * - `below-minimum`: the prompt is shorter than the provider caches
 * - `unknown`: none of these is known to be the cause
 */
export const missReasons = [
  'ttl',
  'prefix-changed-by-client',
  'rewritten',
  'evicted',
  'regime',
  'block-floor',
  'other-replica',
  'below-minimum',
  'unknown',
] as const;
export type MissReason = (typeof missReasons)[number];
