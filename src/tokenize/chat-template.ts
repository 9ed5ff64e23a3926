/**
 * Chat templates as data. Only templates that Sluice itself must render are here; a server renders its own, and
 * counts for a server's chat are the counts of the messages' texts plus a fixed overhead per message
 * (`chatOverhead`), because what a template adds does not depend on the text.
 */
import type { TextTokenizer } from './types.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplate {
  /** Text around one message; `{role}` stands for its role. */
  readonly before: string;
  readonly after: string;
  /** Text after the last message that asks for the answer. */
  readonly opening: string;
}

export const chatTemplates = {
  /** OpenAI's ChatML, which Qwen, SmolLM and many others use. */
  chatml: {
    before: '<|im_start|>{role}\n',
    after: '<|im_end|>\n',
    opening: '<|im_start|>assistant\n',
  },
  /** The shipped scout: plain text, as its training data is. */
  plain: { before: '{role}: ', after: '\n\n', opening: 'assistant: ' },
} as const satisfies Record<string, ChatTemplate>;

/** The prompt of a conversation, with the opening of the answer. Contents are taken as they are. */
export function renderChat(messages: readonly ChatMessage[], template: ChatTemplate): string {
  const parts = messages.map(
    ({ role, content }) => template.before.replace('{role}', () => role) + content + template.after,
  );
  return parts.join('') + template.opening;
}

/** Tokens that a template adds to the contents of the messages (special tokens are counted as one each). */
export function chatOverhead(
  roles: readonly string[],
  template: ChatTemplate,
  tokenizer: TextTokenizer,
): number {
  const count = (text: string): number => {
    // markers like <|im_start|> are one token in a vocabulary that has them
    const [marker, rest] = /^(<\|\w+\|>)?([^]*)$/.exec(text)?.slice(1) ?? ['', text];
    const known = marker !== undefined && tokenizer.specialId(marker) !== null;
    return known ? 1 + tokenizer.count(rest ?? '') : tokenizer.count(text);
  };
  return roles.reduce(
    (total, role) =>
      total + count(template.before.replace('{role}', () => role)) + count(template.after),
    count(template.opening),
  );
}
