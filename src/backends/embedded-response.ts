/** Shapes of OpenAI answers: whole bodies and event-stream chunks. */
import type { TextRequest } from './embedded-request.ts';

export interface UsageCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

export interface AnswerFacts {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
  readonly chat: boolean;
}

function usageObject(usage: UsageCounts): object {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

export function wholeAnswer(
  facts: AnswerFacts,
  text: string,
  finish: 'stop' | 'length',
  usage: UsageCounts,
): string {
  const choice = facts.chat
    ? { message: { role: 'assistant', content: text }, finish_reason: finish }
    : { text, logprobs: null, finish_reason: finish };
  return JSON.stringify({
    id: facts.id,
    object: facts.chat ? 'chat.completion' : 'text_completion',
    created: facts.created,
    model: facts.model,
    choices: [{ index: 0, ...choice }],
    usage: usageObject(usage),
  });
}

/** One event of a stream: the first one of a chat names the role, the last one the finish reason. */
export function chunk(
  facts: AnswerFacts,
  delta: { readonly role?: string; readonly text?: string },
  finish: 'stop' | 'length' | null,
): string {
  const choice = facts.chat
    ? {
        delta: {
          ...(delta.role === undefined ? {} : { role: delta.role }),
          ...(delta.text === undefined ? {} : { content: delta.text }),
        },
        finish_reason: finish,
      }
    : { text: delta.text ?? '', logprobs: null, finish_reason: finish };
  return event(facts, [{ index: 0, ...choice }], null);
}

export function usageChunk(facts: AnswerFacts, usage: UsageCounts): string {
  return event(facts, [], usage);
}

export const doneEvent = 'data: [DONE]\n\n';

function event(facts: AnswerFacts, choices: readonly object[], usage: UsageCounts | null): string {
  const body = JSON.stringify({
    id: facts.id,
    object: facts.chat ? 'chat.completion.chunk' : 'text_completion',
    created: facts.created,
    model: facts.model,
    choices,
    ...(usage === null ? {} : { usage: usageObject(usage) }),
  });
  return `data: ${body}\n\n`;
}

/** Default number of tokens when a request names none. */
export function outputLimit(request: TextRequest, room: number, fallback: number): number {
  return Math.max(1, Math.min(room, Math.floor(request.maxTokens ?? fallback)));
}
