/**
 * vLLM's own block hashes, recomputed: SHA-256 over canonical CBOR (RFC 8949 section 4.2.1) of
 * [parent digest, [token ids], extra keys | null], the algorithm `sha256_cbor` of `--prefix-caching-hash-algo`.
 * With them the engine's events name the same blocks as our chains, also for a subscriber who came late.
 */
import { createHash, hash } from 'node:crypto';
import { SluiceError } from '../core/errors.ts';
import type { Chain } from './chain.ts';

/** One extra key of a block, tagged as the engine hashes it: ['cache_salt', salt], ['lora', name, path], ['mm', id, offset]. */
export type ExtraKey = readonly (string | number)[];

export interface VllmChainOptions {
  readonly blockTokens: number;
  /** Value of PYTHONHASHSEED of the server; null = unset, where sha256_cbor has a fixed default. */
  readonly seed: string | null;
  /** Extra keys of block i, or null. A cache salt belongs to block 0 only, a LoRA adapter to every block. */
  readonly extra?: (block: number) => readonly ExtraKey[] | null;
  /** Digests of the first blocks, of an earlier prompt that begins with the same tokens and extra keys. */
  readonly known?: Uint8Array;
}

const defaultSeed = 'vllm-none-hash';
const digestBytes = 32;

/** Digests of all full blocks, 32 bytes each, in one array. */
export function vllmBlockHashes(tokens: Uint32Array, options: VllmChainOptions): Uint8Array {
  const { blockTokens } = options;
  const blocks = Math.floor(tokens.length / blockTokens);
  const digests = new Uint8Array(blocks * digestBytes);
  // [parent: 1 + 2 + 32 bytes][ids: at most 5 + 5 each][no extra keys: 1]; extra keys are appended apart.
  const buffer = Buffer.alloc(64 + blockTokens * 5);
  const known = options.known?.subarray(0, digests.length) ?? new Uint8Array(0);
  digests.set(known);
  let parent = known.length === 0 ? rootDigest(options.seed) : known.subarray(-digestBytes);
  for (let block = known.length / digestBytes; block < blocks; block += 1) {
    let at = writeHead(buffer, 0, { major: 4, value: 3 });
    at = writeHead(buffer, at, { major: 2, value: digestBytes });
    buffer.set(parent, at);
    at = writeHead(buffer, at + digestBytes, { major: 4, value: blockTokens });
    at = writeTokens(buffer, at, tokens.subarray(block * blockTokens, (block + 1) * blockTokens));
    const extra = options.extra?.(block) ?? null;
    // Almost every block: no extra keys, null in CBOR.
    buffer[at] = 0xf6;
    const bytes =
      extra === null
        ? buffer.subarray(0, at + 1)
        : Buffer.concat([buffer.subarray(0, at), encodeExtra(extra)]);
    parent = hash('sha256', bytes, 'buffer');
    digests.set(parent, block * digestBytes);
  }
  return digests;
}

/**
 * The prompt as a chain whose names are the last 16 bytes of the engine's digests; the last two words of a name are
 * the 64-bit integer that events show. For an index keyed by the engine's hashes.
 */
export function vllmChain(tokens: Uint32Array, options: VllmChainOptions): Chain {
  return chainOfDigests(tokens, options.blockTokens, vllmBlockHashes(tokens, options));
}

/** Digests of `vllmBlockHashes` as a chain (see `vllmChain`). */
export function chainOfDigests(
  tokens: Uint32Array,
  blockTokens: number,
  digests: Uint8Array,
): Chain {
  const view = new DataView(digests.buffer, digests.byteOffset, digests.length);
  const blocks = digests.length / digestBytes;
  const words = new Uint32Array(blocks * 4);
  for (let block = 0; block < blocks; block += 1) {
    for (let word = 0; word < 4; word += 1) {
      words[block * 4 + word] = view.getUint32(block * digestBytes + 16 + word * 4);
    }
  }
  return { blockTokens, tokens: tokens.length, words, exact: true };
}

/** The 64-bit integer that an event shows for a digest: its last 8 bytes, big-endian. */
export function eventHash(digest: Uint8Array): bigint {
  return Buffer.from(digest).readBigUInt64BE(digest.length - 8);
}

function rootDigest(seed: string | null): Uint8Array<ArrayBufferLike> {
  return createHash('sha256')
    .update(encodeText(seed ?? defaultSeed))
    .digest();
}

interface Head {
  /** CBOR major type: 0 unsigned, 1 negative, 2 bytes, 3 text, 4 array. */
  readonly major: 0 | 1 | 2 | 3 | 4;
  readonly value: number;
}

/** Token ids as CBOR integers; written out, since this runs for every token of every prompt. */
function writeTokens(buffer: Buffer, from: number, tokens: Uint32Array): number {
  let at = from;
  for (const id of tokens) {
    if (id < 24) buffer[at] = id;
    else if (id < 0x100) {
      buffer[at] = 24;
      buffer[(at += 1)] = id;
    } else if (id < 0x10000) {
      buffer[at] = 25;
      buffer[(at += 1)] = id >>> 8;
      buffer[(at += 1)] = id & 0xff;
    } else {
      buffer[at] = 26;
      buffer.writeUInt32BE(id, at + 1);
      at += 4;
    }
    at += 1;
  }
  return at;
}

/** Shortest form of a CBOR head; values up to 2^32 - 1 are all that a block holds. */
function writeHead(buffer: Buffer, at: number, { major, value }: Head): number {
  const type = major << 5;
  if (value < 24) return buffer.writeUInt8(type | value, at);
  if (value < 0x100) return buffer.writeUInt8(value, buffer.writeUInt8(type | 24, at));
  if (value < 0x10000) return buffer.writeUInt16BE(value, buffer.writeUInt8(type | 25, at));
  if (value < 0x100000000) return buffer.writeUInt32BE(value, buffer.writeUInt8(type | 26, at));
  throw new SluiceError('INTERNAL', `CBOR value ${value} is above 32 bits`);
}

function headBytes(head: Head): Buffer {
  const buffer = Buffer.alloc(5);
  return buffer.subarray(0, writeHead(buffer, 0, head));
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([headBytes({ major: 3, value: bytes.length }), bytes]);
}

function encodeExtra(extra: readonly ExtraKey[] | null): Buffer {
  if (extra === null || extra.length === 0) return Buffer.from([0xf6]);
  const parts = [headBytes({ major: 4, value: extra.length })];
  for (const key of extra) {
    parts.push(headBytes({ major: 4, value: key.length }));
    for (const value of key) parts.push(encodeKeyPart(value));
  }
  return Buffer.concat(parts);
}

function encodeKeyPart(value: string | number): Buffer {
  if (typeof value === 'string') return encodeText(value);
  return headBytes(value < 0 ? { major: 1, value: -1 - value } : { major: 0, value });
}
