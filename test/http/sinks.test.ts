/** Chats that grow past the window, end to end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWindowProxy, type WindowProxy } from '../helpers/window-proxy.ts';

interface Message {
  readonly role: string;
  readonly content: string | null;
  readonly tool_calls?: unknown;
  readonly tool_call_id?: string;
}

const system = { role: 'system', content: 'You are the harbour master of Saltmarsh.' };

async function send(
  proxy: WindowProxy,
  messages: readonly Message[],
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${proxy.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    // Messages last, so that a longer conversation begins with the bytes of a shorter one.
    body: JSON.stringify({ model: 'small', max_tokens: 20, messages }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test('1,000 turns: never refused, the prefix only changes at a cut, most of it is reused', async (t) => {
  const window = 1500;
  const proxy = await startWindowProxy(t, {
    window,
    caches: true,
    answer: ({ text }) => ({ text: `Berth ${text.length % 97} is free.` }),
    config: { sinks: { enabled: true } },
  });
  const messages: Message[] = [system];
  let previous = '';
  let epoch = 0;
  let last = 0;
  let largestTurn = 0;
  const cuts: { readonly before: number; readonly after: number }[] = [];
  let violations = 0;
  let cached = 0;
  let prompt = 0;
  for (let turn = 1; turn <= 1000; turn++) {
    messages.push({ role: 'user', content: `Ship ${turn} arrives at noon. Which berth is free?` });
    const { status, headers, text } = await send(proxy, messages);
    assert.equal(status, 200, `turn ${turn}: ${text}`);
    const forwarded = proxy.model.upstream.requests.at(-1)!.body.toString();
    const now = Number(headers.get('x-sluice-epoch'));
    if (now === epoch && !forwarded.startsWith(previous)) violations += 1;
    assert.ok(now === epoch || now === epoch + 1, `epoch ${epoch} -> ${now}`);
    const report = proxy.gateway.report(headers.get('x-sluice-request-id')!, 'default')!;
    assert.equal(report.sinks?.fresh ?? false, now !== epoch);
    assert.equal(report.reuse?.missReason === 'rewritten', now !== epoch && turn > 1);
    // As cuts count: text, and what a template puts around every message.
    const { body, tokens } = proxy.model.asked.at(-1)!;
    const count = (body['messages'] as unknown[]).length;
    // The model here puts a line break between them.
    const size = tokens - (count - 1) + 8 * count;
    if (now === epoch) largestTurn = Math.max(largestTurn, size - last);
    else if (turn > 1) cuts.push({ before: last, after: size });
    last = size;
    epoch = now;
    previous = forwarded.slice(0, -2);
    const answer = JSON.parse(text);
    cached += answer.usage.prompt_tokens_details.cached_tokens;
    prompt += answer.usage.prompt_tokens;
    messages.push({ role: 'assistant', content: answer.choices[0].message.content });
  }
  assert.equal(violations, 0);
  const asked = proxy.model.asked;
  assert.ok(asked.every(({ refused }) => !refused));
  // The marker is counted with the longest numbers that it may have.
  const marker = 10;
  // As few as the hysteresis allows: none before 80 % of the window, none that leaves a turn less than 40 % of it.
  assert.equal(cuts.length, epoch);
  assert.ok(epoch > 40, `${epoch} epochs`);
  for (const { before, after } of cuts) {
    const room = largestTurn + marker;
    assert.ok(before + room > 0.8 * window, `cut at ${before} tokens`);
    assert.ok(after <= 0.4 * window && after + room > 0.4 * window, `${after} left`);
  }
  const share = cached / prompt;
  console.log(
    `1,000 turns: ${epoch + 1} epochs, ${(100 * share).toFixed(1)} % of the prompt reused`,
  );
  assert.ok(share > 0.85, String(share));
  const { text } = asked.at(-1)!;
  assert.match(text, /harbour master/);
  assert.match(text, /Ship 1 arrives/, 'the first turn stays');
  assert.match(
    text,
    /\[\d+ earlier messages of this conversation, about \d+ tokens, were left out/,
  );
  assert.match(text, /Ship 999 arrives/);
});

test('the cut is a function of the conversation: another process makes the same one', async (t) => {
  const start = () =>
    startWindowProxy(t, {
      window: 600,
      answer: () => ({ text: 'Berth 7 is free.' }),
      config: { sinks: { enabled: true } },
    });
  const [one, other] = [await start(), await start()];
  const messages: Message[] = [system];
  for (let turn = 1; turn <= 60; turn++) {
    messages.push({ role: 'user', content: `Ship ${turn} arrives at noon. Which berth is free?` });
    await send(one, messages);
    if (turn % 13 === 0) {
      await send(other, messages);
      const bytes = [one, other].map(({ model }) => model.upstream.requests.at(-1)!.body);
      assert.deepEqual(bytes[0], bytes[1], `turn ${turn}`);
    }
    messages.push({ role: 'assistant', content: 'Berth 7 is free.' });
  }
});

test('calls of tools and their results go together', async (t) => {
  const proxy = await startWindowProxy(t, {
    window: 700,
    answer: () => ({ text: 'Done.' }),
    config: { sinks: { enabled: true, first_turns: 0 } },
  });
  const messages: Message[] = [system];
  let cuts = 0;
  for (let turn = 1; turn <= 40; turn++) {
    messages.push({ role: 'user', content: `Where is ship ${turn}?` });
    for (const step of [1, 2]) {
      const id = `call-${turn}-${step}`;
      const call = { id, type: 'function', function: { name: 'find', arguments: `{"n":${turn}}` } };
      messages.push({ role: 'assistant', content: null, tool_calls: [call] });
      const content = `Ship ${turn} was seen near buoy ${step}.`;
      messages.push({ role: 'tool', tool_call_id: id, content });
      const { status, headers, text } = await send(proxy, messages);
      assert.equal(status, 200, text);
      const body = JSON.parse(proxy.model.upstream.requests.at(-1)!.body.toString());
      const calls = new Set<string>();
      for (const message of body.messages) {
        for (const made of message.tool_calls ?? []) calls.add(made.id);
        if (message.role === 'tool') assert.ok(calls.has(message.tool_call_id), 'a lone result');
      }
      cuts = Math.max(cuts, Number(headers.get('x-sluice-epoch')));
    }
    messages.push({ role: 'assistant', content: 'There.' });
  }
  assert.ok(cuts >= 3, String(cuts));
});

test('what was left out is reported; off by default, and where the client switches Sluice off', async (t) => {
  const messages: Message[] = [system];
  for (let turn = 1; turn <= 40; turn++) {
    messages.push({ role: 'user', content: `Ship ${turn} arrives at noon. Which berth is free?` });
    if (turn < 40) messages.push({ role: 'assistant', content: 'Berth 7 is free.' });
  }
  const answer = () => ({ text: 'Berth 7.' });
  const config = { sinks: { enabled: true } };
  const proxy = await startWindowProxy(t, { window: 600, answer, config });
  const { status, headers } = await send(proxy, messages);
  assert.equal(status, 200);
  assert.match(headers.get('x-sluice-skipped') ?? '', /turn-left-out;n=\d+/);
  const { sinks, tokensBefore, tokensAfter } = proxy.gateway.report(
    headers.get('x-sluice-request-id')!,
    'default',
  )!;
  assert.equal(sinks?.messages, sinks!.to - sinks!.from);
  assert.equal(sinks?.from, 3);
  assert.ok(sinks.turns > 10 && tokensAfter! < tokensBefore! / 2);
  const body = JSON.parse(proxy.model.upstream.requests.at(-1)!.body.toString());
  assert.equal(body.messages.length, messages.length - sinks.messages);
  assert.deepEqual(
    body.messages.slice(4),
    messages.slice(sinks.to + 1),
    'recent messages are as they came',
  );
  const off = await send(proxy, messages, { 'x-sluice-compress': 'off' });
  assert.equal(off.status, 400);
  const usual = await startWindowProxy(t, { window: 600, answer });
  assert.equal((await send(usual, messages)).status, 400);
});
