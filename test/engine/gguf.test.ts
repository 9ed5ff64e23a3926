import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type {
  Llama,
  LlamaLibrary,
  LlamaModel,
  LlamaSequence,
} from '../../src/engine/gguf/library.ts';
import { loadGguf } from '../../src/engine/gguf/load.ts';
import type { GenerateEnd, TextEngine } from '../../src/engine/types.ts';

const begin = 1;
const end = 2;
const marked = '<|end|>';

/** One token per UTF-8 byte, 10 above its value; `<|end|>` is the end mark where special tokens are asked for. */
function bytesOf(text: string, special: boolean): number[] {
  const at = special ? text.indexOf(marked) : -1;
  if (at < 0) return [...Buffer.from(text)].map((byte) => byte + 10);
  return [
    ...bytesOf(text.slice(0, at), false),
    end,
    ...bytesOf(text.slice(at + marked.length), special),
  ];
}

/** A model that answers with the prompt's last words, then ends. */
class FakeSequence implements LlamaSequence {
  contextTokens: number[] = [];
  read = 0;
  async adaptStateToTokens(tokens: readonly number[]): Promise<void> {
    let shared = 0;
    while (shared < tokens.length && this.contextTokens[shared] === tokens[shared]) shared += 1;
    this.contextTokens = this.contextTokens.slice(0, shared);
  }
  async *evaluate(tokens: readonly number[]): AsyncGenerator<number, void, void> {
    assert.ok(tokens.length > 0);
    this.read += tokens.length;
    this.contextTokens.push(...tokens);
    for (const token of [...bytesOf(' é!', false), end]) {
      await new Promise((resolve) => setImmediate(resolve));
      yield token;
      this.contextTokens.push(token);
    }
  }
}

function fakeLibrary(template: string | null = null): {
  library: () => Promise<LlamaLibrary>;
  sequences: FakeSequence[];
} {
  const sequences: FakeSequence[] = [];
  const model: LlamaModel = {
    tokens: { bos: begin, shouldPrependBosToken: true },
    fileInfo: {
      metadata: {
        general: { architecture: 'fake' },
        fake: { context_length: 64 },
        tokenizer: { chat_template: template, ggml: { tokens: Array.from({ length: 266 }) } },
      },
    },
    tokenize: (text, special) => bytesOf(text, special),
    detokenize: (tokens) =>
      Buffer.from(
        tokens.flatMap((token) => (token < 10 ? [...Buffer.from(marked)] : [token - 10])),
      ).toString(),
    isEogToken: (token) => token === end,
    createContext: async ({ contextSize }) => ({
      contextSize,
      getSequence() {
        const sequence = new FakeSequence();
        sequences.push(sequence);
        return sequence;
      },
    }),
    dispose: async () => {},
  };
  const llama: Llama = { loadModel: async () => model, dispose: async () => {} };
  return { library: async () => ({ getLlama: async () => llama }), sequences };
}

function fileOf(text = 'GGUF'): string {
  const file = join(mkdtempSync(join(tmpdir(), 'sluice-gguf-')), 'small.gguf');
  writeFileSync(file, text);
  return file;
}

interface Made {
  readonly text: string;
  readonly cached: number;
  readonly reason: GenerateEnd;
}

function ask(engine: TextEngine, promptIds: Uint32Array, maxTokens = 20): Promise<Made> {
  return new Promise((resolve, reject) => {
    const ids: number[] = [];
    let cached = -1;
    engine.generate(
      { promptIds, maxTokens, temperature: 0, topP: 1, seed: 1 },
      {
        onStart: (tokens) => (cached = tokens),
        onToken: (id) => ids.push(id),
        onEnd: (reason) => resolve({ text: engine.tokenizer.decode(ids), cached, reason }),
        onError: reject,
      },
    );
  });
}

test('a GGUF file generates, and a conversation that goes on is not read again', async () => {
  const { library, sequences } = fakeLibrary();
  const engine = await loadGguf({ file: fileOf(), threads: 1, queue: 4, library });
  assert.deepEqual(
    [engine.name, engine.contextLimit, engine.tokenizer.vocabularySize],
    ['small', 64, 266],
  );
  const first = engine.textIds('ab');
  assert.deepEqual([...first], [begin, 107, 108]);
  assert.deepEqual(await ask(engine, first), { text: ' é!', cached: 0, reason: 'stop' });
  const next = engine.textIds('ab é! more');
  assert.deepEqual(await ask(engine, next), { text: ' é!', cached: 7, reason: 'stop' });
  assert.equal(
    sequences.reduce((sum, { read }) => sum + read, 0),
    first.length + next.length - 7,
  );
  assert.deepEqual(await ask(engine, first, 2), { text: ' \ufffd', cached: 2, reason: 'length' });
  await engine.close();
});

