/**
 * Token usage from the first and last bytes of a response, whatever stands between them: a JSON body, an SSE stream
 * or newline-delimited JSON. Inside a JSON string every quote is escaped, so a key in plain quotes is a key, even
 * when the bytes begin in the middle of an event; text that a model wrote cannot pass for usage.
 */
import type { Usage } from '../core/report.ts';

/** Longest usage or timings object that is looked at, in bytes. */
const maxObject = 8192;
/** llama.cpp's timings and Ollama's counts stand in the last event; only so many bytes are searched for them. */
const lastBytes = 8192;
/** Occurrences of one key that are looked at from either end; bounds the work on hostile bytes. */
const maxTries = 64;

type Fields = Readonly<Record<string, unknown>>;

interface Counts {
  prompt: number | null;
  completion: number | null;
  cached: number | null;
  /** The three addends of a prompt that is reported in parts. */
  input: number | null;
  cacheRead: number | null;
  cacheWritten: number | null;
}

/**
 * Reads what the backend reported. Later reports in one response replace earlier ones field by field.
 *
 * - OpenAI, vLLM, SGLang, llama.cpp: `usage.prompt_tokens`, `completion_tokens`,
 *   `prompt_tokens_details.cached_tokens`
 * - OpenAI responses: `usage.input_tokens`, `output_tokens`, `input_tokens_details.cached_tokens`
 * - Anthropic: `usage.input_tokens` counts what was neither read from nor written to the cache; the prompt is the
 *   sum with `cache_creation_input_tokens` and `cache_read_input_tokens`
 * - llama.cpp: `timings.cache_n + prompt_n` is the prompt, where `usage` is missing
 * - SGLang's own route: `meta_info.prompt_tokens`, `completion_tokens`, `cached_tokens`
 * - DeepSeek: `usage.prompt_cache_hit_tokens`; Moonshot: `usage.cached_tokens`
 * - Ollama: `prompt_eval_count`, `eval_count`; how much of a prompt was cached it does not tell
 *
 * @param head first bytes of the response; may be cut anywhere
 * @param tail last bytes; may begin anywhere, and may overlap with `head`
 * @returns null when nothing was reported; a field that was not reported is null, never 0. Never throws.
 */
export function readUsage(head: Uint8Array, tail: Uint8Array): Usage | null {
  const counts: Counts = {
    prompt: null,
    completion: null,
    cached: null,
    input: null,
    cacheRead: null,
    cacheWritten: null,
  };
  // every byte becomes one character; what is looked for is ASCII
  for (const text of [latin1(head), latin1(tail)]) {
    const last = text.slice(-lastBytes);
    const timings = objectUnder(last, 'timings', 'last');
    if (timings !== null) addTimings(counts, timings);
    const info = objectUnder(last, 'meta_info', 'last');
    if (info !== null) addUsage(counts, info);
    // the first and the last report are enough: what lies between is replaced by the last
    for (const end of ['first', 'last'] as const) {
      const usage = objectUnder(text, 'usage', end);
      if (usage !== null) addUsage(counts, usage);
    }
    counts.prompt = lastCount(last, 'prompt_eval_count') ?? counts.prompt;
    counts.completion = lastCount(last, 'eval_count') ?? counts.completion;
  }
  const { completion, input, cacheRead, cacheWritten } = counts;
  const cached = cacheRead ?? counts.cached;
  const prompt = input === null ? counts.prompt : input + (cacheRead ?? 0) + (cacheWritten ?? 0);
  if (prompt === null && completion === null && cached === null) return null;
  return { promptTokens: prompt, completionTokens: completion, cachedTokens: cached };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function addUsage(counts: Counts, usage: Fields): void {
  const details = member(usage, 'prompt_tokens_details') ?? member(usage, 'input_tokens_details');
  counts.prompt = count(usage, 'prompt_tokens') ?? counts.prompt;
  counts.completion =
    count(usage, 'completion_tokens') ?? count(usage, 'output_tokens') ?? counts.completion;
  counts.cached =
    (details === null ? null : count(details, 'cached_tokens')) ??
    count(usage, 'cached_tokens') ??
    count(usage, 'prompt_cache_hit_tokens') ??
    counts.cached;
  counts.input = count(usage, 'input_tokens') ?? counts.input;
  counts.cacheRead = count(usage, 'cache_read_input_tokens') ?? counts.cacheRead;
  counts.cacheWritten = count(usage, 'cache_creation_input_tokens') ?? counts.cacheWritten;
}

function addTimings(counts: Counts, timings: Fields): void {
  const cached = count(timings, 'cache_n');
  const evaluated = count(timings, 'prompt_n');
  counts.cached = cached ?? counts.cached;
  if (cached !== null && evaluated !== null) counts.prompt = cached + evaluated;
  counts.completion = count(timings, 'predicted_n') ?? counts.completion;
}

function count(fields: Fields, name: string): number | null {
  const value = fields[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(fields: Fields, name: string): Fields | null {
  const value = fields[name];
  return isFields(value) ? value : null;
}

/**
 * What `accepts` makes of the first or last value under `key` that it makes something of, else null. The search is
 * for the name without its first quote: quotes are the commonest bytes of a stream, and this is three times faster.
 */
function valueUnder<T>(
  text: string,
  key: string,
  end: 'first' | 'last',
  accepts: (start: number) => T | null,
): T | null {
  const name = `${key}"`;
  let at = text.indexOf(name);
  if (at >= 0 && end === 'last') at = text.lastIndexOf(name);
  for (let tries = 0; at >= 1 && tries < maxTries; tries++) {
    // inside a string the quote before the name is escaped
    const isKey = text[at - 1] === '"' && text[at - 2] !== '\\';
    const start = isKey ? afterColon(text, at + name.length) : null;
    const value = start === null ? null : accepts(start);
    if (value !== null) return value;
    at = end === 'first' ? text.indexOf(name, at + 1) : text.lastIndexOf(name, at - 1);
  }
  return null;
}

function afterColon(text: string, from: number): number | null {
  const match = /^\s{0,16}:\s{0,16}/.exec(text.slice(from, from + 34));
  return match === null ? null : from + match[0].length;
}

function lastCount(text: string, key: string): number | null {
  return valueUnder(text, key, 'last', (start) => {
    // a number that the bytes end in may have more digits
    const digits = /^(\d{1,16})\s{0,16}[,}]/.exec(text.slice(start, start + 34))?.[1];
    return digits === undefined ? null : Number(digits);
  });
}

function objectUnder(text: string, key: string, end: 'first' | 'last'): Fields | null {
  return valueUnder(text, key, end, (start) => {
    const stop = text[start] === '{' ? objectEnd(text, start) : null;
    if (stop === null) return null;
    try {
      const value: unknown = JSON.parse(text.slice(start, stop));
      return isFields(value) ? value : null;
    } catch {
      return null;
    }
  });
}

/** Just after the brace that closes the one at `start`; null when it is cut off or too long. */
function objectEnd(text: string, start: number): number | null {
  const limit = Math.min(text.length, start + maxObject);
  let depth = 0;
  let inString = false;
  for (let at = start; at < limit; at++) {
    const character = text[at];
    if (inString && character === '\\') at++;
    else if (character === '"') inString = !inString;
    else if (inString) continue;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return at + 1;
  }
  return null;
}
