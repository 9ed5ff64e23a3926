import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import { seededRandom } from '../helpers/simulated-conversations.ts';
import {
  blockName,
  blocksOf,
  chainOf,
  chainOfBytes,
  coarserChain,
  sharedBlocks,
} from '../../src/reuse/chain.ts';
import { domainOf, fingerprintLabel, type Fingerprint } from '../../src/reuse/domain.ts';
import { unshared } from '../../src/reuse/regime.ts';
import { createVllmChains } from '../../src/reuse/vllm-chains.ts';
import { eventHash, vllmBlockHashes, vllmChain } from '../../src/reuse/vllm-hash.ts';
import type { ExtraKey } from '../../src/reuse/vllm-hash.ts';

const fingerprint: Fingerprint = {
  backend: 'vllm-0',
  model: 'm',
  revision: null,
  lora: null,
  tokenizer: 't',
  kvDtype: null,
  kvEpoch: null,
  position: 'rope',
  layout: null,
};
const parts = { fingerprint, tenant: 'a', salt: null, regime: '' };
const domain = domainOf(parts);
const ids = (length: number, step = 7): Uint32Array =>
  Uint32Array.from({ length }, (_, at) => (at * step) % 50_000);

test('domains differ in every part, and an unknown part is no empty one', () => {
  const variants = [
    parts,
    { ...parts, tenant: 'b' },
    { ...parts, salt: '' },
    { ...parts, salt: 's' },
    { ...parts, regime: 'long' },
    { ...parts, fingerprint: { ...fingerprint, revision: '' } },
    { ...parts, fingerprint: { ...fingerprint, lora: 'x' } },
    { ...parts, fingerprint: { ...fingerprint, model: 'mt', tokenizer: '' } },
    { ...parts, fingerprint: { ...fingerprint, kvEpoch: '1' } },
  ].map((value) => Buffer.from(domainOf(value)).toString('hex'));
  assert.equal(new Set(variants).size, variants.length);
  assert.notEqual(
    fingerprintLabel(fingerprint),
    fingerprintLabel({ ...fingerprint, kvDtype: 'fp8' }),
  );
});

test('in a regime that nobody may share, not even the same text meets itself', () => {
  const tokens = ids(64);
  const [one, two] = [0, 1].map(() =>
    chainOf(tokens, { domain: domainOf({ ...parts, regime: unshared }), blockTokens: 16 }),
  );
  assert.ok(one && two);
  assert.equal(sharedBlocks(one, two), 0);
});

test('a name depends on all tokens before its end, on none after it, and on the domain', () => {
  for (const blockTokens of [1, 3, 4, 16, 32, 528]) {
    const tokens = ids(blockTokens * 6 + 1);
    const whole = chainOf(tokens, { domain, blockTokens });
    assert.equal(blocksOf(whole), Math.floor(tokens.length / blockTokens));
    const head = chainOf(tokens.slice(0, blockTokens * 3), { domain, blockTokens });
    assert.equal(sharedBlocks(whole, head), 3);
    const edited = tokens.slice();
    edited[blockTokens * 2] = 99_999;
    assert.equal(sharedBlocks(whole, chainOf(edited, { domain, blockTokens })), 2);
    const other = domainOf({ ...parts, regime: 'long' });
    assert.equal(sharedBlocks(whole, chainOf(tokens, { domain: other, blockTokens })), 0);
    const names = Array.from({ length: blocksOf(whole) }, (_, at) => blockName(whole, at));
    assert.equal(new Set(names).size, names.length);
  }
});

test('growing a chain gives the names of hashing it whole', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 3, 16, 32),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 0, max: 300 }),
      (blockTokens, first, more) => {
        const tokens = ids(first + more, 13);
        const previous = chainOf(tokens.slice(0, first), { domain, blockTokens });
        const grown = chainOf(tokens, { domain, blockTokens, previous });
        assert.deepEqual(grown.words, chainOf(tokens, { domain, blockTokens }).words);
      },
    ),
    { numRuns: 100 },
  );
});

