/** Rendering of conversations, and what a template costs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { chatOverhead, chatTemplates, renderChat } from '../../src/tokenize/chat-template.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';

const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'What costs $& here?' },
];

test('ChatML and the plain template', () => {
  assert.equal(
    renderChat(messages, chatTemplates.chatml),
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat costs $& here?<|im_end|>\n<|im_start|>assistant\n',
  );
  assert.equal(
    renderChat(messages, chatTemplates.plain),
    'system: Be brief.\n\nuser: What costs $& here?\n\nassistant: ',
  );
  assert.equal(renderChat([], chatTemplates.plain), 'assistant: ');
});

test('the overhead of a template is that of the rendered empty conversation', () => {
  const folder = join(import.meta.dirname, '../fixtures/models/tiny-causal');
  const tokenizer = loadTokenizer(folder);
  const empty = messages.map(({ role }) => ({ role, content: '' }));
  const rendered = tokenizer.count(renderChat(empty, chatTemplates.plain));
  const overhead = chatOverhead(['system', 'user'], chatTemplates.plain, tokenizer);
  // tokens at the seams may join
  assert.ok(Math.abs(overhead - rendered) <= 2, `${overhead} and ${rendered}`);
});
