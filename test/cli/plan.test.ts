import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { render } from '../../src/cli/plan.ts';
import type { ConversationPlan } from '../../src/plan-conversation.ts';
import { runAll } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-plan-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const file = join(folder, 'conversation.json');
const messages = [
  { role: 'user', content: 'What is the capital of France?' },
  { role: 'assistant', content: 'Paris.' },
  { role: 'user', content: 'And of Spain?' },
];
writeFileSync(file, JSON.stringify({ model: 'gpt-4o', messages }));
const broken = join(folder, 'broken.json');
writeFileSync(broken, '{"messages": [');
const serving = join(folder, 'serving.json');
writeFileSync(
  serving,
  JSON.stringify({
    upstream: ['http://127.0.0.1:1'],
    backend: 'vllm',
    tokenizer: 'test/fixtures/models/tiny-causal',
    reuse: { events: ['tcp://127.0.0.1:1'], event_replays: ['none'], store: 'disk' },
    state_dir: join(folder, 'state'),
  }),
);

test('plan: a row for each turn and the sum; other input is refused with a reason', async () => {
  const [table, json, failed, configured] = await runAll([
    { args: ['plan', file, '--backend', 'openai'] },
    { args: ['plan', file, '--json'] },
    { args: ['plan', broken] },
    // A file for serving: its servers are neither needed nor asked.
    { args: ['plan', file, '--config', serving, '--json'] },
  ]);
  assert.ok(table && json && failed && configured);
  assert.equal(configured.status, 0, configured.stderr);
  const { unit, assumptions } = JSON.parse(configured.stdout) as ConversationPlan;
  assert.equal(unit, 'ms');
  assert.match(assumptions.join(), /counted by tiny-causal:/);
  assert.equal(table.status, 0, table.stderr);
  assert.match(table.stdout, /^turn\s+mode/);
  assert.match(table.stdout, /\n +1 +cold .*\n +2 +extend /);
  assert.match(table.stdout, /prices of openai as of \d{4}-\d\d-\d\d/);
  const plan = JSON.parse(json.stdout) as ConversationPlan;
  assert.equal(plan.turns.length, 2);
  assert.equal(plan.unit, 'ms');
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /not JSON/);
});

test('plan: the table names what is forwarded, reused and computed', () => {
  const turn = {
    turn: 1,
    mode: 'extend',
    epoch: 0,
    decision: 'compressed',
    admission: 'pays',
    tokensBefore: 900,
    tokensAfter: 400,
    reusedBefore: 320,
    reusedAfter: 160,
    costBefore: 580,
    costAfter: 240,
  } as const;
  const text = render({
    turns: [turn],
    unit: 'ms',
    total: { before: 580, after: 240 },
    assumptions: ['nothing'],
  });
  assert.match(text, /1\s+extend\s+900\s+400\s+160\s+240\s+240\s+580\s+compressed/);
  assert.match(text, /In all 240 against 580 ms until the answers begin \(41 %\)\./);
});
