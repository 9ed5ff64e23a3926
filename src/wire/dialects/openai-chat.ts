/**
 * `/v1/chat/completions`: `messages[].content` (a string or content parts), the arguments of tool calls, and the
 * results in tool messages. Tool schemas, images, audio and all other members are left alone.
 */
import type { Role } from '../../core/span.ts';
import type { RawString } from '../cursor.ts';
import { decodeText } from '../text.ts';
import type { Declaration, Found, FoundText } from '../found.ts';
import { unexpected } from '../found.ts';
import { readDeclaration } from '../sluice-field.ts';
import type { Dialect } from './types.ts';

/** Content part types whose `text` is read. */
const textPartTypes: ReadonlySet<string> = new Set(['text', 'input_text', 'document', 'file']);

const roles: ReadonlyMap<string, Role> = new Map([
  ['system', 'system'],
  ['developer', 'developer'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
]);

/** A string of a message; its role is known only when the whole message has been read. */
type Loose = Omit<FoundText, 'role' | 'messageIndex'>;

function readMessages(found: Found): void {
  if (!found.cursor.isArray()) unexpected(found.cursor, '/messages', 'an array');
  found.cursor.readArray((index) => readMessage(found, index));
}

function readMessage(found: Found, index: number): void {
  const { cursor } = found;
  const pointer = `/messages/${index}`;
  if (!cursor.isObject()) unexpected(cursor, pointer, 'an object');
  const byteStart = cursor.at;
  const texts: Loose[] = [];
  let role: string | null = null;
  cursor.readObject((key) => {
    if (key === 'content') readContent(found, `${pointer}/content`, texts);
    else if (key === 'tool_calls') readToolCalls(found, `${pointer}/tool_calls`, texts);
    else if (key === 'function_call') readCall(found, `${pointer}/function_call`, texts);
    else if (key === 'role' && cursor.isString())
      role = decodeText(cursor.bytes, cursor.passRawString());
    else cursor.passValue();
    return 'keep';
  });
  found.messages.push({ index, role, byteStart, byteEnd: cursor.at });
  const known = roles.get(role ?? '');
  // a role that is not known says nothing about what may happen to the text: no spans, nothing is touched
  if (known === undefined) return;
  for (const text of texts) found.texts.push({ ...text, messageIndex: index, role: known });
}

function readContent(found: Found, pointer: string, texts: Loose[]): void {
  const { cursor } = found;
  if (cursor.isString()) texts.push(looseText(pointer, cursor.passRawString()));
  else if (cursor.isArray())
    cursor.readArray((index) => readPart(found, `${pointer}/${index}`, texts));
  else if (cursor.isNull()) cursor.passValue();
  else unexpected(cursor, pointer, 'a string, an array or null');
}

function looseText(pointer: string, raw: RawString): Loose {
  return { pointer, partType: null, toolCall: false, declared: null, raw };
}

function readPart(found: Found, pointer: string, texts: Loose[]): void {
  const { cursor } = found;
  if (!cursor.isObject()) unexpected(cursor, pointer, 'an object');
  let type: string | null = null;
  let text: RawString | null = null;
  let declared: Declaration | null = null;
  const cut = cursor.readObject((key) => {
    if (key === 'sluice') {
      declared = readDeclaration(found, pointer);
      return 'cut';
    }
    if (key === 'type' && cursor.isString())
      type = decodeText(cursor.bytes, cursor.passRawString());
    else if (key === 'text' && cursor.isString()) text = cursor.passRawString();
    else cursor.passValue();
    return 'keep';
  });
  if (cut !== null) found.removals.push({ ...cut, bytes: new Uint8Array(0) });
  if (type === null || text === null || !textPartTypes.has(type)) return;
  texts.push({ pointer: `${pointer}/text`, partType: type, toolCall: false, declared, raw: text });
}

function readToolCalls(found: Found, pointer: string, texts: Loose[]): void {
  const { cursor } = found;
  if (!cursor.isArray()) return cursor.passValue();
  cursor.readArray((index) => {
    if (!cursor.isObject()) return cursor.passValue();
    cursor.readObject((key) => {
      if (key === 'function') readCall(found, `${pointer}/${index}/function`, texts);
      else cursor.passValue();
      return 'keep';
    });
  });
}

/** A `function` or `function_call` object; its arguments are a JSON text inside a string. */
function readCall(found: Found, pointer: string, texts: Loose[]): void {
  const { cursor } = found;
  if (!cursor.isObject()) return cursor.passValue();
  cursor.readObject((key) => {
    if (key === 'arguments' && cursor.isString())
      texts.push({
        ...looseText(`${pointer}/arguments`, cursor.passRawString()),
        toolCall: true,
      });
    else cursor.passValue();
    return 'keep';
  });
}

export const openaiChat: Dialect = {
  name: 'openai-chat',
  path: '/v1/chat/completions',
  required: 'messages',
  streamByDefault: false,
  members: { messages: readMessages },
};
