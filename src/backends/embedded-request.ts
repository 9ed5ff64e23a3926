/** Reading of OpenAI chat and completions bodies for the embedded engine; errors in the dialect's shape. */
import type { ChatMessage } from '../engine/chat.ts';

/** An answer that is not 200: status and OpenAI error object. */
export class DialectError extends Error {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;

  constructor(
    status: number,
    message: string,
    facts: { readonly type?: string; readonly code?: string; readonly param?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.type = facts.type ?? 'invalid_request_error';
    this.code = facts.code ?? null;
    this.param = facts.param ?? null;
  }
}

/** What both dialects come down to. */
export interface TextRequest {
  readonly chat: boolean;
  readonly prompt:
    | { readonly text: string }
    | { readonly ids: readonly number[] }
    | { readonly messages: readonly ChatMessage[] };
  readonly maxTokens: number | null;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

type Json = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws DialectError 400 naming the field and what was found */
export function readTextRequest(bytes: Uint8Array, chat: boolean): TextRequest {
  const body = parse(bytes);
  refuseUnsupported(body);
  const options = isRecord(body['stream_options']) ? body['stream_options'] : {};
  return {
    chat,
    prompt: chat ? { messages: chatMessages(body['messages']) } : plainPrompt(body['prompt']),
    maxTokens:
      numberField(body, chat ? 'max_completion_tokens' : 'max_tokens', 1) ??
      numberField(body, 'max_tokens', 1),
    temperature: numberField(body, 'temperature', 0) ?? 1,
    topP: numberField(body, 'top_p', 0) ?? 1,
    seed: numberField(body, 'seed', null) ?? 0,
    stop: stopField(body['stop']),
    stream: body['stream'] === true,
    includeUsage: options['include_usage'] === true,
  };
}

function parse(bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : 'unreadable';
    throw new DialectError(400, `The body is not JSON: ${found.slice(0, 80)}`);
  }
  if (isRecord(value)) return value;
  throw new DialectError(400, 'The body is not a JSON object');
}

/** Features that would change the meaning of the answer are refused; unknown fields are ignored as servers do. */
function refuseUnsupported(body: Json): void {
  const refuse = (param: string, why: string): never => {
    throw new DialectError(400, `${param} is not supported by the embedded model: ${why}`, {
      param,
    });
  };
  if (typeof body['n'] === 'number' && body['n'] !== 1) refuse('n', 'one answer per request');
  if (Array.isArray(body['tools']) && body['tools'].length > 0) {
    refuse('tools', 'it was not trained to call tools');
  }
  const format = body['response_format'];
  if (isRecord(format) && format['type'] !== 'text') refuse('response_format', 'only text');
}

function numberField(body: Json, name: string, minimum: number | null): number | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (minimum === null || value >= minimum)
  ) {
    return value;
  }
  const bound = minimum === null ? '' : ` of at least ${minimum}`;
  throw new DialectError(
    400,
    `${name} must be a number${bound}, found ${JSON.stringify(value)?.slice(0, 40)}`,
    { param: name },
  );
}

function stopField(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const stops = list.filter((item): item is string => typeof item === 'string' && item !== '');
  if (stops.length === list.length) return stops;
  throw new DialectError(400, 'stop must be a string or a list of strings', { param: 'stop' });
}

function plainPrompt(value: unknown): TextRequest['prompt'] {
  if (typeof value === 'string') return { text: value };
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    const ids = list.filter((item): item is number => Number.isInteger(item));
    if (list.length > 0 && ids.length === list.length) return { ids };
    const [only] = list;
    if (list.length === 1 && typeof only === 'string') return { text: only };
  }
  throw new DialectError(400, 'prompt must be one string or one list of token ids', {
    param: 'prompt',
  });
}

const roles: readonly string[] = ['system', 'developer', 'user', 'assistant', 'tool'];

function chatMessages(value: unknown): readonly ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new DialectError(400, 'messages must be a non-empty list', { param: 'messages' });
  }
  const list: readonly unknown[] = value;
  return list.map((message, at) => {
    const role = isRecord(message) ? message['role'] : undefined;
    if (!isRecord(message) || typeof role !== 'string' || !roles.includes(role)) {
      throw new DialectError(400, `messages[${at}].role is not one of ${roles.join(', ')}`, {
        param: 'messages',
      });
    }
    return { role, content: contentText(message['content'], at) };
  });
}

function contentText(content: unknown, at: number): string {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return '';
  if (Array.isArray(content)) {
    const parts: readonly unknown[] = content;
    return parts
      .map((part) => {
        if (isRecord(part) && typeof part['text'] === 'string') return part['text'];
        throw new DialectError(
          400,
          `messages[${at}].content holds a part without text; the embedded model reads text only`,
          { param: 'messages' },
        );
      })
      .join('\n');
  }
  throw new DialectError(400, `messages[${at}].content must be a string or a list of parts`, {
    param: 'messages',
  });
}
