/** Whatever clients do to their conversations, what was forwarded once is forwarded again, through the real gateway. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Compressor } from '../../src/compress/types.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { RequestReport } from '../../src/core/report.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import type { Ledger } from '../../src/reuse/types.ts';
import { halvingCompressor, input, longDocument, testGateway } from '../helpers/gateway.ts';
import {
  seededRandom,
  simulatedConversation,
  words,
  type Random,
  type SimulatedMessage,
} from '../helpers/simulated-conversations.ts';

interface Message {
  readonly role: string;
  readonly content: string | readonly { readonly type: string; readonly text: string }[];
}

/** As clients write them: a list of blocks where a marker is wanted, else a plain string. */
function written(message: SimulatedMessage, marked: boolean): Message {
  const { role, text } = message;
  const long = role === 'user' && text.length > 100;
  const content = long ? `<document>\n${text}\n</document>\n\nWhat is it about?` : text;
  if (!marked) return { role, content };
  const block = { type: 'text', text: content, cache_control: { type: 'ephemeral' } };
  return { role, content: [block] };
}

/** A message as the model sees it. */
function seen({ role, content }: Message): string {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('|');
  return JSON.stringify([role, text]);
}

function messagesOf(body: Uint8Array): Message[] {
  const { messages } = JSON.parse(Buffer.from(body).toString()) as { messages: Message[] };
  return messages;
}

/** Never decides the same twice, and is late at times: only what is remembered can be stable. */
function moodyCompressor(random: Random): Compressor {
  const inner = halvingCompressor();
  return {
    ...inner,
    async compress(job) {
      if (random() < 0.15) throw new SluiceError('DEADLINE_EXCEEDED', 'late');
      const result = await inner.compress(job);
      return {
        ...result,
        segments: result.segments.map((segment) => {
          const text = segment.text.slice(0, Math.ceil(segment.text.length * (0.4 + random() / 2)));
          return { ...segment, text };
        }),
      };
    },
  };
}

/** What stands in front of every unit's end, as the client sent it, with what was forwarded for it. */
class Witness {
  readonly #forwarded = new Map<string, string>();
  violations = 0;
  compared = 0;

  look(scope: string, sent: readonly Message[], forwarded: readonly Message[]): void {
    assert.equal(forwarded.length, sent.length);
    const raw: string[] = [scope];
    const out: string[] = [];
    for (const [at, message] of sent.entries()) {
      raw.push(seen(message));
      const after = forwarded[at];
      if (after !== undefined) out.push(seen(after));
      if (message.role === 'user' && sent[at + 1]?.role === 'user') continue;
      const key = raw.join('\n');
      const known = this.#forwarded.get(key);
      if (known !== undefined) this.compared += 1;
      if (known !== undefined && known !== out.join('\n')) this.violations += 1;
      this.#forwarded.set(key, out.join('\n'));
    }
  }
}

const outcome = (promptTokens: number, cachedTokens: number) => ({
  status: 200,
  error: null,
  usage: { promptTokens, cachedTokens, completionTokens: 5 },
});

async function converse(
  random: Random,
  gatewayNow: () => Gateway,
  facts: { readonly witness: Witness; readonly tenant: string },
): Promise<RequestReport[]> {
  const conversation = simulatedConversation(random, 60);
  const session = random() < 0.3 ? { session: `s${Math.floor(random() * 10)}` } : {};
  const reports: RequestReport[] = [];
  let answer: string | null = null;
  for (let turn = 0; turn < 7; turn += 1) {
    const { messages, marked } = conversation.next(answer);
    const sent = messages.map((message, at) => written(message, at === marked));
    const gateway = gatewayNow();
    const given = input({ model: 'm', messages: sent }, session, facts.tenant);
    const both = random() < 0.2 ? [gateway, gatewayNow()] : [gateway];
    const all = await Promise.all(
      both.map(async (one) => [one, await one.prepare(given)] as const),
    );
    for (const [one, prepared] of all) {
      facts.witness.look(facts.tenant, sent, messagesOf(prepared.body));
      one.settle(prepared.id, outcome(500 + turn, Math.floor(random() * 500)));
      const report = one.report(prepared.id, facts.tenant);
      if (report !== null) reports.push(report);
    }
    answer = words(random, 5 + Math.floor(random() * 20));
  }
  return reports;
}

test('random conversations over restarts, two processes and late compressors: byte-stability violations 0', async () => {
  const random = seededRandom(20261121);
  const ledger = createMemoryLedger({ maxBytes: 1 << 26 });
  const compressor = moodyCompressor(random);
  const start = (): Gateway =>
    testGateway({ ledger, compressor, config: { compress: { min_tokens: 10 } } });
  const gateways = [start(), start()];
  const witness = new Witness();
  const reports: RequestReport[] = [];
  for (let count = 0; count < 80; count += 1) {
    const tenant = `t${count % 3}`;
    reports.push(
      ...(await converse(
        random,
        () => {
          const at = Math.floor(random() * 2);
          if (random() < 0.05) gateways[at] = start();
          return gateways[at] ?? start();
        },
        { witness, tenant },
      )),
    );
  }
  assert.equal(witness.violations, 0);
  assert.ok(witness.compared > 1000, `compared ${witness.compared}`);
  const by = (pick: (report: RequestReport) => string): Set<string> => new Set(reports.map(pick));
  assert.deepEqual([...by((report) => report.reuse?.mode ?? 'none')].sort(), [
    'branch',
    'cold',
    'extend',
  ]);
  for (const decision of ['compressed', 'replayed', 'failed-open', 'unchanged']) {
    assert.ok(by((report) => report.decision).has(decision), decision);
  }
  assert.deepEqual([...by(({ epoch }) => String(epoch))], ['0']);
});

