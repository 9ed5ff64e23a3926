/** How much shorter a text has to be: whose tokens count, what is asked of a server, what leaves things as they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CountTokensOptions } from '../../src/backends/types.ts';
import { survivorsOf, settingsFor } from '../../src/gateway/settings.ts';
import { fitOf, type FitFacts } from '../../src/gateway/fit.ts';
import { planUnits } from '../../src/gateway/plan.ts';
import { parseConfig } from '../../src/config/load.ts';
import { readRequest } from '../../src/wire/read.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import type { FitReport } from '../../src/core/window-words.ts';

const tokenizer = fakeTokenizer();
const document = 'The harbour got its pier in 1971 from its builder. '.repeat(60).trim();
const content = `<document>\n${document}\n</document>\n\nWhen did it get its pier?`;
const tokens = tokenizer.count(document);

/** @param serverTokens tokens that the server counts for one of ours; null = it does not count */
async function fitted(options: {
  readonly limit: number | null;
  readonly serverTokens?: number | null;
  readonly estimated?: boolean;
  readonly config?: object;
  readonly wishes?: object;
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
    return texts.map((text) => tokenizer.count(text) * serverTokens!);
  };
  const backend = {
    capabilities: { contextWindow: limit } as never,
    ...(serverTokens === null ? {} : { countTokens }),
  };
  const fit = await fitOf(
    unit,
    { ...settings.forUnit(0), fitRate: settings.fitRate },
    { model: null, messages: 1, maxTokens: 100, spent: 0, ...facts },
    {
      rules: { backend, tokenizer: { ...tokenizer, estimated }, limitTokens: null },
      countTokens: async (text) => tokenizer.count(text),
      signal: new AbortController().signal,
    },
  );
  return { fit, asked };
}

test('a target only where half of the text does not fit beside the answer', async () => {
  const half = Math.ceil(tokens / 2);
  assert.equal((await fitted({ limit: half + 200 })).fit, null);
  const { fit } = await fitted({ limit: half });
  // Room for 100 tokens of answer, the message and the template.
  assert.deepEqual(fit, { limitTokens: half, targetTokens: half - 100 - 24, rate: 0.2 });
  assert.equal((await fitted({ limit: null })).fit, null);
});

test('an answer takes a quarter of the window at most, and 256 tokens where nobody says', async () => {
  const half = Math.ceil(tokens / 2);
  const target = async (maxTokens: number | null): Promise<number | undefined> =>
    (await fitted({ limit: half, facts: { maxTokens } })).fit?.targetTokens;
  assert.equal(await target(100_000), half - Math.floor(half / 4) - 24);
  assert.equal(await target(null), half - Math.min(256, Math.floor(half / 4)) - 24);
});

test('what stands before takes room; where nothing is left the text is not crushed', async () => {
  const half = Math.ceil(tokens / 2);
  const { fit } = await fitted({ limit: half + 200, facts: { spent: 150 } });
  assert.equal(fit?.targetTokens, half + 200 - 100 - 24 - 150);
  assert.equal((await fitted({ limit: half, facts: { spent: half } })).fit, null);
});

test('a server is asked how it counts, where it could matter only', async () => {
  const half = Math.ceil(tokens / 2);
  const far = await fitted({ limit: 4 * tokens, serverTokens: 1.4, estimated: true });
  assert.deepEqual(far, { fit: null, asked: 0 });
  const near = await fitted({ limit: half + 300, serverTokens: 1.4, estimated: true });
  assert.equal(near.asked, 1);
  assert.equal(near.fit?.targetTokens, Math.floor((half + 300 - 124) / (1.4 * 1.03)));
  const few = await fitted({ limit: half + 300, serverTokens: 0.5, estimated: true });
  assert.deepEqual(few, { fit: null, asked: 1 });
  const silent = await fitted({ limit: half, estimated: true });
  assert.equal(silent.fit?.targetTokens, Math.floor((half - 124) / 1.15));
});

test('switched off, above the rate, or with windows asked for: as configured', async () => {
  const limit = Math.ceil(tokens / 2);
  const off = { config: { windows: { fit_rate: null } } };
  const above = { config: { windows: { fit_rate: 0.8 } } };
  for (const options of [off, above, { wishes: { windows: 3 } }, { wishes: { rate: 0.5 } }]) {
    assert.equal((await fitted({ limit, ...options })).fit, null, JSON.stringify(options));
  }
  assert.equal((await fitted({ limit, wishes: { rate: 0.3 } })).fit?.rate, 0.3);
});
