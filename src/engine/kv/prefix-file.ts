/**
 * A prefix as bytes: magic, length of the header, header (JSON), token ids, then keys and values of every kept page.
 * The header names everything that the KV depends on, and a digest of it all; numbers are little-endian.
 */
import { createHash } from 'node:crypto';
import { SluiceError } from '../../core/errors.ts';
import { blockTokens } from './blocks.ts';
import type { Block, KvLayout } from './blocks.ts';

const magic = 'sluice kv 1\n';

/** What KV belongs to. */
export interface PrefixOwner {
  /** Names the weights. */
  readonly fingerprint: string;
  /** Name of the scheme with its parameters. */
  readonly scheme: string;
  readonly layout: KvLayout;
}

export interface SavedPrefix {
  readonly ids: Uint32Array;
  /** Regime that the KV was computed under. */
  readonly regime: number;
  readonly dropped: number;
  /** One per `blockTokens` tokens; null where dropped. */
  readonly pages: readonly (SavedPage | null)[];
}

/** Row-major rows x tokens of the page x headDim. */
export interface SavedPage {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

interface Header extends PrefixOwner {
  readonly regime: number;
  readonly dropped: number;
  readonly tokens: number;
  /** Indices of the kept pages. */
  readonly pages: readonly number[];
  readonly sha256: string;
}

export function encodePrefix(
  owner: PrefixOwner,
  prefix: {
    readonly ids: Uint32Array;
    readonly regime: number;
    readonly dropped: number;
    readonly blocks: readonly (Block | null)[];
  },
): Uint8Array {
  const kept = prefix.blocks.flatMap((block, index) => (block === null ? [] : [{ block, index }]));
  const parts = [bytesOf(prefix.ids)];
  for (const { block } of kept) {
    for (const numbers of [block.keys, block.values]) {
      parts.push(bytesOf(packed(numbers, block.count, owner.layout)));
    }
  }
  const payload = Buffer.concat(parts);
  const header: Omit<Header, 'sha256'> = {
    ...owner,
    regime: prefix.regime,
    dropped: prefix.dropped,
    tokens: prefix.ids.length,
    pages: kept.map(({ index }) => index),
  };
  const text = Buffer.from(JSON.stringify({ ...header, sha256: digest(header, payload) }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([Buffer.from(magic), length, text, payload]);
}

/** @throws SluiceError REQUEST_INVALID when the bytes are damaged or belong to another model or scheme */
export function decodePrefix(bytes: Uint8Array, owner: PrefixOwner): SavedPrefix {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.subarray(0, magic.length).toString('latin1') !== magic) {
    throw refused('it does not begin as one');
  }
  const at = magic.length + 4;
  const end = at + (buffer.length < at ? 0 : buffer.readUInt32LE(magic.length));
  const header = readHeader(buffer.subarray(at, end));
  checkOwner(header, owner);
  const payload = buffer.subarray(end);
  const { sha256, ...rest } = header;
  if (digest(rest, payload) !== sha256) throw refused('its content does not match its digest');
  return unpack(header, payload);
}

function checkOwner(header: Header, owner: PrefixOwner): void {
  const pairs: readonly (readonly [string, string, string])[] = [
    ['model', header.fingerprint, owner.fingerprint],
    ['scheme', header.scheme, owner.scheme],
    ['layout', JSON.stringify(header.layout), JSON.stringify(owner.layout)],
  ];
  for (const [what, found, wanted] of pairs) {
    if (found !== wanted) throw refused(`its ${what} is ${found}; this engine has ${wanted}`);
  }
}

function readHeader(bytes: Uint8Array): Header {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw refused('its header cannot be read', cause);
  }
  if (isHeader(value)) return value;
  throw refused('its header lacks a field');
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== 'object' || value === null) return false;
  const types: Readonly<Record<string, string>> = {
    fingerprint: 'string',
    scheme: 'string',
    layout: 'object',
    regime: 'number',
    dropped: 'number',
    tokens: 'number',
    pages: 'object',
    sha256: 'string',
  };
  const fields = new Map<string, unknown>(Object.entries(value));
  return Object.entries(types).every(([name, type]) => typeof fields.get(name) === type);
}

function unpack(
  { layout, tokens, regime, dropped, pages: kept }: Header,
  payload: Buffer,
): SavedPrefix {
  // A copy is aligned, whatever the length of the header was.
  const words = new Uint8Array(payload).buffer;
  const pages = Array.from(
    { length: Math.ceil(tokens / blockTokens) },
    (): SavedPage | null => null,
  );
  let at = 4 * tokens;
  for (const index of kept) {
    const count = Math.min(blockTokens, tokens - index * blockTokens);
    const size = count * layout.rows * layout.headDim;
    if (!(count > 0) || at + 8 * size > words.byteLength) throw refused('it ends too early');
    pages[index] = {
      keys: new Float32Array(words, at, size),
      values: new Float32Array(words, at + 4 * size, size),
    };
    at += 8 * size;
  }
  return { ids: new Uint32Array(words, 0, tokens), regime, dropped, pages };
}

/** The first `count` tokens of every row, side by side. */
function packed(numbers: Float32Array, count: number, { rows, headDim }: KvLayout): Float32Array {
  const result = new Float32Array(rows * count * headDim);
  for (let row = 0; row < rows; row += 1) {
    const from = row * blockTokens * headDim;
    result.set(numbers.subarray(from, from + count * headDim), row * count * headDim);
  }
  return result;
}

/** Inverse of `encodePrefix`'s packing: writes a saved page into an empty one. */
export function fillBlock(
  block: Block,
  { keys, values }: SavedPage,
  { ids, layout }: { readonly ids: Uint32Array; readonly layout: KvLayout },
): void {
  const size = ids.length * layout.headDim;
  for (let row = 0; row < layout.rows; row += 1) {
    const to = row * blockTokens * layout.headDim;
    block.keys.set(keys.subarray(row * size, (row + 1) * size), to);
    block.values.set(values.subarray(row * size, (row + 1) * size), to);
  }
  block.ids.set(ids);
  block.count = ids.length;
}

function bytesOf(array: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function digest(header: Omit<Header, 'sha256'>, payload: Uint8Array): string {
  return createHash('sha256').update(JSON.stringify(header)).update(payload).digest('hex');
}

function refused(why: string, cause?: unknown): SluiceError {
  return new SluiceError('REQUEST_INVALID', `Not a usable KV prefix: ${why}`, { cause });
}