test('offsets come from the pieces, characters of several tokens included', async () => {
  const { library } = fakeLibrary();
  const { tokenizer } = await loadGguf({ file: fileOf(), threads: 1, queue: 1, library });
  const { ids, starts, ends } = tokenizer.encode('aé🚀b');
  assert.equal(ids.length, tokenizer.count('aé🚀b'));
  assert.deepEqual([...starts], [0, 1, 1, 2, 2, 2, 2, 4]);
  assert.deepEqual([...ends], [1, 2, 2, 4, 4, 4, 4, 5]);
  assert.equal(tokenizer.specialId(marked), end);
  assert.equal(tokenizer.specialId('<|none|>'), null);
  // What looks like a mark in a text is text.
  assert.equal(tokenizer.count(marked), marked.length);
});

test("a chat is written with the file's own template, else as the shipped model's", async () => {
  const messages = [{ role: 'user', content: 'hi' }];
  const plain = await loadGguf({
    file: fileOf(),
    threads: 1,
    queue: 1,
    library: fakeLibrary().library,
  });
  assert.equal(
    plain.tokenizer.decode(plain.chatIds(messages).subarray(1)),
    'user: hi\n\nassistant: ',
  );
  assert.ok(plain.chatStops.length > 0);
  const template = `{% for m in messages %}[{{ m.role }}]{{ m.content }}${marked}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}`;
  const own = await loadGguf({
    file: fileOf(),
    threads: 1,
    queue: 1,
    library: fakeLibrary(template).library,
  });
  assert.deepEqual(own.chatStops, []);
  assert.deepEqual([...own.chatIds(messages)], [begin, ...bytesOf(`[user]hi${marked}[a]`, true)]);
});

test('requests wait, are aborted while they wait or generate, and are refused above the bound', async () => {
  const { library } = fakeLibrary();
  const engine = await loadGguf({ file: fileOf(), threads: 1, queue: 3, library });
  const reasons: string[] = [];
  const start = (): (() => void) =>
    engine.generate(
      { promptIds: engine.textIds('ab'), maxTokens: 20, temperature: 0, topP: 1, seed: 1 },
      {
        onStart: () => {},
        onToken: () => {},
        onEnd: (reason) => reasons.push(reason),
        onError: (error) => reasons.push(error.message),
      },
    );
  const aborts = [start(), start(), start()];
  assert.throws(start, { code: 'QUEUE_FULL' });
  aborts[2]?.();
  await new Promise((resolve) => setTimeout(resolve, 1));
  aborts[0]?.();
  for (let turns = 0; turns < 100 && reasons.length < 3; turns += 1) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.deepEqual(reasons.toSorted(), ['aborted', 'aborted', 'stop']);
  start();
  await new Promise((resolve) => setImmediate(resolve));
  await engine.close();
  assert.equal(reasons.at(-1), 'The embedded engine was closed');
  assert.throws(start, /has stopped/);
});

test('without the package or with a file that cannot be read, the error says what to do', async () => {
  const load = (file: string, library: () => Promise<LlamaLibrary>): Promise<TextEngine> =>
    loadGguf({ file, threads: 1, queue: 1, library });
  const missing = async (): Promise<LlamaLibrary> => {
    throw new Error('Cannot find package');
  };
  await assert.rejects(load(fileOf(), missing), /npm install node-llama-cpp/);
  await assert.rejects(
    load('/no/such.gguf', fakeLibrary().library),
    /no\/such\.gguf cannot be read/,
  );
  const broken: LlamaLibrary = {
    getLlama: async () => ({
      loadModel: async () => {
        throw new Error('not a GGUF file');
      },
      dispose: async () => {},
    }),
  };
  await assert.rejects(
    load(fileOf('x'), async () => broken),
    /cannot be loaded: not a GGUF file/,
  );
});
