/**
 * What prompt tokens cost at hosted providers, relative to a plain input token (1), and their caching rules. Read from
 * the providers' published documentation on the date below; a row applies to models whose name starts with one of its
 * prefixes, the longest prefix wins. Data, so that operators can replace it.
 */

export interface PriceRow {
  readonly provider: 'openai' | 'anthropic' | 'gemini' | 'deepseek' | 'mistral';
  /** Prefixes of model names; '' = every other model of the provider. */
  readonly models: readonly string[];
  /** Price of a token that is written to the cache. */
  readonly write: number;
  /** Price of a token that is read from it. */
  readonly read: number;
  /** Shorter prompts are not cached at all. */
  readonly minimumTokens: number;
  /** Hits are multiples of this. */
  readonly granularity: number;
  /** Lifetime without use, in ms. */
  readonly ttlMs: number;
}

export const pricesAsOf = '2026-11-21';

const minute = 60_000;
const anthropic = {
  provider: 'anthropic',
  write: 1.25,
  read: 0.1,
  granularity: 1,
  ttlMs: 5 * minute,
} as const;
const openaiBefore56 = {
  provider: 'openai',
  write: 1,
  minimumTokens: 1024,
  granularity: 128,
  ttlMs: 5 * minute,
} as const;

export const priceTable: readonly PriceRow[] = [
  {
    ...anthropic,
    models: ['claude-opus-5', 'claude-fable-5-1', 'claude-mythos-5-1'],
    minimumTokens: 512,
  },
  {
    ...anthropic,
    models: ['claude-opus-4-8', 'claude-opus-4-1', 'claude-opus-4', 'claude-sonnet', ''],
    minimumTokens: 1024,
  },
  {
    ...anthropic,
    models: ['claude-opus-4-7', 'claude-mythos-preview', 'claude-3-5-haiku'],
    minimumTokens: 2048,
  },
  {
    ...anthropic,
    models: ['claude-opus-4-6', 'claude-opus-4-5', 'claude-haiku-4-5'],
    minimumTokens: 4096,
  },
  {
    provider: 'openai',
    models: ['gpt-5.6'],
    write: 1.25,
    read: 0.1,
    minimumTokens: 1024,
    granularity: 1,
    ttlMs: 30 * minute,
  },
  { ...openaiBefore56, models: ['gpt-5'], read: 0.1 },
  { ...openaiBefore56, models: ['gpt-4.1'], read: 0.25 },
  { ...openaiBefore56, models: ['gpt-4o', 'o1', 'o3', 'o4', ''], read: 0.5 },
  {
    provider: 'gemini',
    models: ['gemini-2.5-flash', 'gemini-3-flash', ''],
    write: 1,
    read: 0.1,
    minimumTokens: 1024,
    granularity: 1,
    ttlMs: 5 * minute,
  },
  {
    provider: 'gemini',
    models: ['gemini-2.5-pro', 'gemini-3-pro'],
    write: 1,
    read: 0.1,
    minimumTokens: 4096,
    granularity: 1,
    ttlMs: 5 * minute,
  },
  {
    provider: 'deepseek',
    models: [''],
    write: 1,
    read: 0.1,
    minimumTokens: 64,
    granularity: 64,
    ttlMs: 60 * minute,
  },
  {
    provider: 'mistral',
    models: [''],
    write: 1,
    read: 0.1,
    minimumTokens: 0,
    granularity: 1,
    ttlMs: 5 * minute,
  },
];

/** Row of a model, or null when the provider has none. */
export function priceOf(
  provider: string,
  model: string,
  table: readonly PriceRow[] = priceTable,
): PriceRow | null {
  let best: { readonly row: PriceRow; readonly length: number } | null = null;
  for (const row of table) {
    if (row.provider !== provider) continue;
    for (const prefix of row.models) {
      if (!model.startsWith(prefix) || (best !== null && prefix.length <= best.length)) continue;
      best = { row, length: prefix.length };
    }
  }
  return best?.row ?? null;
}
