/** `POST /v1/compress` in its two forms, and `POST /v1/explain`. */
import { contentKinds } from '../core/span.ts';
import { SluiceError } from '../core/errors.ts';
import { methodNames } from '../core/method.ts';
import type { RequestReport } from '../core/report.ts';
import type { CompressTextInput, Gateway, PrepareInput, Wishes } from '../gateway/types.ts';
import {
  isObject,
  optionalBoolean,
  optionalChoice,
  optionalCount,
  optionalObject,
  optionalRate,
  optionalString,
  parseObject,
  refuseUnknown,
  snakeCase,
  wrong,
  type JsonObject,
} from './fields.ts';

/** What every own route knows of its caller. */
export interface Caller {
  readonly wishes: Wishes;
  readonly tenant: string;
  readonly signal: AbortSignal;
}

const textFields = [
  'text',
  'context',
  'question',
  'instruction',
  'rate',
  'target_tokens',
  'method',
  'kind',
  'tokenizer',
  'explain',
  'options',
] as const;

/** Both forms of `POST /v1/compress`; `messages` decides which. */
export function compressRoute(
  gateway: Gateway,
  bytes: Uint8Array,
  caller: Caller,
): Promise<unknown> {
  const body = parseObject(bytes);
  return body['messages'] === undefined
    ? compressTexts(gateway, body, caller)
    : compressMessages(gateway, body, caller);
}

async function compressTexts(gateway: Gateway, body: JsonObject, caller: Caller): Promise<unknown> {
  refuseUnknown(body, textFields, 'the text form of /v1/compress');
  const result = await gateway.compressText(textInput(body, caller));
  const { text, context, report } = result;
  const tokenizer = optionalString(body, 'tokenizer');
  const notes =
    tokenizer === undefined || tokenizer === report.tokenizer
      ? report.notes
      : [...report.notes, 'tokenizer-not-loaded'];
  return { text, context, report: snakeCase({ ...report, notes }) };
}

function textInput(body: JsonObject, caller: Caller): CompressTextInput {
  const { wishes, tenant, signal } = caller;
  const rate = optionalRate(body, 'rate') ?? wishes.rate;
  const targetTokens = optionalCount(body, 'target_tokens') ?? wishes.targetTokens;
  const method = optionalChoice(body, 'method', methodNames) ?? wishes.method;
  const kind = optionalChoice(body, 'kind', contentKinds);
  const question = optionalString(body, 'question');
  const instruction = optionalString(body, 'instruction');
  const explain = optionalBoolean(body, 'explain');
  const options = optionalObject(body, 'options');
  return {
    context: textsOf(body),
    tenant,
    signal,
    route: 'compress',
    ...(rate === undefined ? {} : { rate }),
    ...(targetTokens === undefined ? {} : { targetTokens }),
    ...(method === undefined ? {} : { method }),
    ...(kind === undefined ? {} : { kind }),
    ...(question === undefined ? {} : { question }),
    ...(instruction === undefined ? {} : { instruction }),
    ...(explain === undefined ? {} : { explain }),
    ...(options === undefined ? {} : { options }),
  };
}

function textsOf(body: JsonObject): string[] {
  const { text, context } = body;
  if (text !== undefined && context !== undefined) {
    throw new SluiceError('REQUEST_INVALID', "Fields 'text' and 'context' exclude each other");
  }
  if (context === undefined) {
    if (typeof text === 'string') return [text];
    throw wrong('text', 'a string', text);
  }
  if (!Array.isArray(context) || context.length === 0) {
    throw wrong('context', 'an array of strings', context);
  }
  return context.map((item: unknown, at) => {
    if (typeof item === 'string') return item;
    throw wrong(`context/${at}`, 'a string', item);
  });
}

const messageFields = ['messages', 'model', 'config', 'rate', 'target_tokens', 'method'] as const;
/** Keys of `config` that mean something here; others are named in `report.ignored_config`. */
const configFields = ['target_ratio', 'session_id'] as const;

/** The contract that guardrail callers already speak, plus `report`. */
async function compressMessages(
  gateway: Gateway,
  body: JsonObject,
  caller: Caller,
): Promise<unknown> {
  refuseUnknown(body, messageFields, 'the messages form of /v1/compress');
  if (!Array.isArray(body['messages'])) throw wrong('messages', 'an array', body['messages']);
  const model = optionalString(body, 'model');
  const config = optionalObject(body, 'config') ?? {};
  const request = { ...(model === undefined ? {} : { model }), messages: body['messages'] };
  const { prepared, id } = await prepareBody(gateway, {
    path: '/v1/chat/completions',
    contentEncoding: null,
    body: Buffer.from(JSON.stringify(request)),
    wishes: messageWishes(body, config, caller.wishes),
    tenant: caller.tenant,
    signal: caller.signal,
    route: 'compress',
  });
  const report = await gateway.countedReport(id, caller.tenant);
  const before = report?.tokensBefore ?? 0;
  const after = report?.tokensAfter ?? 0;
  const ignored = Object.keys(config).filter((key) => !configFields.some((name) => name === key));
  return {
    messages: parseObject(prepared)['messages'],
    tokens_before: before,
    tokens_after: after,
    tokens_saved: before - after,
    compression_ratio: before === 0 ? 1 : after / before,
    transforms_applied: unique(report?.spans.map((span) => span.method) ?? []),
    ccr_hashes: unique(report?.spans.map((span) => span.original) ?? []),
    report: isObject(report) ? { ...reportBody(report), ignored_config: ignored } : null,
  };
}

function messageWishes(body: JsonObject, config: JsonObject, header: Wishes): Wishes {
  const rate = optionalRate(body, 'rate') ?? optionalRate(config, 'target_ratio');
  const targetTokens = optionalCount(body, 'target_tokens');
  const method = optionalChoice(body, 'method', methodNames);
  const session = optionalString(config, 'session_id');
  return {
    ...header,
    ...(rate === undefined ? {} : { rate }),
    ...(targetTokens === undefined ? {} : { targetTokens }),
    ...(method === undefined ? {} : { method }),
    ...(session === undefined ? {} : { session }),
  };
}

/** Runs a body through the gateway without sending it anywhere. */
export async function prepareBody(
  gateway: Gateway,
  input: PrepareInput,
): Promise<{
  readonly prepared: Uint8Array;
  readonly id: string;
  readonly responseHeaders: readonly string[];
}> {
  const { id, body, responseHeaders } = await gateway.prepare(input);
  gateway.settle(id, { status: 200, usage: null, error: null });
  return { prepared: body, id, responseHeaders };
}

/** `POST /v1/explain`: the body of a dialect request in, what would happen to each span out. */
export async function explainRoute(
  gateway: Gateway,
  body: Uint8Array,
  caller: Caller,
): Promise<unknown> {
  const path = dialectPath(parseObject(body));
  const { wishes, tenant, signal } = caller;
  const input = { path, contentEncoding: null, body, wishes, tenant, signal };
  return snakeCase(await gateway.explain(input));
}

/** Which dialect route a body is meant for, told from its fields. */
export function dialectPath(body: JsonObject): string {
  if (body['messages'] !== undefined) return '/v1/chat/completions';
  if (body['prompt'] !== undefined) return '/v1/completions';
  throw new SluiceError('REQUEST_INVALID', "The body has neither 'messages' nor 'prompt'");
}

export function reportBody(report: RequestReport): JsonObject {
  const body = snakeCase(report);
  return isObject(body) ? body : {};
}

function unique(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))];
}
