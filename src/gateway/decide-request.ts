/** All units of one request, oldest first: replay what the ledger knows, decide the rest, under one deadline. */
import { linkSignals } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { KeepMask } from '../core/mask.ts';
import type { SkipReason, SpanReport } from '../core/report.ts';
import type { Steps } from '../core/steps.ts';
import { createTurns } from '../core/turns.ts';
import type { Ledger, UnitDecision } from '../reuse/types.ts';
import { encodeJsonString } from '../wire/splice.ts';
import type { ReadRequest, Splice } from '../wire/types.ts';
import { decideUnit, type DecideDeps } from './decide.ts';
import { planUnits, type Unit } from './plan.ts';
import type { RequestSettings } from './settings.ts';
import type { PrepareInput } from './types.ts';

/** What the units of a request became. */
export interface DecidedRequest {
  readonly splices: readonly Splice[];
  /** Null = deciding failed as a whole. */
  readonly spans: readonly SpanReport[] | null;
  readonly masks: ReadonlyMap<number, KeepMask>;
  /** Why deciding failed as a whole, or null. */
  readonly failure: SkipReason | null;
}

export interface DecideRequestOptions {
  readonly settings: RequestSettings;
  /** False = decide everything anew and remember nothing. */
  readonly replay: boolean;
}

export interface DecideRequestDeps extends Omit<DecideDeps, 'countTokens' | 'countUntouched'> {
  /** Token count of a text, cached by content, in steps. */
  readonly countSteps: (text: string) => Steps<number>;
  readonly ledger: Ledger;
  /** Milliseconds for the whole request. */
  readonly deadlineMs: number;
  /** Requests with more UTF-16 units of text than this are not counted: that would hold up everybody else. */
  readonly maxCountedChars: number;
  /** The reason under which the original goes out. @throws SluiceError when it must not */
  readonly mayFailOpen: (error: unknown) => SkipReason;
}

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
    return { splices: [], spans: null, masks: new Map(), failure };
  } finally {
    linked.release();
  }
}

async function decideAll(
  input: PrepareInput & { readonly signal: AbortSignal },
  request: ReadRequest,
  { settings, replay }: DecideRequestOptions,
  deps: DecideRequestDeps,
): Promise<DecidedRequest> {
  const units = planUnits(request);
  const chars = request.spans.reduce((total, { text }) => total + text.length, 0);
  // counting for a report goes on past the deadline: the report of what was not done in time needs it
  const turns = createTurns(null);
  const countTokens = (text: string): Promise<number> => turns.run(deps.countSteps(text));
  const countUntouched = chars > deps.maxCountedChars ? () => Promise.resolve(null) : countTokens;
  const unitDeps = { ...deps, countTokens, countUntouched };
  const scope = JSON.stringify([input.tenant, request.dialect, request.model]);
  const raw = units.map((unit) =>
    unit.messages.map(({ byteStart, byteEnd }) => input.body.subarray(byteStart, byteEnd)),
  );
  const keys = deps.ledger.lineage(scope, raw);
  const splices: Splice[] = [];
  const spans: SpanReport[] = [];
  const masks = new Map<number, KeepMask>();
  let spent = 0;
  for (const [at, unit] of units.entries()) {
    const key = keys[at] ?? '';
    let decision = replay ? await replayed(key, deps) : null;
    if (decision === null) {
      const decided = await decideUnit(unit, settings.forUnit(spent), unitDeps, input.signal);
      for (const [index, mask] of decided.masks) masks.set(index, mask);
      decision = replay ? await remembered(key, decided.decision, deps) : decided.decision;
    }
    for (const span of decision.spans) spent += span.tokensAfter ?? 0;
    spans.push(...decision.spans);
    splices.push(...splicesOf(unit, decision));
  }
  return { splices, spans, masks, failure: null };
}

/** A ledger that cannot be read knows nothing: deciding anew gives the same bytes unless an earlier try failed. */
async function replayed(key: string, deps: DecideRequestDeps): Promise<UnitDecision | null> {
  try {
    const known = await deps.ledger.get(key);
    if (known === null) return null;
    return { ...known, spans: known.spans.map((span) => ({ ...span, replayed: true })) };
  } catch (error) {
    deps.onFailure(error);
    return null;
  }
}

/** What stands in the ledger afterwards: of two requests at once, the first one's decision. */
async function remembered(
  key: string,
  decision: UnitDecision,
  deps: DecideRequestDeps,
): Promise<UnitDecision> {
  try {
    return await deps.ledger.putIfAbsent(key, decision);
  } catch (error) {
    deps.onFailure(error);
    return decision;
  }
}

/** The ledger's edits as splices of this body. The raw bytes of the messages are the same by the key's meaning. */
function splicesOf(unit: Unit, decision: UnitDecision): Splice[] {
  return decision.edits.map((edit) => {
    const message = unit.messages[edit.message];
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
