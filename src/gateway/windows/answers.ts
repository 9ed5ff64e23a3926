/** Answers of backends to questions of ours, whole or streamed, and one answer written here. */
import type { AnswerToken, WindowAnswer } from '../../context/windows/types.ts';
import { readUsage } from '../../wire/usage.ts';
import { isObject, type JsonObject } from './request.ts';

/** Reads a chat or text completion; null = it is none. */
export function readAnswer(bytes: Uint8Array): WindowAnswer | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const events = /^\s*(?:data:|event:|:)/.test(text) ? streamed(text) : [text];
  let said = '';
  let ended = false;
  let seen = false;
  const tokens: AnswerToken[] = [];
  for (const event of events) {
    const choice = choiceOf(event);
    if (choice === null) continue;
    seen = true;
    said += textOf(choice);
    if (choice['finish_reason'] === 'stop') ended = true;
    for (const token of tokensOf(choice['logprobs'])) tokens.push(token);
  }
  if (!seen) return null;
  const usage = readUsage(bytes, bytes);
  return {
    text: said,
    ended,
    tokens: tokens.length === 0 ? null : tokens,
    promptTokens: usage?.promptTokens ?? null,
    completionTokens: usage?.completionTokens ?? null,
    cachedTokens: usage?.cachedTokens ?? null,
  };
}

function streamed(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .filter((data) => data !== '[DONE]');
}

function choiceOf(event: string): JsonObject | null {
  let value: unknown;
  try {
    value = JSON.parse(event);
  } catch {
    return null;
  }
  const choices = isObject(value) ? value['choices'] : undefined;
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return isObject(first) ? first : null;
}

function textOf(choice: JsonObject): string {
  const message = choice['message'] ?? choice['delta'];
  const text = isObject(message) ? message['content'] : choice['text'];
  return typeof text === 'string' ? text : '';
}

/** Both forms: `content` with an object for each token (chats), and parallel lists (completions). */
function tokensOf(logprobs: unknown): AnswerToken[] {
  if (!isObject(logprobs)) return [];
  const { content } = logprobs;
  if (Array.isArray(content)) return content.flatMap(fromContent);
  const names = listOf(logprobs['tokens']);
  const values = listOf(logprobs['token_logprobs']);
  const tops = listOf(logprobs['top_logprobs']);
  return names.flatMap((text, at) => {
    const logProbability = values[at];
    if (typeof text !== 'string' || typeof logProbability !== 'number') return [];
    const top = tops[at];
    const listed = isObject(top) ? Object.entries(top) : [];
    return [
      {
        text,
        logProbability,
        top: listed.flatMap(([name, value]) =>
          typeof value === 'number' ? [{ text: name, logProbability: value }] : [],
        ),
      },
    ];
  });
}

function fromContent(entry: unknown): AnswerToken[] {
  const one = tokenOf(entry);
  if (one === null || !isObject(entry)) return [];
  const top = listOf(entry['top_logprobs']).flatMap((other) => tokenOf(other) ?? []);
  return [{ ...one, top }];
}

function tokenOf(entry: unknown): { text: string; logProbability: number } | null {
  if (!isObject(entry)) return null;
  const { token, logprob } = entry;
  return typeof token === 'string' && typeof logprob === 'number'
    ? { text: token, logProbability: logprob }
    : null;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export interface OwnAnswer {
  readonly id: string;
  readonly model: string | null;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** A text completion in one piece. */
export function wholeCompletion(
  own: OwnAnswer,
  text: string,
  finish: 'stop' | 'length',
): Uint8Array {
  return Buffer.from(JSON.stringify(completion(own, text, finish)));
}

/** One event of a streamed text completion; the last one has a `finish`. */
export function completionEvent(
  own: OwnAnswer,
  text: string,
  finish: 'stop' | 'length' | null,
): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(completion(own, text, finish))}\n\n`);
}

function completion(own: OwnAnswer, text: string, finish: string | null): JsonObject {
  const { id, created, model } = own;
  const choices = [{ index: 0, text, logprobs: null, finish_reason: finish }];
  return { id, object: 'text_completion', created, model, choices };
}
