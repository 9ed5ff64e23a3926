/** What a conversation would cost through Sluice, turn by turn, against sending it as it is. Nothing is forwarded. */
import type { BackendKind } from './core/backend-kind.ts';
import { throwIfAborted } from './core/abort.ts';
import { SluiceError } from './core/errors.ts';
import type { RequestReport } from './core/report.ts';
import type { AdmissionReason, Mode } from './core/reuse-words.ts';
import { createTurns } from './core/turns.ts';
import type { Gateway, Wishes } from './gateway/types.ts';
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
  /** For every request of the conversation; left out = none. */
  readonly wishes?: Wishes;
  /** Ends the planning, also between two turns; left out = nothing does. */
  readonly signal?: AbortSignal | null;
}

/** Requests of one conversation that are planned at most. */
const maxTurns = 1000;
const path = '/v1/chat/completions';

/** A chat request of which only the messages are looked at. */
type ChatRequest = Readonly<Record<string, unknown>> & { readonly messages: readonly unknown[] };

interface Planned {
  readonly request: ChatRequest;
  readonly report: RequestReport;
}

interface Costs {
  readonly model: CostModel;
  readonly blockTokens: number;
  readonly assumptions: readonly string[];
}

/**
 * @param input the requests of a conversation in order, or its last one: then the ones before it are the messages up to
 * each answer of the assistant
 * @throws SluiceError REQUEST_INVALID when the input is neither, or a request of it cannot be read; ABORTED
 */
export async function planConversation(
  input: unknown,
  options: PlanConversationOptions,
): Promise<ConversationPlan> {
  const { signal = null } = options;
  const slices = createTurns(signal);
  const turns: PlannedTurn[] = [];
  let costs: Costs | null = null;
  let last: Planned | null = null;
  for (const request of requestsOf(input)) {
    throwIfAborted(signal);
    const report = await reportOf(request, turns.length + 1, options);
    costs ??= costsOf(request, report, options);
    const planned = { request, report };
    turns.push({ turn: turns.length + 1, ...plannedTurn(planned, last, costs) });
    last = planned;
    await slices.pause();
  }
  if (costs === null) throw new SluiceError('INTERNAL', 'A conversation without requests');
  const sum = (of: (turn: PlannedTurn) => number): number =>
    turns.reduce((total, turn) => total + of(turn), 0);
  const total = { before: sum((turn) => turn.costBefore), after: sum((turn) => turn.costAfter) };
  return { turns, unit: costs.model.unit, total, assumptions: costs.assumptions };
}

function plannedTurn(
  { request, report }: Planned,
  last: Planned | null,
  { model, blockTokens }: Costs,
): Omit<PlannedTurn, 'turn'> {
  const floor = (tokens: number): number =>
    tokens < model.minimumTokens ? 0 : blockTokens * Math.floor(tokens / blockTokens);
  const cost = (tokens: number, cached: number): number =>
    projectedCost(model, { tokens, cached, turns: 1, hitShare: 1 });
  const tokensBefore = report.tokensBefore ?? 0;
  const tokensAfter = report.tokensAfter ?? 0;
  const reusedBefore = floor(last === null ? 0 : sharedTokens(last, request));
  const reusedAfter = floor(Math.min(report.plannedReuse ?? 0, tokensAfter));
  const compressing = model.unit === 'ms' ? (report.timings.compressMs ?? 0) : 0;
  return {
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
  };
}

function costsOf(
  request: ChatRequest,
  report: RequestReport,
  { backend, prefillRate, blockTokens }: PlanConversationOptions,
): Costs {
  const { tokenizer, estimated } = report;
  const counted = estimated ? `${tokenizer}, which stands in for the backend's own` : tokenizer;
  const always = [
    'the backend still holds what was forwarded in the turn before',
    `tokens are those of the texts, counted by ${counted}; a chat template and tools add the same to both`,
  ];
  const model = typeof request['model'] === 'string' ? request['model'] : '';
  const row = priceOf(backend, model);
  if (row === null) {
    const speed = `the server computes ${prefillRate} prompt tokens a second and caches blocks of ${blockTokens} tokens; compressing takes what it took here, and is not left out where that is longer than it saves`;
    return {
      model: timeCosts(prefillRate, Infinity),
      blockTokens,
      assumptions: [speed, ...always],
    };
  }
  const prices = `prices of ${row.provider} as of ${pricesAsOf}: a cached token costs ${row.read}, a written one ${row.write} of a plain one; prompts below ${row.minimumTokens} tokens are not cached`;
  return {
    model: moneyCosts(row),
    blockTokens: row.granularity,
    assumptions: [prices, ...always],
  };
}