test('a store that fails now and then costs no byte when the compressor is steady', async () => {
  const random = seededRandom(7);
  const inner = createMemoryLedger({ maxBytes: 1 << 26 });
  const shaky = async <T>(call: () => Promise<T>): Promise<T> => {
    if (random() < 0.2) throw new Error('away');
    return call();
  };
  const ledger: Ledger = {
    ...inner,
    get: (key) => shaky(() => inner.get(key)),
    putIfAbsent: (key, decision) => shaky(() => inner.putIfAbsent(key, decision)),
    find: (name, keys) => shaky(() => inner.find(name, keys)),
    remember: (name, conversation) => shaky(() => inner.remember(name, conversation)),
  };
  const gateway = testGateway({ ledger, config: { compress: { min_tokens: 10 } } });
  const witness = new Witness();
  for (let count = 0; count < 20; count += 1) {
    await converse(random, () => gateway, { witness, tenant: 't' });
  }
  assert.equal(witness.violations, 0);
  assert.ok(gateway.totals('t').reuse.storeErrors > 10);
});

const chat = (turns: number, edit = ''): object => ({
  model: 'm',
  messages: Array.from({ length: turns }, (_, at) => [
    {
      role: 'user',
      content: `<document>\n${longDocument(at)}${at === 0 ? edit : ''}\n</document>\n\nWhich? (${at})`,
    },
    { role: 'assistant', content: 'That one.' },
  ])
    .flat()
    .slice(0, -1),
});

async function turn(
  gateway: Gateway,
  body: object,
  usage: { promptTokens: number; cachedTokens: number },
): Promise<{ readonly report: RequestReport | null; readonly headers: readonly string[] }> {
  const prepared = await gateway.prepare(input(body));
  gateway.settle(prepared.id, outcome(usage.promptTokens, usage.cachedTokens));
  return { report: gateway.report(prepared.id, ''), headers: prepared.responseHeaders };
}

const header = (headers: readonly string[], name: string): string | undefined =>
  headers[headers.indexOf(name) + 1];

test('reports say how a conversation goes on, what was planned, and why less was reused', async () => {
  const gateway = testGateway({});
  const first = await turn(gateway, chat(1), { promptTokens: 1000, cachedTokens: 0 });
  assert.equal(first.report?.reuse?.mode, 'cold');
  assert.equal(first.report.plannedReuse, 0);
  assert.equal(header(first.headers, 'x-sluice-epoch'), '0');
  const second = await turn(gateway, chat(2), { promptTokens: 2000, cachedTokens: 1000 });
  assert.equal(header(second.headers, 'x-sluice-planned-reuse'), '1000', 'as the server counted');
  assert.equal(second.report?.plannedReuse, 1000);
  assert.equal(second.report.reportedReuse, 1000);
  assert.equal(second.report.reuse?.mode, 'extend');
  assert.equal(second.report.reuse.missReason, null);
  const third = await turn(gateway, chat(3), { promptTokens: 3000, cachedTokens: 0 });
  assert.equal(third.report?.reuse?.missReason, 'unknown');
  const edited = await turn(gateway, chat(3, ' P.S.'), { promptTokens: 3000, cachedTokens: 0 });
  assert.equal(edited.report?.reuse?.mode, 'cold');
  const { reuse } = gateway.totals('');
  assert.deepEqual(reuse.byMode, { cold: 2, extend: 2 });
  assert.deepEqual(reuse.byMiss, { unknown: 1 });
  assert.equal(reuse.plannedTokens - reuse.reportedTokens, 2000);
  assert.equal(reuse.errorTokens, 2000);
});

test('a session name finds a conversation whose beginning the client has changed', async () => {
  const gateway = testGateway({});
  const named = async (body: object): Promise<RequestReport | null> => {
    const prepared = await gateway.prepare(input(body, { session: 'mine' }));
    gateway.settle(prepared.id, outcome(1000, 0));
    return gateway.report(prepared.id, '');
  };
  assert.equal((await named(chat(1)))?.reuse?.missReason, null);
  const edited = await named(chat(2, ' P.S.'));
  assert.equal(edited?.reuse?.missReason, 'prefix-changed-by-client');
});

test('another configuration of compression does not take over decisions', async () => {
  const ledger = createMemoryLedger({ maxBytes: 1 << 20 });
  const one = await testGateway({ ledger, policy: 'a' }).prepare(input(chat(1)));
  assert.equal(header(one.responseHeaders, 'x-sluice-decision'), 'compressed');
  const same = await testGateway({ ledger, policy: 'a' }).prepare(input(chat(1)));
  assert.equal(header(same.responseHeaders, 'x-sluice-decision'), 'replayed');
  const other = await testGateway({ ledger, policy: 'b' }).prepare(input(chat(1)));
  assert.equal(header(other.responseHeaders, 'x-sluice-decision'), 'compressed');
});
