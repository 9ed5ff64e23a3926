/** `POST /v1/plan`: a conversation in, what it would cost through Sluice out, turn by turn. */
import { backendKinds, type BackendKind } from '../core/backend-kind.ts';
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

const optionFields = ['backend', 'prefill_rate', 'block_size'] as const;
/** What is read of a chat request; a whole one, with whatever else its dialect knows, goes into `requests`. */
const chatFields = ['messages', 'model', 'max_tokens', 'max_completion_tokens', 'sluice'] as const;

/** Both forms of `POST /v1/plan`; `requests` decides which. */
export async function planRoute(
  plan: PlanCall,
  bytes: Uint8Array,
  caller: Caller,
): Promise<unknown> {
  const body = parseObject(bytes);
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
