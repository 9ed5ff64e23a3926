/** Refusals of a prompt's length, in the words of each server. */
import { field, text, wholeNumber } from './json-fields.ts';
import type { LengthRefusal } from './types.ts';

/** Statuses under which servers refuse a prompt's length. */
const statuses: ReadonlySet<number> = new Set([400, 413, 422]);

/** First number of tokens of the prompt, then the limit. */
const promptThenLimit: readonly RegExp[] = [
  // llama.cpp; its fields say the same
  /request \((\d+) tokens\) exceeds the available context size \((\d+) tokens\)/i,
  // SGLang
  /input \((\d+) tokens\) is longer than the model's context length \((\d+) tokens\)/i,
  // Anthropic
  /prompt is too long: (\d+) tokens? > (\d+)/i,
  // the embedded backend
  /prompt has (\d+) tokens; this model's maximum context length is (\d+)/i,
];

/** First the limit; then the prompt, where the server tells it. */
const limitThenPrompt: readonly RegExp[] = [
  // vLLM, OpenAI, Azure, SGLang
  /maximum context length (?:is|of) (\d+) tokens(?:.{0,80}?(?:prompt contains|resulted in|requested(?: a total of)?)(?: at least)? (\d+))?/is,
  /context length is only (\d+)/i,
  // TGI
  /`inputs`(?: tokens \+ `max_new_tokens`)? must (?:be <=|have less than) (\d+)(?: tokens)?\.? Given:? (\d+)/i,
];

/** Names without numbers. */
const names = /context_length_exceeded|exceed_context_size_error|string_above_max_length/;

/** null = the answer is no such refusal. Never throws. */
export function readLengthRefusal(status: number, body: Uint8Array): LengthRefusal | null {
  if (!statuses.has(status)) return null;
  const raw = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  const error = errorOf(raw);
  const prompt = wholeNumber(field(error, 'n_prompt_tokens'));
  const limit = wholeNumber(field(error, 'n_ctx'));
  if (limit !== null) return { limit, prompt };
  const message = text(field(error, 'message')) ?? raw;
  for (const pattern of promptThenLimit) {
    const found = pattern.exec(message);
    if (found !== null) return { prompt: Number(found[1]), limit: Number(found[2]) };
  }
  for (const pattern of limitThenPrompt) {
    const found = pattern.exec(message);
    if (found !== null) return { limit: Number(found[1]), prompt: numberOf(found[2]) };
  }
  return names.test(raw) ? { limit: null, prompt: null } : null;
}

function numberOf(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits);
}

/** The object that holds code and message: `error`, or the body itself. */
function errorOf(raw: string): unknown {
  try {
    const value: unknown = JSON.parse(raw);
    return field(value, 'error') ?? value;
  } catch {
    return null;
  }
}
