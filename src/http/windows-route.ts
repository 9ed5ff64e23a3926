/** `POST /v1/windows`: a text of any length and a question in, an answer out, and how it came about. */
import { SluiceError } from '../core/errors.ts';
import type { RequestReport } from '../core/report.ts';
import { windowStrategies } from '../core/window-words.ts';
import { askBackend, AnsweredStatus } from '../gateway/windows/calls.ts';
import { readAnswer } from '../gateway/windows/answers.ts';
import { TooLong } from '../core/too-long.ts';
import type { Gateway, Prepared } from '../gateway/types.ts';
import type { Caller } from './compress-route.ts';
import {
  optionalChoice,
  optionalCount,
  optionalString,
  parseObject,
  refuseUnknown,
  snakeCase,
  wrong,
  type JsonObject,
} from './fields.ts';

const known = [
  'text',
  'context',
  'question',
  'instruction',
  'model',
  'api',
  'strategy',
  'windows',
  'max_tokens',
] as const;
const apis = ['chat', 'completions'] as const;
const mostWindows = 1000;
const usualMaxTokens = 256;

export interface WindowsCaller extends Caller {
  /** End-to-end headers of the request, for the upstream. */
  readonly forwarded: readonly string[];
}

/** @throws SluiceError */
export async function windowsRoute(
  gateway: Gateway,
  bytes: Uint8Array,
  caller: WindowsCaller,
): Promise<unknown> {
  const fields = parseObject(bytes);
  refuseUnknown(fields, known, '/v1/windows');
  const strategy = optionalChoice(fields, 'strategy', windowStrategies);
  const windows = optionalCount(fields, 'windows');
  if (windows !== undefined && windows > mostWindows) {
    throw wrong('windows', `a number up to ${mostWindows}`, windows);
  }
  const { path, body } = requestOf(fields);
  const prepared = await gateway.prepare({
    path,
    contentEncoding: null,
    body,
    wishes: {
      ...caller.wishes,
      windows: windows ?? caller.wishes.windows ?? 'auto',
      ...(strategy === undefined ? {} : { windowStrategy: strategy }),
    },
    tenant: caller.tenant,
    signal: caller.signal,
    forwards: true,
  });
  const { text } = await answerOf(gateway, prepared, { caller, path });
  const told = gateway.report(prepared.id, caller.tenant);
  return snakeCase({
    answer: text,
    requestId: prepared.id,
    model: optionalString(fields, 'model') ?? null,
    ...factsOf(told),
  });
}

function factsOf(report: RequestReport | null): Readonly<Record<string, unknown>> {
  if (report === null) {
    const unknown = { usage: null, tokensBefore: null, tokensAfter: null };
    return { ...unknown, skipped: {}, windows: null };
  }
  const { usage, tokensBefore, tokensAfter, skipped, windows } = report;
  return { usage, tokensBefore, tokensAfter, skipped, windows };
}

/** The dialect request that a call stands for. */
function requestOf(fields: JsonObject): { readonly path: string; readonly body: Uint8Array } {
  const texts = textsOf(fields);
  const question = optionalString(fields, 'question');
  if (question === undefined || question.trim() === '') throw wrong('question', 'a text', question);
  const instruction = optionalString(fields, 'instruction');
  const model = optionalString(fields, 'model');
  const common = {
    ...(model === undefined ? {} : { model }),
    max_tokens: optionalCount(fields, 'max_tokens') ?? usualMaxTokens,
    stream: false,
  };
  if (optionalChoice(fields, 'api', apis) === 'completions') {
    const documents = texts.map((text, at) => `Document [${at + 1}] ${text}`);
    const parts = [instruction ?? [], documents, `Question: ${question}\nAnswer:`].flat();
    return { path: '/v1/completions', body: encoded({ ...common, prompt: parts.join('\n\n') }) };
  }
  const documents = texts.map((text) => `<document>\n${text}\n</document>`).join('\n');
  const messages = [
    ...(instruction === undefined ? [] : [{ role: 'system', content: instruction }]),
    { role: 'user', content: `${documents}\n\n${question}` },
  ];
  return { path: '/v1/chat/completions', body: encoded({ ...common, messages }) };
}

function textsOf(fields: JsonObject): readonly string[] {
  const text = optionalString(fields, 'text');
  const { context } = fields;
  if ((text === undefined) === (context === undefined)) {
    throw new SluiceError('REQUEST_INVALID', "Exactly one of 'text' and 'context' is needed");
  }
  const list: unknown = context ?? [text];
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
    throw wrong('context', 'a list of texts', context);
  }
  const texts = list.filter((item): item is string => typeof item === 'string');
  if (texts.every((item) => item.trim() === '')) {
    throw new SluiceError('REQUEST_INVALID', 'There is no text to read');
  }
  return texts;
}

function encoded(body: JsonObject): Uint8Array {
  return Buffer.from(JSON.stringify(body));
}

/** Fields that describe the body of our own route, not the one that is forwarded. */
const ownFields: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'accept-encoding',
  'accept',
]);

async function answerOf(
  gateway: Gateway,
  prepared: Prepared,
  { caller, path }: { readonly caller: WindowsCaller; readonly path: string },
): Promise<{ readonly text: string }> {
  const { forwarded } = caller;
  const headers = ['content-type', 'application/json', 'accept-encoding', 'identity'];
  for (let at = 0; at + 1 < forwarded.length; at += 2) {
    const name = forwarded[at] ?? '';
    if (!ownFields.has(name.toLowerCase())) headers.push(name, forwarded[at + 1] ?? '');
  }
  const { body } = prepared;
  headers.push('content-length', String(body.byteLength));
  try {
    const request = { method: 'POST', path, headers, body };
    const bytes = await askBackend(prepared.backend, request, caller.signal);
    const answer = readAnswer(bytes);
    if (answer === null) throw new AnsweredStatus(200);
    const { promptTokens, completionTokens, cachedTokens } = answer;
    const usage = { promptTokens, completionTokens, cachedTokens };
    gateway.settle(prepared.id, { status: 200, usage, error: null });
    return answer;
  } catch (error) {
    const failure = failureOf(error, gateway.report(prepared.id, caller.tenant)?.skipped ?? {});
    gateway.settle(prepared.id, { status: null, usage: null, error: failure.code });
    throw failure;
  }
}

/** What the caller is told: the upstream's own words stay with it. */
function failureOf(error: unknown, skipped: Readonly<Record<string, number>>): SluiceError {
  if (SluiceError.isInstance(error)) return error;
  const status = error instanceof AnsweredStatus ? error.status : null;
  if (skipped['windows-unfit'] !== undefined && (status === null || status >= 400)) {
    const message =
      'The text does not fit the model, and beside the instruction and the question a window has too little room for it';
    return new SluiceError('WINDOW_TOO_SMALL', message, { cause: error });
  }
  const what = status === 200 ? 'something that is no completion' : `status ${status ?? 400}`;
  const tooLong = error instanceof TooLong ? ': the prompt is too long' : '';
  return new SluiceError('UPSTREAM_REJECTED', `The upstream answered ${what}${tooLong}`, {
    cause: error,
  });
}
