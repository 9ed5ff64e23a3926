/** The chat form of the shipped model: the same as `chat_template` in its exported tokenizer configuration. */

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** `role: content` paragraphs, ending with an open `assistant: `. Contents are taken as they are. */
export function renderChat(messages: readonly ChatMessage[]): string {
  const paragraphs = messages.map(({ role, content }) => `${role}: ${content}\n\n`);
  return `${paragraphs.join('')}assistant: `;
}

/** Where the model begins somebody else's turn. */
export const chatStops: readonly string[] = ['\n\nuser: ', '\n\nsystem: ', '\n\ntool: '];
