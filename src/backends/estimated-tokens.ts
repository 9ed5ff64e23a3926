/** Token ids of prompts where nobody knows the server's own. */
import { createTurns } from '../core/turns.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { field } from './json-fields.ts';
import { isGiven, readPrompt, type ChatPrompt } from './prompt-body.ts';
import type { PromptTokens } from './types.ts';

/**
 * Tokens of a prompt by a tokenizer that stands in for the server's: roles and texts one after another, so that a
 * conversation that goes on begins with the same tokens. Never exact.
 * @returns null when the body has no prompt that is text alone
 * @throws SluiceError ABORTED when the signal fired meanwhile
 */
export async function estimatedPromptTokens(
  body: Uint8Array,
  path: string,
  options: { readonly tokenizer: TextTokenizer; readonly signal: AbortSignal },
): Promise<PromptTokens | null> {
  const prompt = readPrompt(body, path);
  if (prompt === null || prompt.type === 'ids')
    return prompt === null ? null : { tokens: prompt.ids, exact: true };
  const turns = createTurns(options.signal);
  const parts: Uint32Array[] = [];
  let total = 0;
  for (const piece of prompt.type === 'text' ? [prompt.text] : piecesOf(prompt)) {
    const { prompts, encodeSteps } = options.tokenizer;
    const steps = prompts?.encodeSteps(piece) ?? null;
    const ids =
      steps !== null
        ? await turns.run(steps)
        : encodeSteps !== undefined
          ? (await turns.run(encodeSteps(piece))).ids
          : options.tokenizer.encode(piece).ids;
    parts.push(ids);
    total += ids.length;
    await turns.pause();
  }
  const tokens = new Uint32Array(total);
  let at = 0;
  for (const ids of parts) {
    tokens.set(ids, at);
    at += ids.length;
  }
  return { tokens, exact: false };
}

function* piecesOf({ members, messages }: ChatPrompt): Generator<string> {
  const tools = members.get('tools');
  if (isGiven(tools)) yield `${tools}\n`;
  for (const { role, content, raw } of messages) {
    const texts =
      typeof content === 'string' ? [content] : (content ?? []).map((part) => part.text);
    const calls = field(raw, 'tool_calls');
    const called = Array.isArray(calls) ? `\n${JSON.stringify(calls)}` : '';
    yield `${role}\n${texts.join('\n')}${called}\n`;
  }
}
