/** Block chains: one 128-bit name per full block of a prompt, which stands for everything up to its end. */
import { createCipheriv, createHash } from 'node:crypto';
import { SluiceError } from '../core/errors.ts';

/** A prompt as a cache sees it. */
export interface Chain {
  readonly blockTokens: number;
  /** Tokens of the whole prompt; the last block may be incomplete and then has no name. */
  readonly tokens: number;
  /** Four words a block: `words[4 * i .. 4 * i + 3]` is the name of block i. */
  readonly words: Uint32Array;
  /** False when the chain runs over bytes and token counts are estimates. */
  readonly exact: boolean;
}

export interface ChainOptions {
  readonly domain: Uint8Array;
  readonly blockTokens: number;
  /** What else block i depends on (media digests, ...), or null. */
  readonly extra?: (block: number) => string | null;
  /** Chain of a prompt whose tokens this one starts with: its full blocks are not hashed again. */
  readonly previous?: Chain | null;
}

const wordsPerBlock = 4;
const bytesPerName = 16;
const chainKey = createHash('sha256').update('sluice block chain 1').digest().subarray(0, 16);

/**
 * Chain over token ids (unsigned 32-bit). The name of a block is the last cipher block of AES-128-CBC over the domain
 * and all token bytes so far (a CBC-MAC, ISO/IEC 9797-1 algorithm 1, under a fixed key): one native call for the whole
 * prompt, a tenth of the time of one SHA-256 call a block. Names are predictions about a cache, never proof of
 * content: who knows a whole domain, its salt included, could construct two prompts with one name, and would mislead
 * the forecast of their own hits.
 */
export function chainOf(tokens: Uint32Array, options: ChainOptions): Chain {
  const { blockTokens, domain } = options;
  const blocks = Math.floor(tokens.length / blockTokens);
  const words = new Uint32Array(blocks * wordsPerBlock);
  const known = knownBlocks(options.previous ?? null, blockTokens, blocks);
  if (options.previous && known > 0) {
    words.set(options.previous.words.subarray(0, known * wordsPerBlock));
  }
  const parent = known === 0 ? null : words.subarray((known - 1) * wordsPerBlock);
  const extra = options.extra;
  const more = namesAfter(parent, tokens.subarray(known * blockTokens), {
    domain,
    blockTokens,
    ...(extra === undefined ? {} : { extra: (block: number) => extra(known + block) }),
  });
  words.set(more, known * wordsPerBlock);
  return { blockTokens, tokens: tokens.length, words, exact: true };
}

/**
 * Names of the full blocks of `tokens` that follow the block named `parent` (its first four words), which stands for
 * its domain too; null = they are the first ones. `extra` counts blocks from the first of `tokens`.
 */
export function namesAfter(
  parent: Uint32Array | null,
  tokens: Uint32Array,
  options: Omit<ChainOptions, 'previous'>,
): Uint32Array {
  const { blockTokens, domain } = options;
  checkDomain(domain, blockTokens);
  const words = new Uint32Array(Math.floor(tokens.length / blockTokens) * wordsPerBlock);
  const bytes = new Uint8Array(words.buffer);
  const stride = Math.ceil((blockTokens * 4) / bytesPerName) * bytesPerName;
  const iv = new Uint8Array(bytesPerName);
  if (parent !== null) new Uint32Array(iv.buffer).set(parent.subarray(0, wordsPerBlock));
  const cipher = createCipheriv('aes-128-cbc', chainKey, iv).setAutoPadding(false);
  if (parent === null) cipher.update(domain);
  const source = paddedBytes(tokens, blockTokens, stride);
  let at = 0;
  for (const part of withExtras(source, stride, options.extra)) {
    const encrypted = cipher.update(part.bytes);
    for (let block = 0; block < part.blocks; block += 1, at += 1) {
      const end = (block + 1) * part.stride;
      bytes.set(encrypted.subarray(end - bytesPerName, end), at * bytesPerName);
    }
  }
  return words;
}

/**
 * Chain over the UTF-8 bytes of a prompt where no tokenizer is known: chunks of `chunkBytes` count as
 * `chunkBytes / bytesPerToken` tokens. Hits found this way are estimates.
 */
