/** Windows in front of a real engine: one prefix, computed once; and a request that the engine refuses, answered. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documents } from '../../examples/documents.ts';
import type { RealEngine } from './engine-suite.ts';
import { startSluice, stop } from './processes.ts';
import { startRecorder } from './recorder.ts';

interface Reported {
  readonly windows: {
    readonly cause: string;
    readonly limit_tokens: number;
    readonly windows: readonly {
      readonly state: string;
      readonly prompt_tokens: number | null;
      readonly tokens: number;
      readonly cached_tokens: number | null;
    }[];
  } | null;
}

const instruction =
  'Read the documents with care. Answer with one name or number and nothing else; where the documents disagree, take the latest one, and where none of them says it, write that it is not known. ';

export async function windowsShare(engine: RealEngine): Promise<void> {
  const recorder = await startRecorder(engine.url);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-windows-'));
  const file = join(folder, 'sluice.json');
  const windows = {
    strategy: 'select',
    layout: 'question-first',
    concurrency: 1,
    answer_tokens: 4,
  };
  writeFileSync(file, JSON.stringify({ windows, compress: { enabled: true } }));
  const sluice = await startSluice(['--upstream', recorder.url, '--config', file]);
  try {
    await sharedPrefix(engine, recorder, sluice.url);
    await refusedLength(engine, sluice.url);
  } finally {
    await Promise.all([stop(sluice.child), recorder.close()]);
    rmSync(folder, { recursive: true });
  }
}

async function ask(
  sluice: string,
  prompt: string,
  { model, wish }: { readonly model: string; readonly wish: string },
): Promise<{ readonly status: number; readonly report: Reported; readonly text: string }> {
  const response = await fetch(`${sluice}/v1/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-sluice-windows': wish,
      'x-sluice-compress': 'off',
    },
    body: JSON.stringify({ model, prompt, max_tokens: 4, temperature: 0 }),
  });
  const text = await response.text();
  const id = response.headers.get('x-sluice-request-id') ?? '';
  const report = (await (await fetch(`${sluice}/v1/requests/${id}`)).json()) as Reported;
  return { status: response.status, report, text };
}

function promptOf(texts: readonly string[]): string {
  const listed = texts.map((text, at) => `Document [${at + 1}] ${text}`).join('\n\n');
  return `${listed}\n\nQuestion: ${instruction.repeat(3)}Which harbour was widened last?\nAnswer:`;
}

/** Followers have at least what all prompts begin with in the cache, as far as it fills blocks. */
async function sharedPrefix(
  engine: RealEngine,
  recorder: Awaited<ReturnType<typeof startRecorder>>,
  sluice: string,
): Promise<void> {
  const texts = [...documents, ...documents.map((text) => text.toUpperCase())];
  const { status, report, text } = await ask(sluice, promptOf(texts), {
    model: engine.model,
    wish: '4',
  });
  assert.equal(status, 200, text);
  assert.equal(report.windows?.cause, 'asked');
  const asked = report.windows.windows.filter(({ state }) => state !== 'left-out');
  assert.ok(asked.length >= 3, `${asked.length} windows`);
  const prompts = recorder.requests
    .filter(({ url }) => url === '/v1/completions')
    .map(({ body }) => (JSON.parse(body.toString()) as { prompt: string }).prompt);
  const shared = await tokensOf(engine, commonPrefix(prompts));
  const block = engine.limits.blockTokens ?? 1;
  const least = Math.floor(shared / block) * block;
  assert.ok(least > 100, `the prompts share ${shared} tokens`);
  // The longest one leads: nothing was cached before it.
  const sizes = asked.map(({ tokens }) => tokens);
  const followers = asked.filter((_, at) => at !== sizes.indexOf(Math.max(...sizes)));
  for (const { cached_tokens: cached } of followers) {
    assert.ok((cached ?? 0) >= least, `${cached} cached of ${shared} shared`);
  }
}

/** What the engine refuses is answered all the same. */
async function refusedLength(engine: RealEngine, sluice: string): Promise<void> {
  const window = engine.limits.contextWindow ?? 0;
  const texts: string[] = [];
  let tokens = 0;
  for (let at = 0; tokens < 1.3 * window; at++) {
    const text = `${documents[at % documents.length]} It was written down as number ${at}.`;
    tokens += await tokensOf(engine, text);
    texts.push(text);
  }
  const { status, report, text } = await ask(sluice, promptOf(texts), {
    model: engine.model,
    wish: 'auto',
  });
  assert.equal(status, 200, text);
  assert.equal(report.windows?.limit_tokens, window);
  assert.ok(report.windows.windows.length >= 2);
  for (const { state, prompt_tokens: prompt } of report.windows.windows) {
    assert.notEqual(state, 'failed');
    assert.ok((prompt ?? 0) <= window, `${prompt} of ${window}`);
  }
}

function commonPrefix(texts: readonly string[]): string {
  const [first = ''] = texts;
  let length = first.length;
  for (const text of texts) {
    let at = 0;
    while (at < length && text[at] === first[at]) at += 1;
    length = at;
  }
  return first.slice(0, length);
}

async function tokensOf(engine: RealEngine, text: string): Promise<number> {
  const response = await fetch(`${engine.url}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: engine.model, prompt: text, content: text }),
  });
  const { tokens } = (await response.json()) as { tokens: unknown[] };
  return tokens.length;
}
