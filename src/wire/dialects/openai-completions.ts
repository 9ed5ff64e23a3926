/** `/v1/completions`: `prompt` is a string or a list of strings; token ids hold no text and are left alone. */
import type { Found } from '../found.ts';
import { unexpected } from '../found.ts';
import type { Dialect } from './types.ts';

function readPrompt(found: Found): void {
  const { cursor } = found;
  const isArray = cursor.isArray();
  const byteStart = cursor.at;
  if (isArray) cursor.readArray((index) => readText(found, `/prompt/${index}`));
  else readText(found, '/prompt');
  found.messages.push({ index: 0, role: null, byteStart, byteEnd: cursor.at });
}

function readText(found: Found, pointer: string): void {
  if (!found.cursor.isString()) unexpected(found.cursor, pointer, 'a string');
  found.texts.push({
    pointer,
    messageIndex: 0,
    role: 'prompt',
    partType: null,
    toolCall: false,
    declared: null,
    raw: found.cursor.passRawString(),
  });
}

export const openaiCompletions: Dialect = {
  name: 'openai-completions',
  path: '/v1/completions',
  required: 'prompt',
  streamByDefault: false,
  members: { prompt: readPrompt },
};
