/** How much shorter a text has to be: whose tokens count, what is asked of a server, what leaves things as they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CountTokensOptions } from '../../src/backends/types.ts';
import { survivorsOf, settingsFor } from '../../src/gateway/settings.ts';
import { createFitRules, fitOf, type FitFacts } from '../../src/gateway/fit.ts';
import { planUnits } from '../../src/gateway/plan.ts';
import { parseConfig } from '../../src/config/load.ts';
import { readRequest } from '../../src/wire/read.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import type { FitReport } from '../../src/core/window-words.ts';

const tokenizer = fakeTokenizer();
const document = 'The harbour got its pier in 1971 from its builder. '.repeat(60).trim();
const content = `<document>\n${document}\n</document>\n\nWhen did it get its pier?`;
const tokens = tokenizer.count(document);

/** @param options.serverTokens tokens that the server counts for one of ours; null = it does not count */
async function fitted(options: {
  readonly limit: number | null;
  readonly serverTokens?: number | null;
  readonly late?: boolean;
  /** Windows of models, where each has its own. */
  readonly windows?: ReadonlyMap<string | null, number>;
  readonly estimated?: boolean;
  readonly sinks?: { readonly start: number; readonly keep: number };
  readonly config?: object;
  readonly wishes?: object;
  readonly pays?: boolean;
  readonly facts?: Partial<FitFacts>;
}): Promise<{ readonly fit: FitReport | null; readonly asked: number }> {
  const { limit, serverTokens = null, estimated = false, config, wishes = {}, facts } = options;
  const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }));
  const read = readRequest(body, '/v1/chat/completions', {
    contentEncoding: null,
    inspectBytes: 1 << 20,
    bodyWishes: false,
  });
  assert.ok(read.ok);
  const [unit] = planUnits(read.request);
  assert.ok(unit);
  const parsed = parseConfig({ compress: { rate: 0.5 }, ...config });
  const settings = settingsFor(parsed, survivorsOf(parsed), wishes);
  let asked = 0;
  const countTokens = async (texts: readonly string[], { signal }: CountTokensOptions) => {
    asked += 1;
    assert.equal(signal.aborted, false);
    if (options.late === true) {
      // Its own timer alone does not keep the process.
      const alive = setTimeout(() => undefined, 5000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      clearTimeout(alive);
      return texts.map(() => null);
    }
    return texts.map((text) => tokenizer.count(text) * serverTokens!);
  };
  const backend = {
    capabilities: { contextWindow: limit } as never,
    ...(options.windows === undefined
      ? {}
      : { contextWindowOf: (model: string | null) => options.windows?.get(model) ?? null }),
    ...(serverTokens === null && options.late !== true ? {} : { countTokens }),
  };
  const rules = createFitRules({
    backend,
    tokenizer: { estimated },
    limitTokens: null,
    sinks: options.sinks ?? null,
    // A quarter of an odd deadline.
    waitMs: 20.25,
  });
  const plan = { pays: options.pays ?? true, targetTokens: null };
  const fit = await fitOf(
    unit,
    { ...settings.forUnit(0, plan), fitRate: settings.fitRate },
    { model: null, messages: 1, followed: true, maxTokens: 100, spent: 0, ...facts },
    {
      rules,
      countTokens: async (text) => tokenizer.count(text),
      signal: new AbortController().signal,
    },
  );
  return { fit, asked };
}

const half = Math.ceil(tokens / 2);
/** An answer of 100 tokens, a message, the template. */
const beside = 100 + 8 + 16;
const kept = (limit: number): number => limit - beside - Math.floor(limit / 8);

test('a target only where half of the text does not fit beside the answer', async () => {
  assert.equal((await fitted({ limit: half + 200 })).fit, null);
  const { fit } = await fitted({ limit: half });
  // With an eighth of the window for what follows.
  assert.deepEqual(fit, { limitTokens: half, targetTokens: kept(half), rate: 0.125 });
  const last = await fitted({ limit: half, facts: { followed: false } });
  assert.equal(last.fit?.targetTokens, half - beside, 'nothing follows a completion');
  assert.equal((await fitted({ limit: null })).fit, null);
});

test('where each model has a window, that of the named one counts', async () => {
  const windows = new Map([
    ['short', half],
    ['long', half + 1000],
  ]);
  const of = async (model: string): Promise<number | undefined> =>
    (await fitted({ limit: 10, windows, facts: { model } })).fit?.limitTokens;
  assert.equal(await of('short'), half);
  assert.equal(await of('long'), undefined);
  assert.equal(await of('unknown'), undefined);
});

