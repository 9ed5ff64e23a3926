/** Contracts that other products' callers already speak: `/compact` and `/llm/v1/compressPrompt`. */
import { SluiceError } from '../core/errors.ts';
import type { CompressTextInput, Gateway, PrepareInput } from '../gateway/types.ts';
import { dialectPath, prepareBody, type Caller } from './compress-route.ts';
import {
  isObject,
  optionalChoice,
  optionalString,
  parseObject,
  wrong,
  type JsonObject,
} from './fields.ts';

/** `POST /compact`: an inference body in, a body of the same shape out; the caller keeps its own on any error. */
export async function compactRoute(
  gateway: Gateway,
  body: Uint8Array,
  caller: Caller,
): Promise<{ readonly body: Uint8Array; readonly responseHeaders: readonly string[] }> {
  const path = dialectPath(parseObject(body));
  const { wishes, tenant, signal } = caller;
  const input: PrepareInput = {
    path,
    contentEncoding: null,
    body,
    wishes,
    tenant,
    signal,
    route: 'compact',
  };
  const { prepared, responseHeaders } = await prepareBody(gateway, input);
  return { body: prepared, responseHeaders };
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly value: number;
}

type CompressType = 'rate' | 'target_token';

/**
 * `POST /llm/v1/compressPrompt`: texts with ids, compressed by a rate or to a number of tokens that depends on their
 * length. Where `<LLMLINGUA>` tags stand, only what is between them is compressed. Polite phrases are not stripped.
 */
export async function compressPromptRoute(
  gateway: Gateway,
  bytes: Uint8Array,
  caller: Caller,
): Promise<unknown> {
  const started = performance.now();
  const body = parseObject(bytes);
  const type = optionalChoice(body, 'compressor_type', ['rate', 'target_token'] as const) ?? 'rate';
  const ranges = rangesOf(body, type);
  optionalString(body, 'model_name');
  const text = [];
  for (const { id, content } of messagesOf(body)) {
    text.push(await compressOne({ gateway, caller, type, ranges }, id, content));
  }
  return { text, duration: Math.round(performance.now() - started) };
}

interface Job {
  readonly gateway: Gateway;
  readonly caller: Caller;
  readonly type: CompressType;
  readonly ranges: readonly Range[];
}

async function compressOne(job: Job, id: number, content: string): Promise<unknown> {
  const pieces = taggedPieces(content);
  const context = pieces.filter((piece) => piece.compress).map((piece) => piece.text);
  const { gateway, caller, type, ranges } = job;
  const { tenant, signal } = caller;
  const call: CompressTextInput = { context, tenant, signal, route: 'compress-prompt' };
  const { counts } = await gateway.countTexts(context);
  const count = counts.reduce((sum, tokens) => sum + tokens, 0);
  const range = ranges.find(({ min, max }) => count >= min && count <= max);
  if (range === undefined || (type === 'target_token' && count <= range.value)) {
    // Nothing to shorten; the call is noted all the same.
    await gateway.countTexts(context, { tenant, route: 'compress-prompt' });
    return answer(id, join(pieces, context), {
      original_token_count: count,
      compress_token_count: count,
      save_token_count: 0,
      information:
        'No compression was applied because the token count falls outside the given ranges.',
    });
  }
  const budget = type === 'rate' ? { rate: range.value } : { targetTokens: range.value };
  const { report, context: shorter } = await gateway.compressText({ ...call, ...budget });
  const saved = report.tokensBefore - report.tokensAfter;
  const methods = report.segments.map(({ method }) => method).filter((name) => name !== null);
  return answer(id, join(pieces, shorter), {
    original_token_count: report.tokensBefore,
    compress_token_count: report.tokensAfter,
    save_token_count: saved,
    compress_value: range.value,
    compress_type: type,
    compressor_model: [...new Set(methods)].join(', '),
    information:
      saved > 0
        ? `Compression was performed and saved ${saved} tokens`
        : `No token was saved: ${report.segments.map(({ skipped }) => skipped ?? 'kept').join(', ')}`,
  });
}

function answer(id: number, prompt: string, results: JsonObject): unknown {
  return { compress_prompt: prompt, compressor_results: { msg_id: id, ...results }, msg_id: id };
}

interface Piece {
  readonly text: string;
  readonly compress: boolean;
}

/** The content's pieces in order; without a complete pair of tags all of it is one piece to compress. */
function taggedPieces(content: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of content.matchAll(/<LLMLINGUA>([\s\S]*?)<\/LLMLINGUA>/g)) {
    if (match.index > end) pieces.push({ text: content.slice(end, match.index), compress: false });
    pieces.push({ text: match[1] ?? '', compress: true });
    end = match.index + match[0].length;
  }
  if (pieces.length === 0) return [{ text: content, compress: true }];
  if (end < content.length) pieces.push({ text: content.slice(end), compress: false });
  return pieces;
}

function join(pieces: readonly Piece[], compressed: readonly string[]): string {
  let next = 0;
  return pieces
    .map((piece) => (piece.compress ? (compressed[next++] ?? piece.text) : piece.text))
    .join('');
}

function messagesOf(body: JsonObject): { readonly id: number; readonly content: string }[] {
  const { text } = body;
  if (typeof text === 'string') return [{ id: 1, content: text }];
  if (!Array.isArray(text) || text.length === 0) {
    throw wrong('text', 'a string or an array of {msg_id, text}', text);
  }
  return text.map((item: unknown, at) => {
    if (!isObject(item)) throw wrong(`text/${at}`, 'an object', item);
    const { msg_id: id, text: content } = item;
    if (typeof id !== 'number') throw wrong(`text/${at}/msg_id`, 'a number', id);
    if (typeof content !== 'string') throw wrong(`text/${at}/text`, 'a string', content);
    return { id, content };
  });
}

function rangesOf(body: JsonObject, type: CompressType): Range[] {
  const ranges = body['compression_ranges'];
  if (!Array.isArray(ranges) || ranges.length === 0) {
    throw wrong('compression_ranges', 'an array of {min_tokens, max_tokens, value}', ranges);
  }
  return ranges.map((item: unknown, at) => {
    const where = `compression_ranges/${at}`;
    if (!isObject(item)) throw wrong(where, 'an object', item);
    const { min_tokens: min, max_tokens: max, value } = item;
    if (typeof min !== 'number' || typeof max !== 'number' || typeof value !== 'number') {
      throw new SluiceError('REQUEST_INVALID', `Field '${where}' lacks a number`);
    }
    if (value <= 0 || (type === 'rate' && value > 1)) {
      throw wrong(`${where}/value`, type === 'rate' ? 'a rate up to 1' : 'positive', value);
    }
    return { min, max, value: type === 'rate' ? value : Math.floor(value) };
  });
}
