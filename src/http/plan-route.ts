/** `POST /v1/plan`: a conversation in, what it would cost through Sluice out, turn by turn; or a model and a length. */
import {
  backendKinds,
  planServers,
  type BackendKind,
  type PlanServer,
} from '../core/backend-kind.ts';
import { SluiceError } from '../core/errors.ts';
import type { Wishes } from '../gateway/types.ts';
import type { Caller } from './compress-route.ts';
import {
  isObject,
  optionalChoice,
  optionalCount,
  parseObject,
  refuseUnknown,
  snakeCase,
  wrong,
  type JsonObject,
} from './fields.ts';

/** @param input a chat request, or the requests of a conversation in order */
export type PlanCall = (
  input: unknown,
  options: {
    readonly backend?: BackendKind;
    /** Prompt tokens a second of a server of one's own. */
    readonly prefillRate?: number;
    /** Tokens of its cache blocks. */
    readonly blockTokens?: number;
    readonly wishes: Wishes;
    readonly signal: AbortSignal;
  },
) => Promise<unknown>;

/** What it takes to extend a model, as plain data. @throws SluiceError REQUEST_INVALID, ABORTED */
export type ExtendCall = (
  input: {
    /** A model's `config.json`. */
    readonly config: unknown;
    readonly length: number;
    readonly server?: PlanServer;
  },
  signal: AbortSignal,
) => Promise<unknown>;

const optionFields = ['backend', 'prefill_rate', 'block_size'] as const;
/** What is read of a chat request; a whole one, with whatever else its dialect knows, goes into `requests`. */
const chatFields = ['messages', 'model', 'max_tokens', 'max_completion_tokens', 'sluice'] as const;

/** All forms of `POST /v1/plan`; `model_config` or `requests` decides which. */
export async function planRoute(
  { plan, extend }: { readonly plan: PlanCall; readonly extend: ExtendCall },
  bytes: Uint8Array,
  caller: Caller,
): Promise<unknown> {
  const body = parseObject(bytes);
  if (body['model_config'] !== undefined) {
    return snakeCase(await extensionOf(extend, body, caller.signal));
  }
  const input = body['requests'] === undefined ? chatOf(body) : requestsOf(body);
  const backend = optionalChoice(body, 'backend', backendKinds);
  const prefillRate = optionalCount(body, 'prefill_rate');
  const blockTokens = optionalCount(body, 'block_size');
  const { wishes, signal } = caller;
  const result = await plan(input, {
    wishes,
    signal,
    ...(backend === undefined ? {} : { backend }),
    ...(prefillRate === undefined ? {} : { prefillRate }),
    ...(blockTokens === undefined ? {} : { blockTokens }),
  });
  return snakeCase(result);
}

function extensionOf(extend: ExtendCall, body: JsonObject, signal: AbortSignal): Promise<unknown> {
  refuseUnknown(body, ['model_config', 'length', 'server'], 'the extension form of /v1/plan');
  const { model_config: config } = body;
  if (!isObject(config)) throw wrong('model_config', "a model's config.json", config);
  const length = optionalCount(body, 'length');
  if (length === undefined) throw wrong('length', 'a positive integer', length);
  const server = optionalChoice(body, 'server', planServers);
  return extend({ config, length, ...(server === undefined ? {} : { server }) }, signal);
}

function chatOf(body: JsonObject): JsonObject {
  const where = "the messages form of /v1/plan (whole chat requests go into 'requests')";
  refuseUnknown(body, [...chatFields, ...optionFields], where);
  if (!Array.isArray(body['messages'])) throw wrong('messages', 'an array', body['messages']);
  return Object.fromEntries(
    chatFields.flatMap((name) => (body[name] === undefined ? [] : [[name, body[name]]])),
  );
}

function requestsOf(body: JsonObject): readonly unknown[] {
  if (body['messages'] !== undefined) {
    const message = "Fields 'messages' and 'requests' exclude each other";
    throw new SluiceError('REQUEST_INVALID', message);
  }
  refuseUnknown(body, ['requests', ...optionFields], 'the requests form of /v1/plan');
  const { requests } = body;
  if (!Array.isArray(requests) || requests.length === 0) {
    throw wrong('requests', 'an array of chat requests', requests);
  }
  for (const [at, request] of requests.entries()) {
    const name = `requests/${at}`;
    if (!isObject(request)) throw wrong(name, 'a chat request', request);
    const { messages } = request;
    if (!Array.isArray(messages)) throw wrong(`${name}/messages`, 'an array', messages);
  }
  return requests;
}
