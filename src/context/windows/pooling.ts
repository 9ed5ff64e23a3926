/**
 * Naive Bayes context extension (NBCE, bojone): the next token from n windows and one prompt without text,
 * (1 + beta) * log p(t | window k) - beta * log p(t), where k is the window whose distribution has the least entropy.
 * Servers tell the likeliest tokens only, so the distributions are cut off there and normalised again.
 */

/** Token text -> log probability, nats. */
export type Distribution = ReadonlyMap<string, number>;

export interface PoolOptions {
  readonly beta: number;
  /** What the window of the last step is ahead, nats: against jumping to and fro. */
  readonly hysteresis: number;
  /** Least share of the probability whose tokens are looked at, (0, 1]. */
  readonly topP: number;
}

export const defaultPooling: PoolOptions = { beta: 0.25, hysteresis: 0.1, topP: 0.95 };

export interface Pooled {
  /** Index of the window that speaks. */
  readonly window: number;
  readonly entropies: readonly number[];
  readonly distribution: Distribution;
  /** The likeliest token. */
  readonly token: string;
}

/**
 * One step. null = no window told a distribution.
 * @param windows one per window; empty = that window told none
 * @param bare the distribution without any text
 * @param previous the window of the step before, or null
 */
export function poolStep(
  step: {
    readonly windows: readonly Distribution[];
    readonly bare: Distribution;
    readonly previous: number | null;
  },
  options: PoolOptions = defaultPooling,
): Pooled | null {
  const cut = step.windows.map((window) => nucleus(normalised(window), options.topP));
  const entropies = cut.map(entropyOf);
  let chosen: number | null = null;
  let least = Infinity;
  for (const [at, entropy] of entropies.entries()) {
    if (cut[at]?.size === 0) continue;
    const felt = at === step.previous ? entropy - options.hysteresis : entropy;
    if (felt < least) [least, chosen] = [felt, at];
  }
  const speaking = chosen === null ? undefined : cut[chosen];
  if (chosen === null || speaking === undefined) return null;
  const bare = normalised(step.bare);
  // Below what the server listed: no token can be less likely there than the least of the list.
  const floor = Math.min(0, ...bare.values());
  const mixed = new Map<string, number>();
  for (const [token, value] of speaking) {
    const prior = bare.size === 0 ? value : (bare.get(token) ?? floor);
    mixed.set(token, (1 + options.beta) * value - options.beta * prior);
  }
  const distribution = normalised(mixed);
  let token = '';
  let best = -Infinity;
  for (const [text, value] of distribution) if (value > best) [best, token] = [value, text];
  return { window: chosen, entropies, distribution, token };
}

/** Log probabilities that sum to 1. */
export function normalised(values: Distribution): Map<string, number> {
  const most = Math.max(...values.values());
  let sum = 0;
  for (const value of values.values()) sum += Math.exp(value - most);
  const log = most + Math.log(sum);
  return new Map([...values].map(([token, value]) => [token, value - log]));
}

/** The likeliest tokens that together reach `topP`, normalised again. */
function nucleus(values: Distribution, topP: number): Map<string, number> {
  if (topP >= 1) return new Map(values);
  const kept = new Map<string, number>();
  let sum = 0;
  for (const [token, value] of [...values].sort((a, b) => b[1] - a[1])) {
    if (kept.size > 0 && sum >= topP) break;
    kept.set(token, value);
    sum += Math.exp(value);
  }
  return normalised(kept);
}

/** Nats. */
export function entropyOf(values: Distribution): number {
  let entropy = 0;
  for (const value of values.values()) entropy -= Math.exp(value) * value;
  return entropy;
}