test('what would be forwarded counts: text that does not pay whole, under a target as much as that', async () => {
  const limit = half + 200;
  assert.equal((await fitted({ limit })).fit, null);
  assert.equal((await fitted({ limit, pays: false })).fit?.targetTokens, kept(limit));
  const wish = (targetTokens: number) => fitted({ limit, wishes: { targetTokens } });
  assert.equal((await wish(tokens - 100)).fit?.targetTokens, kept(limit));
  assert.equal((await wish(1)).fit, null, 'a client may want less than there is room for');
});

test('an answer takes what the client allows, up to three quarters; 256 tokens where nobody says', async () => {
  const target = async (maxTokens: number | null): Promise<number | undefined> =>
    (await fitted({ limit: half, facts: { maxTokens } })).fit?.targetTokens;
  const free = half - 24 - Math.floor(half / 8);
  assert.equal(await target(null), Math.floor(free - Math.min(256, half / 4)));
  assert.equal(await target(120), free - 120);
  assert.equal(
    await target(100_000),
    undefined,
    'no room is left that keeping an eighth would fit',
  );
});

test('what stands before takes room; where an eighth of the text does not fit it is left at the rate', async () => {
  const limit = half + 200;
  const { fit } = await fitted({ limit, facts: { spent: 150 } });
  assert.equal(fit?.targetTokens, kept(limit) - 150);
  assert.equal((await fitted({ limit, facts: { spent: half } })).fit, null);
  assert.equal((await fitted({ limit, facts: { spent: null } })).fit, null, 'not counted');
  // The eighth that is kept free is given up before the text goes below its least rate.
  const least = tokenizer.count(content) - tokens + Math.ceil(tokens * 0.125);
  const tight = await fitted({ limit: least + beside + 20 });
  assert.ok(Math.abs(tight.fit!.targetTokens - least) <= 8, `${tight.fit!.targetTokens} ${least}`);
});

test('turns that sinks leave out take no room', async () => {
  const limit = 2 * half;
  const facts = { spent: limit };
  assert.equal((await fitted({ limit, facts })).fit, null);
  const sinks = { start: 0.8, keep: 0.4 };
  const { fit } = await fitted({ limit, facts, sinks, wishes: { rate: 0.9 }, config: {} });
  assert.equal(fit, null, 'nothing may be left out of this one');
  const cut = await fitted({ limit, facts, sinks, pays: false });
  assert.equal(cut.fit?.targetTokens, kept(limit) - Math.floor(0.4 * limit));
});

test('a server is asked how it counts, where it could matter only, and not for long', async () => {
  const limit = half + 300;
  const far = await fitted({ limit: 4 * tokens, serverTokens: 1.4, estimated: true });
  assert.deepEqual(far, { fit: null, asked: 0 });
  const near = await fitted({ limit, serverTokens: 1.4, estimated: true });
  assert.equal(near.asked, 1);
  const scale = 1.4 * 1.03;
  const wanted = (by: number): number =>
    Math.floor((limit - beside) / by) - Math.floor(limit / 8 / by);
  assert.equal(near.fit?.targetTokens, wanted(scale));
  const few = await fitted({ limit, serverTokens: 0.5, estimated: true });
  assert.deepEqual(few, { fit: null, asked: 1 });
  const silent = await fitted({ limit: half, estimated: true });
  assert.equal(
    silent.fit?.targetTokens,
    Math.floor((half - beside) / 1.15) - Math.floor(half / 8 / 1.15),
  );
  const late = await fitted({ limit: half, estimated: true, late: true });
  assert.equal(late.fit?.targetTokens, silent.fit?.targetTokens);
});

test('switched off, above the rate, or with windows asked for: as configured', async () => {
  const limit = half;
  const off = { config: { windows: { fit_rate: null } } };
  const above = { config: { windows: { fit_rate: 0.8 } } };
  for (const options of [off, above, { wishes: { windows: 3 } }, { wishes: { rate: 0.5 } }]) {
    assert.equal((await fitted({ limit, ...options })).fit, null, JSON.stringify(options));
  }
  assert.equal((await fitted({ limit, wishes: { rate: 0.3 } })).fit?.rate, 0.3);
});