/** What the gateway makes of a request that is not sent. */
async function reportOf(
  request: ChatRequest,
  turn: number,
  { gateway, wishes = {}, signal = null }: PlanConversationOptions,
): Promise<RequestReport> {
  const tenant = 'plan';
  const { id } = await gateway.prepare({
    path,
    contentEncoding: null,
    body: Buffer.from(JSON.stringify(request)),
    wishes,
    tenant,
    signal,
    route: 'library',
  });
  const report = gateway.report(id, tenant);
  gateway.settle(id, { status: null, usage: null, error: null });
  if (report === null) throw new SluiceError('INTERNAL', `The report of turn ${turn} is gone`);
  if (report.tokensBefore !== null) return report;
  const reasons = Object.keys(report.skipped).join(', ');
  if (report.spans.length > 0) {
    const found = `Turn ${turn} has more text than is counted (limits.compress_chars)`;
    throw new SluiceError('REQUEST_INVALID', found);
  }
  const code = report.decision === 'failed-open' ? 'INTERNAL' : 'REQUEST_INVALID';
  throw new SluiceError(code, `Turn ${turn} of the conversation was not read: ${reasons}`);
}

/** Tokens of the messages that both requests begin with. */
function sharedTokens({ request, report }: Planned, { messages }: ChatRequest): number {
  const before = request.messages;
  let shared = 0;
  while (shared < before.length && same(before[shared], messages[shared])) shared += 1;
  return report.spans.reduce((total, { pointer, tokensBefore }) => {
    const message = Number(/^\/messages\/(\d+)/.exec(pointer)?.[1] ?? Infinity);
    return message < shared ? total + (tokensBefore ?? 0) : total;
  }, 0);
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** One after another: together, the requests of a long conversation are many times as long as its last one. */
function requestsOf(input: unknown): Iterable<ChatRequest> {
  if (Array.isArray(input) && input.length > 0 && input.every(hasMessages)) {
    checkTurns(input.length);
    return input;
  }
  const last = Array.isArray(input) ? { messages: input } : input;
  if (!hasMessages(last)) {
    throw new SluiceError(
      'REQUEST_INVALID',
      'Expected a chat request ({"messages": [...]}), its list of messages, or a list of requests',
    );
  }
  const ends = endsOf(last.messages);
  checkTurns(ends.length);
  return beginnings(last, ends);
}

function checkTurns(turns: number): void {
  if (turns > 0 && turns <= maxTurns) return;
  throw new SluiceError(
    'REQUEST_INVALID',
    `A plan needs 1 to ${maxTurns} requests of a conversation; ${turns} were found`,
  );
}

function hasMessages(value: unknown): value is ChatRequest {
  return (
    typeof value === 'object' &&
    value !== null &&
    'messages' in value &&
    Array.isArray(value.messages)
  );
}

/** Number of messages of each request: one for each answer that the last one already holds, and the last one. */
function endsOf(messages: readonly unknown[]): readonly number[] {
  const ends = messages.flatMap((message, at) => (isAnswer(message) && at > 0 ? [at] : []));
  return messages.length === 0 ? [] : [...ends, messages.length];
}

function* beginnings(last: ChatRequest, ends: readonly number[]): Generator<ChatRequest> {
  for (const end of ends) yield { ...last, messages: last.messages.slice(0, end) };
}

function isAnswer(message: unknown): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    'role' in message &&
    message.role === 'assistant'
  );
}
