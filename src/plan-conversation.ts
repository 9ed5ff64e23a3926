/** What a conversation would cost through Sluice, turn by turn, against sending it as it is. Nothing is forwarded. */
import type { BackendKind } from './core/backend-kind.ts';
import { SluiceError } from './core/errors.ts';
import type { RequestReport } from './core/report.ts';
import type { AdmissionReason, Mode } from './core/reuse-words.ts';
import type { Gateway } from './gateway/types.ts';
import { moneyCosts, projectedCost, timeCosts, type CostModel } from './reuse/costs.ts';
import { priceOf, pricesAsOf } from './reuse/prices.ts';

export interface PlannedTurn {
  /** Counts from 1. */
  readonly turn: number;
  readonly mode: Mode | null;
  readonly epoch: number | null;
  readonly decision: RequestReport['decision'];
  readonly admission: AdmissionReason | null;
  /** Prompt tokens as the client sends them, and as they would be forwarded. */
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** Of those, tokens that the backend can have cached from the turn before: without and with Sluice. */
  readonly reusedBefore: number;
  readonly reusedAfter: number;
  /** In `unit` of the plan. */
  readonly costBefore: number;
  readonly costAfter: number;
}

export interface ConversationPlan {
  readonly turns: readonly PlannedTurn[];
  /** `ms` of prefill and compressing, or the price of that many plain input tokens. */
  readonly unit: CostModel['unit'];
  readonly total: { readonly before: number; readonly after: number };
  /** What the numbers rest on. */
  readonly assumptions: readonly string[];
}

export interface PlanConversationOptions {
  /** Whose counts, decisions and lineage are used; it must have seen nothing of the conversation. */
  readonly gateway: Gateway;
  /** Prices are known for `openai` and `anthropic`. */
  readonly backend: BackendKind;
  /** Prompt tokens a second of a server of one's own. */
  readonly prefillRate: number;
  /** Tokens of a cache block where there is no price table. */
  readonly blockTokens: number;
}

interface ChatRequest {
  readonly messages: readonly unknown[];
  readonly model: string | null;
  readonly body: Uint8Array;
}

/** Requests of one conversation that are planned at most. */
const maxTurns = 1000;
const path = '/v1/chat/completions';

/**
 * @param input the requests of a conversation in order, or its last one: then the ones before it are the messages up to
 * each answer of the assistant
 * @throws SluiceError REQUEST_INVALID when the input is neither
 */
export async function planConversation(
  input: unknown,
  options: PlanConversationOptions,
): Promise<ConversationPlan> {
  const requests = requestsOf(input);
  const { costs, blockTokens, assumptions } = costsOf(requests[0]?.model ?? null, options);
  const turns: PlannedTurn[] = [];
  let last: { readonly request: ChatRequest; readonly report: RequestReport } | null = null;
  for (const [at, request] of requests.entries()) {
    const report = await reportOf(options.gateway, request);
    const floor = (tokens: number): number =>
      tokens < costs.minimumTokens ? 0 : blockTokens * Math.floor(tokens / blockTokens);
    const tokensBefore = report.tokensBefore ?? 0;
    const tokensAfter = report.tokensAfter ?? 0;
    const reusedBefore = floor(last === null ? 0 : sharedTokens(last, request));
    const reusedAfter = floor(Math.min(report.plannedReuse ?? 0, tokensAfter));
    const compressing = costs.unit === 'ms' ? (report.timings.compressMs ?? 0) : 0;
    const cost = (tokens: number, cached: number): number =>
      projectedCost(costs, { tokens, cached, turns: 1, hitShare: 1 });
    turns.push({
      turn: at + 1,
      mode: report.reuse?.mode ?? null,
      epoch: report.epoch,
      decision: report.decision,
      admission: report.reuse?.admission ?? null,
      tokensBefore,
      tokensAfter,
      reusedBefore,
      reusedAfter,
      costBefore: cost(tokensBefore, reusedBefore),
      costAfter: cost(tokensAfter, reusedAfter) + compressing,
    });
    last = { request, report };
  }
  const sum = (of: (turn: PlannedTurn) => number): number =>
    turns.reduce((total, turn) => total + of(turn), 0);
  const total = { before: sum((turn) => turn.costBefore), after: sum((turn) => turn.costAfter) };
  return { turns, unit: costs.unit, total, assumptions };
}