test('an extra separates its block and all after it', () => {
  const tokens = ids(16 * 5);
  const plain = chainOf(tokens, { domain, blockTokens: 16 });
  const media = (value: string) => (block: number) => (block === 2 ? value : null);
  const one = chainOf(tokens, { domain, blockTokens: 16, extra: media('x') });
  const two = chainOf(tokens, { domain, blockTokens: 16, extra: media('y') });
  assert.equal(sharedBlocks(plain, one), 2);
  assert.equal(sharedBlocks(one, two), 2);
  const grown = chainOf(tokens, {
    domain,
    blockTokens: 16,
    extra: media('x'),
    previous: chainOf(tokens.slice(0, 60), { domain, blockTokens: 16, extra: media('x') }),
  });
  assert.deepEqual(grown.words, one.words);
});

test('coarser chains are the ones hashed in coarser blocks', () => {
  const tokens = ids(16 * 70 + 5);
  const fine = chainOf(tokens, { domain, blockTokens: 16 });
  for (const blockTokens of [32, 256, 528]) {
    const coarse = coarserChain(fine, blockTokens);
    assert.deepEqual(coarse.words, chainOf(tokens, { domain, blockTokens }).words);
    assert.equal(coarse.tokens, tokens.length);
  }
  assert.throws(() => coarserChain(fine, 24), /do not follow/);
});

test('without a tokenizer the chain runs over bytes', () => {
  const text = (length: number): Uint8Array => Buffer.from('abcdefg'.repeat(200).slice(0, length));
  const options = { domain, chunkBytes: 128, bytesPerToken: 4 };
  const short = chainOfBytes(text(300), options);
  const long = chainOfBytes(text(700), options);
  assert.equal(short.exact, false);
  assert.equal(short.tokens, 75);
  assert.equal(short.blockTokens, 32);
  assert.equal(blocksOf(short), 2);
  assert.equal(sharedBlocks(short, long), 2);
});

interface HashCase {
  readonly name: string;
  readonly seed: string | null;
  readonly block: number;
  readonly tokens: readonly number[];
  readonly extras: Readonly<Record<string, readonly ExtraKey[]>>;
  readonly hashes: readonly string[];
}

test('block hashes of vLLM are recomputed to the bit', () => {
  const file = new URL('../fixtures/reuse/vllm-block-hashes.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: readonly HashCase[] };
  assert.ok(cases.length >= 6);
  for (const { name, seed, block, tokens, extras, hashes } of cases) {
    const options = {
      blockTokens: block,
      seed,
      extra: (at: number): readonly ExtraKey[] | null => extras[String(at)] ?? null,
    };
    const found = vllmBlockHashes(Uint32Array.from(tokens), options);
    const hex = hashes.map((_, at) =>
      Buffer.from(found.slice(at * 32, at * 32 + 32)).toString('hex'),
    );
    assert.deepEqual(hex, hashes, name);
    const { words } = vllmChain(Uint32Array.from(tokens), options);
    const last = hashes.length - 1;
    const shown = eventHash(found.slice(last * 32));
    assert.equal(
      (BigInt(words[last * 4 + 2] ?? 0) << 32n) | BigInt(words[last * 4 + 3] ?? 0),
      shown,
    );
  }
});

test('hashes of prompts that begin alike are those of prompts hashed whole', () => {
  const chains = createVllmChains(5000);
  const random = seededRandom(4);
  let tokens = [1, 2, 3];
  for (let at = 0; at < 200; at += 1) {
    if (random() < 0.3) tokens = tokens.slice(0, Math.floor(random() * tokens.length));
    for (let more = random() * 90; more > 0; more -= 1) tokens.push(Math.floor(random() * 80_000));
    if (tokens.length > 1500) tokens.length = 700;
    const options = {
      blockTokens: random() < 0.5 ? 16 : 32,
      seed: random() < 0.5 ? null : '0',
      salt: random() < 0.5 ? null : 'a',
    };
    const ids = Uint32Array.from(tokens);
    const extra = (block: number) =>
      block === 0 && options.salt !== null ? [['cache_salt', options.salt]] : null;
    assert.deepEqual(chains.chain(ids, options), vllmChain(ids, { ...options, extra }));
  }
});
