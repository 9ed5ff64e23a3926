/** What of a request's body makes its prompt. Members are kept as the JSON text that stands there. */
import { JsonCursor } from '../wire/cursor.ts';
import { field, text, tokenIds } from './json-fields.ts';

/** A message that is text alone. */
export interface TextMessage {
  readonly role: string;
  /** null = no content. */
  readonly content: string | readonly TextPart[] | null;
  /** The message as it was sent. */
  readonly raw: object;
}

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
  readonly [more: string]: unknown;
}

export interface ChatPrompt {
  readonly type: 'chat';
  readonly model: string | null;
  readonly members: ReadonlyMap<string, string>;
  readonly messages: readonly TextMessage[];
}

export interface TextPrompt {
  readonly type: 'text';
  readonly model: string | null;
  readonly members: ReadonlyMap<string, string>;
  readonly text: string;
}

/** A prompt that came as token ids: nothing is to be found out. */
export interface IdsPrompt {
  readonly type: 'ids';
  readonly ids: Uint32Array;
}

export type Prompt = ChatPrompt | TextPrompt | IdsPrompt;

/** Bytes of a body; JSON this long is parsed within a few milliseconds. */
const maxBytes = 4 << 20;

/** Members that change the prompt in ways which are not followed here. */
const notFollowed = [
  'functions',
  'prompt_embeds',
  'truncate_prompt_tokens',
  'mm_processor_kwargs',
  'media_io_kwargs',
  'suffix',
] as const;

/**
 * @param path Path of the request, without query
 * @returns null when the body has no prompt that is text alone: images, several prompts, other routes
 */
export function readPrompt(body: Uint8Array, path: string): Prompt | null {
  if (body.byteLength > maxBytes) return null;
  const chat = path.endsWith('/chat/completions');
  if (!chat && !path.endsWith('/completions')) return null;
  const members = membersOf(body);
  if (members === null || notFollowed.some((name) => isGiven(members.get(name)))) return null;
  const model = text(parsed(members.get('model')));
  if (!chat) return readTextPrompt(members, model);
  const messages = readMessages(parsed(members.get('messages')));
  return messages === null ? null : { type: 'chat', model, members, messages };
}

/** A member that is there and says something. */
export function isGiven(json: string | undefined): json is string {
  return json !== undefined && json !== 'null';
}

/** The value of a member's JSON text; undefined when there is none. */
export function parsed(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/**
 * The value of a JSON text where JavaScript keeps everything that Python would print of it; undefined where it does not:
 * numbers that it writes in another way, and keys that it puts into another order.
 */
export function faithful(json: string): unknown {
  // Keys that are numbers come first in JavaScript; halves of surrogate pairs are written in ways that differ.
  if (/"(?:0|[1-9]\d*)"\s*:|\\u[dD][89a-fA-F]/.test(json)) return undefined;
  const bare = json.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  for (const [number] of bare.matchAll(/-?\d[\d.eE+-]*/g)) {
    const value = Number(number);
    const size = Math.abs(value);
    const plain = Number.isInteger(value)
      ? Number.isSafeInteger(value)
      : size >= 1e-4 && size < 1e16;
    if (!plain || String(value) !== number) return undefined;
  }
  return parsed(json);
}

function membersOf(body: Uint8Array): Map<string, string> | null {
  const members = new Map<string, string>();
  try {
    const cursor = new JsonCursor(body);
    if (!cursor.isObject()) return null;
    cursor.readObject((key) => {
      const from = cursor.at;
      cursor.passValue();
      members.set(key, cursor.bytes.toString('utf8', from, cursor.at));
      return 'keep';
    });
    cursor.expectEnd();
    return members;
  } catch {
    // Not JSON, or a key twice: what a server reads there is its own affair.
    return null;
  }
}

function readTextPrompt(
  members: ReadonlyMap<string, string>,
  model: string | null,
): TextPrompt | IdsPrompt | null {
  const prompt = parsed(members.get('prompt'));
  if (typeof prompt === 'string') return textPrompt(prompt, members, model);
  if (!Array.isArray(prompt) || prompt.length === 0) return null;
  const [first]: unknown[] = prompt;
  if (typeof first === 'string')
    return prompt.length === 1 ? textPrompt(first, members, model) : null;
  const ids = tokenIds(prompt.length === 1 && Array.isArray(first) ? first : prompt);
  return ids === null ? null : { type: 'ids', ids };
}

function textPrompt(
  content: string,
  members: ReadonlyMap<string, string>,
  model: string | null,
): TextPrompt | null {
  return isWellFormed(content) ? { type: 'text', model, members, text: content } : null;
}

function readMessages(value: unknown): TextMessage[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages: TextMessage[] = [];
  for (const raw of value) {
    const role = text(field(raw, 'role'));
    const content = readContent(field(raw, 'content'));
    if (role === null || content === undefined || typeof raw !== 'object' || raw === null)
      return null;
    messages.push({ role, content, raw });
  }
  return messages;
}

/** undefined = something that is not text. */
function readContent(value: unknown): TextMessage['content'] | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return isWellFormed(value) ? value : undefined;
  if (!Array.isArray(value)) return undefined;
  const parts: TextPart[] = [];
  for (const part of value) {
    const content = text(field(part, 'text'));
    if (field(part, 'type') !== 'text' || content === null || !isWellFormed(content))
      return undefined;
    parts.push({ ...part, type: 'text', text: content });
  }
  return parts;
}

/** No half of a surrogate pair stands alone: such texts become different bytes in different servers. */
function isWellFormed(value: string): boolean {
  return !/\p{Cs}/u.test(value);
}
