/** The chat form of the shipped model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderChat } from '../../src/engine/chat.ts';

test('one paragraph per message, and an open answer; contents are taken as they are', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What costs $& here?' },
  ];
  assert.equal(
    renderChat(messages),
    'system: Be brief.\n\nuser: What costs $& here?\n\nassistant: ',
  );
});
