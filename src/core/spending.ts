/** What requests that are made for one request may come to: in tokens, and in money where prices are known. */

export interface TokenSum {
  readonly prompt: number;
  readonly answer: number;
}

/** Of one token, in any currency. */
export interface TokenPrices {
  readonly input: number;
  readonly output: number;
}

export interface SpendingCap {
  /** Prompt and answer tokens together. */
  readonly tokens: number;
  /** In the currency of the prices; null = tokens alone are bounded. */
  readonly cost: number | null;
  readonly prices: TokenPrices | null;
}

export function sumOfTokens(...sums: readonly TokenSum[]): TokenSum {
  return {
    prompt: sums.reduce((sum, { prompt }) => sum + prompt, 0),
    answer: sums.reduce((sum, { answer }) => sum + answer, 0),
  };
}

/** As if the provider had no cache. */
export function costOf({ prompt, answer }: TokenSum, { input, output }: TokenPrices): number {
  return prompt * input + answer * output;
}

export function isWithin(cap: SpendingCap, spent: TokenSum): boolean {
  if (spent.prompt + spent.answer > cap.tokens) return false;
  return cap.cost === null || cap.prices === null || costOf(spent, cap.prices) <= cap.cost;
}

/**
 * What fits under a cap, taken one by one in this order: what is too large is passed over.
 * @param spent what is spent whatever is taken
 * @param most items that are taken at most
 */
export function takeWithin<T>(
  items: readonly T[],
  tokensOf: (item: T) => TokenSum,
  {
    cap,
    spent,
    most,
  }: { readonly cap: SpendingCap; readonly spent: TokenSum; readonly most: number },
): { readonly taken: readonly T[]; readonly spent: TokenSum } {
  const taken: T[] = [];
  let sum = spent;
  for (const item of items) {
    if (taken.length >= most) break;
    const withIt = sumOfTokens(sum, tokensOf(item));
    if (!isWithin(cap, withIt)) continue;
    sum = withIt;
    taken.push(item);
  }
  return { taken, spent: sum };
}

/** Answer tokens that may still be spent; negative = more is spent than allowed. */
export function answerTokensLeft(cap: SpendingCap, spent: TokenSum): number {
  return tokensLeft(cap, spent, ({ output }) => output);
}

/** Prompt tokens that may still be spent; negative = more is spent than allowed. */
export function promptTokensLeft(cap: SpendingCap, spent: TokenSum): number {
  return tokensLeft(cap, spent, ({ input }) => input);
}

function tokensLeft(
  cap: SpendingCap,
  spent: TokenSum,
  priceOf: (prices: TokenPrices) => number,
): number {
  const tokens = cap.tokens - spent.prompt - spent.answer;
  if (cap.cost === null || cap.prices === null) return tokens;
  const money = cap.cost - costOf(spent, cap.prices);
  const price = priceOf(cap.prices);
  // What is free can still come too late.
  if (price === 0) return money < 0 ? Math.min(tokens, -1) : tokens;
  return Math.floor(Math.min(tokens, money / price));
}
