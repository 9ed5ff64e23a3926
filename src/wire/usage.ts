/**
 * Token usage from the first and last bytes of a response, whatever stands between them: a JSON body, an SSE stream
 * or newline-delimited JSON. Inside a JSON string every quote is escaped, so a key in plain quotes is a key, even
 * when the bytes begin in the middle of an event; text that a model wrote cannot pass for usage.
 */
import type { Usage } from '../core/report.ts';

/** Longest usage or timings object that is looked at, in bytes. */
const maxObject = 8192;

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
 * - Ollama: `prompt_eval_count`, `eval_count`
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
    const timings = lastObject(text, 'timings');
    if (timings !== null) addTimings(counts, timings);
    for (const usage of objects(text, 'usage')) addUsage(counts, usage);
    counts.prompt =
      lastCount(text, /(?<!\\)"prompt_eval_count"\s*:\s*(\d+)\s*[,}]/g) ?? counts.prompt;
    counts.completion =
      lastCount(text, /(?<!\\)"eval_count"\s*:\s*(\d+)\s*[,}]/g) ?? counts.completion;
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
  counts.cached = (details === null ? null : count(details, 'cached_tokens')) ?? counts.cached;
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

function lastCount(text: string, pattern: RegExp): number | null {
  let last: number | null = null;
  for (const match of text.matchAll(pattern)) last = Number(match[1]);
  return last !== null && Number.isSafeInteger(last) ? last : null;
}

function lastObject(text: string, key: string): Fields | null {
  return objects(text, key).at(-1) ?? null;
}

/** Every complete object that stands under `key`, in order. */
function objects(text: string, key: string): Fields[] {
  const found: Fields[] = [];
  const name = `"${key}"`;
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    if (text[at - 1] === '\\') continue;
    const opening = /^\s*:\s*\{/.exec(text.slice(at + name.length, at + name.length + 32));
    if (opening === null) continue;
    const object = objectAt(text, at + name.length + opening[0].length - 1);
    if (object !== null) found.push(object);
  }
  return found;
}

/** The object whose brace is at `start`, or null when it is cut off, too long or no JSON. */
function objectAt(text: string, start: number): Fields | null {
  const window = text.slice(start, start + maxObject);
  let depth = 0;
  for (const match of window.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (match[0] === '{') depth++;
    else if (match[0] === '}') depth--;
    if (depth > 0) continue;
    try {
      const value: unknown = JSON.parse(window.slice(0, match.index + 1));
      return isFields(value) ? value : null;
    } catch {
      return null;
    }
  }
  return null;
}
