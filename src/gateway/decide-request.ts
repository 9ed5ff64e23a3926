/** All units of one request, oldest first: replay what the ledger knows, decide the rest, under one deadline. */
import { linkSignals } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { KeepMask } from '../core/mask.ts';
import type { SkipReason, SpanReport } from '../core/report.ts';
import type { Steps } from '../core/steps.ts';
import { createTurns } from '../core/turns.ts';
import type { FitReport } from '../core/window-words.ts';
import type { Reuse, Turn, UnitDecision } from '../reuse/types.ts';
import { encodeJsonString } from '../wire/splice.ts';
import type { ReadRequest, Splice } from '../wire/types.ts';
import { tokensThrough, turnRequestOf } from './conversation.ts';
import { decideUnit, type Decided, type DecideDeps, type DecideSettings } from './decide.ts';
import { fitOf, type FitRules } from './fit.ts';
import { planUnits, type Unit } from './plan.ts';
import type { RequestSettings, UnitPlan } from './settings.ts';
import { sinkRequest, sunkTurn, type SinkRules, type Sunk } from './sinks.ts';
import type { PrepareInput } from './types.ts';

/** What the units of a request became. */
export interface DecidedRequest {
  readonly splices: readonly Splice[];
  /** Null = deciding failed as a whole. */
  readonly spans: readonly SpanReport[] | null;
  readonly masks: ReadonlyMap<number, KeepMask>;
  /** Why deciding failed as a whole, or null. */
  readonly failure: SkipReason | null;
  /** The conversation that it is part of; null = nothing is remembered. */
  readonly turn: Turn | null;
  /** What the client calls it, scoped to its tenant; null = nothing. */
  readonly session: string | null;
  /** Tokens of the forwarded text up to and including each unit. */
  readonly tokens: readonly (number | null)[];
  /** Turns that are left out; null = none. */
  readonly sunk: Sunk | null;
  /** Of the newest unit that had to be shortened further than configured; null = none had. */
  readonly fit: FitReport | null;
}

export interface DecideRequestOptions {
  readonly settings: RequestSettings;
  /** Name that the client gives the conversation. */
  readonly session: string | undefined;
  /** False = decide everything anew and remember nothing. */
  readonly replay: boolean;
}

export interface DecideRequestDeps extends Omit<DecideDeps, 'countTokens' | 'countUntouched'> {
  /** Token count of a text, cached by content, in steps. */
  readonly countSteps: (text: string) => Steps<number>;
  readonly reuse: Reuse;
  readonly policy: string;
  /** null = no turn is ever left out. */
  readonly sinks: SinkRules | null;
  readonly fit: FitRules;
  /** Milliseconds for the whole request. */
  readonly deadlineMs: number;
  /** Requests with more UTF-16 units of text than this are not counted: that would hold up everybody else. */
  readonly maxCountedChars: number;
  /** The reason under which the original goes out. @throws SluiceError when it must not */
  readonly mayFailOpen: (error: unknown) => SkipReason;
}

const forgotten = { turn: null, session: null, tokens: [], sunk: null, fit: null };

/** @throws SluiceError ABORTED when the caller is gone; any other only when failing closed */
export async function decideRequest(
  input: PrepareInput,
  request: ReadRequest,
  options: DecideRequestOptions,
  deps: DecideRequestDeps,
): Promise<DecidedRequest> {
  const linked = linkSignals(input.signal, deps.deadlineMs);
  try {
    return await decideAll({ ...input, signal: linked.signal }, request, options, deps);
  } catch (error) {
    const failure = deps.mayFailOpen(error);
    return { splices: [], spans: null, masks: new Map(), failure, ...forgotten };
  } finally {
    linked.release();
  }
}

async function decideAll(
  input: PrepareInput & { readonly signal: AbortSignal },
  request: ReadRequest,
  { settings, session, replay }: DecideRequestOptions,
  deps: DecideRequestDeps,
): Promise<DecidedRequest> {
  const units = planUnits(request);
  const named = { settings: settings.forUnit(0), session, policy: deps.policy };
  const turnRequest = turnRequestOf(input, request, units, named);
  const turn = replay ? await deps.reuse.turn(turnRequest) : null;
  const unitDeps = countingDeps(request, deps);
  const decisions: UnitDecision[] = [];
  const masks = new Map<number, KeepMask>();
  let before: Before = { spent: 0, counted: 0, messages: 0 };
  let fit: FitReport | null = null;
  for (const [at, unit] of units.entries()) {
    let decision = turn === null ? null : replayed(unit, turn.known(at));
    if (decision === null) {
      const plan = unitPlan(unit, turn, at);
      const known = { settings, before, plan, signal: input.signal };
      const { fit: own, ...decided } = await decideNew(unit, request, known, unitDeps);
      fit = own ?? fit;
      for (const [index, mask] of decided.masks) masks.set(index, mask);
      decision = (await turn?.decided(at, decided.decision)) ?? decided.decision;
    }
    before = behind(before, unit, decision);
    decisions.push(decision);
  }
  const { countTokens } = unitDeps;
  const facts = { request, units, decisions, countTokens };
  const sunk = deps.sinks === null ? null : await sinkRequest(facts, deps.sinks);
  const forwarded = sunk?.decisions ?? decisions;
  return {
    splices: forwarded.flatMap((decision, at) => splicesOf(units[at], decision)),
    spans: forwarded.flatMap(({ spans }) => spans),
    masks,
    failure: null,
    turn: withoutMiddle(turn, sunk),
    session: turnRequest.session,
    tokens: tokensThrough(forwarded),
    sunk,
    fit,
  };
}