function costsOf(
  model: string | null,
  { backend, prefillRate, blockTokens }: PlanConversationOptions,
): {
  readonly costs: CostModel;
  readonly blockTokens: number;
  readonly assumptions: readonly string[];
} {
  const always = [
    'the backend still holds what was forwarded in the turn before',
    'tokens are those of the texts; a chat template adds the same few to both',
  ];
  const row = priceOf(backend, model ?? '');
  if (row !== null) {
    const prices = `prices of ${row.provider} as of ${pricesAsOf}: a cached token costs ${row.read}, a written one ${row.write} of a plain one; prompts below ${row.minimumTokens} tokens are not cached`;
    return {
      costs: moneyCosts(row),
      blockTokens: row.granularity,
      assumptions: [prices, ...always],
    };
  }
  const speed = `the server computes ${prefillRate} prompt tokens a second and caches blocks of ${blockTokens} tokens; compressing takes what it took here`;
  return { costs: timeCosts(prefillRate, Infinity), blockTokens, assumptions: [speed, ...always] };
}

async function reportOf(gateway: Gateway, { body }: ChatRequest): Promise<RequestReport> {
  const tenant = 'plan';
  const prepared = await gateway.prepare({
    path,
    contentEncoding: null,
    body,
    wishes: {},
    tenant,
    signal: null,
    route: 'library',
  });
  gateway.settle(prepared.id, { status: 200, usage: null, error: null });
  const report = await gateway.countedReport(prepared.id, tenant);
  if (report === null) throw new SluiceError('INTERNAL', 'The report of a turn is gone');
  if (report.tokensBefore === null) {
    const reasons = Object.keys(report.skipped).join(', ');
    throw new SluiceError(
      'REQUEST_INVALID',
      `A request of the conversation was not read: ${reasons}`,
    );
  }
  return report;
}

/** Tokens of the messages that both requests begin with. */
function sharedTokens(
  last: { readonly request: ChatRequest; readonly report: RequestReport },
  { messages }: ChatRequest,
): number {
  const before = last.request.messages;
  let shared = 0;
  while (shared < before.length && same(before[shared], messages[shared])) shared += 1;
  return last.report.spans.reduce((total, { pointer, tokensBefore }) => {
    const message = Number(/^\/messages\/(\d+)/.exec(pointer)?.[1] ?? Infinity);
    return message < shared ? total + (tokensBefore ?? 0) : total;
  }, 0);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function requestsOf(input: unknown): readonly ChatRequest[] {
  const bodies = Array.isArray(input) && input.every(hasMessages) ? input : turnsOf(input);
  if (bodies.length === 0 || bodies.length > maxTurns) {
    throw new SluiceError(
      'REQUEST_INVALID',
      `A plan needs 1 to ${maxTurns} requests of a conversation; ${bodies.length} were found`,
    );
  }
  return bodies.map((body) => ({
    messages: body.messages,
    model: typeof body['model'] === 'string' ? body['model'] : null,
    body: Buffer.from(JSON.stringify(body)),
  }));
}

type Body = Readonly<Record<string, unknown>> & { readonly messages: readonly unknown[] };

function hasMessages(value: unknown): value is Body {
  return (
    typeof value === 'object' &&
    value !== null &&
    'messages' in value &&
    Array.isArray(value.messages)
  );
}

/** One request for each answer that the last one already holds, and the last one. */
function turnsOf(input: unknown): readonly Body[] {
  const last = Array.isArray(input) ? { messages: input } : input;
  if (!hasMessages(last)) {
    throw new SluiceError(
      'REQUEST_INVALID',
      'Expected a chat request ({"messages": [...]}), its list of messages, or a list of requests',
    );
  }
  const { messages } = last;
  const ends = messages.flatMap((message, at) => (isAnswer(message) && at > 0 ? [at] : []));
  return [...ends, messages.length]
    .filter((end, at, all) => end > (all[at - 1] ?? 0))
    .map((end) => ({ ...last, messages: messages.slice(0, end) }));
}

function isAnswer(message: unknown): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    'role' in message &&
    message.role === 'assistant'
  );
}