export function chainOfBytes(
  bytes: Uint8Array,
  options: {
    readonly domain: Uint8Array;
    readonly chunkBytes: number;
    readonly bytesPerToken: number;
  },
): Chain {
  const { chunkBytes, bytesPerToken } = options;
  if (chunkBytes % bytesPerName !== 0) {
    throw new SluiceError('INTERNAL', `Chunks of ${chunkBytes} bytes are no multiple of 16`);
  }
  const length = Math.ceil(bytes.length / 4) * 4;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  // Whole chunks only are named, so the zero padding of the last words is never part of a name.
  const whole = new Uint32Array(padded.buffer).subarray(
    0,
    Math.floor(bytes.length / chunkBytes) * (chunkBytes / 4),
  );
  const { words } = chainOf(whole, { domain: options.domain, blockTokens: chunkBytes / 4 });
  return {
    blockTokens: chunkBytes / bytesPerToken,
    tokens: Math.round(bytes.length / bytesPerToken),
    words,
    exact: false,
  };
}

/** The same prompt in blocks of a multiple of the chain's block size. Needs block sizes divisible by 4. */
export function coarserChain(chain: Chain, blockTokens: number): Chain {
  const ratio = blockTokens / chain.blockTokens;
  if (!Number.isInteger(ratio) || chain.blockTokens % 4 !== 0) {
    throw new SluiceError(
      'INTERNAL',
      `Blocks of ${blockTokens} tokens do not follow from blocks of ${chain.blockTokens}`,
    );
  }
  const blocks = Math.floor(blocksOf(chain) / ratio);
  const words = new Uint32Array(blocks * wordsPerBlock);
  for (let block = 0; block < blocks; block += 1) {
    const from = ((block + 1) * ratio - 1) * wordsPerBlock;
    words.set(chain.words.subarray(from, from + wordsPerBlock), block * wordsPerBlock);
  }
  return { ...chain, blockTokens, words };
}

/** Number of named (full) blocks. */
export function blocksOf(chain: Chain): number {
  return chain.words.length / wordsPerBlock;
}

/** Name of a block as 32 hex digits, for reports and tests. */
export function blockName(chain: Chain, block: number): string {
  const from = block * wordsPerBlock;
  return [...chain.words.subarray(from, from + wordsPerBlock)]
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('');
}

/** Length in blocks of what two chains of one domain have in common. */
export function sharedBlocks(a: Chain, b: Chain): number {
  const limit = Math.min(a.words.length, b.words.length);
  let at = 0;
  while (at < limit && a.words[at] === b.words[at]) at += 1;
  return Math.floor(at / wordsPerBlock);
}

function checkDomain(domain: Uint8Array, blockTokens: number): void {
  if (domain.length !== bytesPerName) {
    throw new SluiceError('INTERNAL', `A domain has 16 bytes, found ${domain.length}`);
  }
  if (!Number.isInteger(blockTokens) || blockTokens < 1) {
    throw new SluiceError('INTERNAL', `A block of ${blockTokens} tokens cannot be hashed`);
  }
}

function knownBlocks(previous: Chain | null, blockTokens: number, blocks: number): number {
  if (previous === null || previous.blockTokens !== blockTokens) return 0;
  return Math.min(blocks, blocksOf(previous));
}

/** Bytes of the full blocks, each filled up with zeros to whole cipher blocks. */
function paddedBytes(tokens: Uint32Array, blockTokens: number, stride: number): Uint8Array {
  const blocks = Math.floor(tokens.length / blockTokens);
  const width = blockTokens * 4;
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, blocks * width);
  if (stride === width) return bytes;
  const padded = new Uint8Array(blocks * stride);
  for (let block = 0; block < blocks; block += 1) {
    padded.set(bytes.subarray(block * width, (block + 1) * width), block * stride);
  }
  return padded;
}

interface Part {
  readonly bytes: Uint8Array;
  readonly blocks: number;
  readonly stride: number;
}

/** Cuts the bytes so that a block with an extra is followed by the digest of that extra. */
function withExtras(
  source: Uint8Array,
  stride: number,
  extra: ((block: number) => string | null) | undefined,
): readonly Part[] {
  const blocks = source.length / stride;
  if (extra === undefined) return [{ bytes: source, blocks, stride }];
  const parts: Part[] = [];
  for (let block = 0; block < blocks; block += 1) {
    const value = extra(block);
    const bytes = source.subarray(block * stride, (block + 1) * stride);
    if (value === null) {
      parts.push({ bytes, blocks: 1, stride });
      continue;
    }
    const digest = createHash('sha256').update(value).digest().subarray(0, bytesPerName);
    const both = new Uint8Array(stride + bytesPerName);
    both.set(bytes);
    both.set(digest, stride);
    parts.push({ bytes: both, blocks: 1, stride: both.length });
  }
  return parts;
}