/** What stands in front of a unit, as it is forwarded. */
interface Before {
  readonly spent: number;
  /** The same where all of it was counted, else null. */
  readonly counted: number | null;
  readonly messages: number;
}

function behind(before: Before, unit: Unit, { spans }: UnitDecision): Before {
  let { spent, counted } = before;
  for (const { tokensAfter } of spans) {
    spent += tokensAfter ?? 0;
    counted = counted === null || tokensAfter === null ? null : counted + tokensAfter;
  }
  return { spent, counted, messages: before.messages + unit.messages.length };
}

function withoutMiddle(turn: Turn | null, sunk: Sunk | null): Turn | null {
  return turn === null || sunk === null ? turn : sunkTurn(turn, sunk);
}

/** A unit that nobody decided before; shortened further where it does not fit the context window. */
async function decideNew(
  unit: Unit,
  request: ReadRequest,
  known: {
    readonly settings: RequestSettings;
    readonly before: Before;
    readonly plan: UnitPlan;
    readonly signal: AbortSignal;
  },
  deps: DecideDeps & { readonly fit: FitRules },
): Promise<Decided & { readonly fit: FitReport | null }> {
  const { settings, before, plan, signal } = known;
  const usual = settings.forUnit(before.spent, plan);
  const { model, maxTokens, dialect } = request;
  const fit = await fitOf(
    unit,
    { ...usual, fitRate: settings.fitRate },
    {
      model,
      maxTokens,
      messages: before.messages + unit.messages.length,
      followed: dialect !== 'openai-completions',
      spent: before.counted,
    },
    {
      rules: dialect === 'openai-chat' ? deps.fit : { ...deps.fit, sinks: null },
      countTokens: deps.countTokens,
      signal,
    },
  );
  const decided = await decideUnit(unit, fit === null ? usual : fitting(usual, fit), deps, signal);
  return { ...decided, fit: decided.decision.edits.length > 0 ? fit : null };
}

/** Fitting is worth more than a cheaper prefix; it is asked for only where less than any other target is left. */
function fitting(settings: DecideSettings, { targetTokens, rate }: FitReport): DecideSettings {
  return { ...settings, targetTokens, rate, pays: true };
}

/** Counting for a report goes on past the deadline: the report of what was not done in time needs it. */
function countingDeps(
  request: ReadRequest,
  deps: DecideRequestDeps,
): DecideDeps & { readonly fit: FitRules } {
  const chars = request.spans.reduce((total, { text }) => total + text.length, 0);
  const turns = createTurns(null);
  const countTokens = (text: string): Promise<number> => turns.run(deps.countSteps(text));
  const countUntouched = chars > deps.maxCountedChars ? () => Promise.resolve(null) : countTokens;
  return { ...deps, countTokens, countUntouched };
}

/** What the conversation's plan says of one unit. A unit without text worth compressing is decided as ever. */
function unitPlan(unit: Unit, turn: Turn | null, at: number): UnitPlan {
  const plan = turn?.planOf(at);
  if (plan === undefined) return { pays: true, targetTokens: null };
  const pays = plan.compress || plan.admission === 'nothing-new';
  if (plan.targetTokens === null) return { pays, targetTokens: null };
  const bytes = unit.spans
    .filter(({ policy }) => policy === 'pinned')
    .reduce((sum, span) => sum + span.byteEnd - span.byteStart, 0);
  return { pays, targetTokens: plan.targetTokens + Math.ceil(bytes / 4) };
}

/** An earlier decision in this request's report; a text may stand under another pointer now. */
function replayed(unit: Unit, known: UnitDecision | null): UnitDecision | null {
  if (known === null) return null;
  const spans = known.spans.map((span, at) => {
    const pointer = unit.spans[at]?.pointer ?? span.pointer;
    return { ...span, pointer, replayed: true };
  });
  return { edits: known.edits, spans };
}

/** Edits as splices of this body. */
function splicesOf(unit: Unit | undefined, decision: UnitDecision): Splice[] {
  return decision.edits.map((edit) => {
    const message = unit?.messages[edit.message];
    if (message === undefined) {
      throw new SluiceError('INTERNAL', `Edit of message ${edit.message} outside its unit`);
    }
    return {
      byteStart: message.byteStart + edit.byteStart,
      byteEnd: message.byteStart + edit.byteEnd,
      bytes: encodeJsonString(edit.text),
    };
  });
}
