/** One request of a conversation: what is replayed of it, how the rest is planned, and what its answer teaches. */
import { fromIdentity, toIdentity, type IdentityUnit } from './identity.ts';
import { missReasonOf, type MissReason } from './miss.ts';
import type { ModeDecision, StoredConversation } from './mode.ts';
import { defaultPlannerOptions, planRequest, type Plan } from './planner.ts';
import { regimeEnd } from './regime.ts';
import type { ReuseContext } from './reuse.ts';
import { learnFrom, newSession, type SessionState } from './session.ts';
import type { Turn, TurnOutcomeFacts, TurnRequest, UnitDecision } from './types.ts';

export interface TurnFacts {
  readonly request: TurnRequest;
  readonly units: readonly IdentityUnit[];
  /** Keys of the units without and with their epoch. */
  readonly lineage: readonly string[];
  readonly keys: readonly string[];
  readonly known: readonly (UnitDecision | null)[];
  readonly stored: StoredConversation | null;
  readonly mode: ModeDecision;
  readonly domain: string;
  readonly regime: string | null;
  readonly previous: string | null;
  /** What was learned in the conversation, and the name it is kept under; null = a new one. */
  readonly session: SessionState;
  readonly sessionName: string | null;
}

const mostTurns = 50;

export class ConversationTurn implements Turn {
  readonly plan: Plan;
  readonly previous: string | null;
  readonly regime: string | null;
  readonly reusableTokens: number | null;
  readonly uncacheable: boolean;
  readonly #context: ReuseContext;
  readonly #facts: TurnFacts;
  /** What is remembered of this turn once it was forwarded. */
  #conversation: StoredConversation | null = null;

  constructor(context: ReuseContext, facts: TurnFacts) {
    this.#context = context;
    this.#facts = facts;
    this.previous = facts.previous;
    this.regime = facts.regime;
    const minimum = context.costs.rules(facts.request.model)?.minimumTokens ?? 0;
    const { mode } = facts;
    this.uncacheable =
      mode.mode !== 'cold' && mode.sharedTokens !== null && mode.sharedTokens < minimum;
    this.reusableTokens = this.uncacheable ? 0 : mode.sharedTokens;
    this.plan = this.planOf(newestUnit(facts));
  }

  known(unit: number): UnitDecision | null {
    return this.#facts.known[unit] ?? null;
  }

  /**
   * Everything that may differ between two requests with the same beginning stays out of it (sizes are those of the
   * text, turns are counted in the request), so that a process without memory plans the same; only what was measured
   * in coarse steps and a conversation that has lost come in.
   */
  planOf(unit: number): Plan {
    const { request, mode, session, stored } = this.#facts;
    const { costs, options } = this.#context;
    const model = costs.of(request.model);
    const before = this.#tokensBefore(unit);
    const size = request.sizes[unit] ?? { compressible: 0, fixed: 0 };
    const position = options.position();
    // The regime that the text would be in without what may be left out.
    const kept = before + size.fixed;
    return planRequest(
      {
        mode,
        expectedHit: before < model.minimumTokens ? 0 : before,
        exactness: this.reusableTokens === null ? 'unknown' : 'estimated',
        epoch: stored?.epoch ?? 0,
        replayedTokens: before,
        compressibleTokens: size.compressible,
        fixedTokens: size.fixed,
        maxNewTokens: request.maxNewTokens ?? 0,
        shorter: null,
        expectedTurns: turnsAt(unit, request.leadingUnits),
        limitTokens: options.limitTokens(),
        regimeBorder: position === null ? null : regimeEnd(position, kept),
      },
      { ...newSession, rate: options.rate, stopped: session.stopped && !options.always },
      model,
      { ...defaultPlannerOptions, minRate: options.rate },
    );
  }

  async decided(unit: number, decision: UnitDecision): Promise<UnitDecision> {
    const { guard, ledger } = this.#context;
    const identity = this.#facts.units[unit];
    const key = this.#facts.keys[unit];
    if (identity === undefined || key === undefined) return decision;
    const stored = toIdentity(decision, identity);
    const standing = await guard(() => ledger.putIfAbsent(key, stored), stored);
    return standing === stored ? decision : (fromIdentity(standing, identity) ?? decision);
  }

  async forwarded(facts: Parameters<Turn['forwarded']>[0]): Promise<void> {
    this.#conversation = {
      keys: this.#facts.lineage,
      forwardedTokens: facts.tokens,
      epoch: this.plan.epoch,
      domain: this.#facts.domain,
      replica: facts.replica,
      at: this.#context.clock.now(),
    };
    this.#keep(this.#facts.session);
    await this.#remember(this.#conversation);
  }

  settled(facts: TurnOutcomeFacts): MissReason | null {
    const { costs } = this.#context;
    const { compressedBefore, compressMs, promptTokens, reported } = facts;
    if (compressMs !== null) costs.compressed({ tokens: compressedBefore, ms: compressMs });
    const miss = this.#missOf(facts);
    if (promptTokens === null) return miss;
    this.#correct(promptTokens);
    if (reported !== null && facts.savedTokens !== null) {
      this.#learn({ ...facts, promptTokens, reported, savedTokens: facts.savedTokens }, miss);
    }
    return miss;
  }

  /** About what the units in front of one have in the forwarded prompt: known from their text alone. */
  #tokensBefore(unit: number): number {
    const { sizes } = this.#facts.request;
    const { rate } = this.#context.options;
    let tokens = 0;
    for (const { compressible, fixed } of sizes.slice(0, unit)) {
      tokens += fixed + Math.ceil(compressible * rate);
    }
    return tokens;
  }

  #missOf(facts: TurnOutcomeFacts): MissReason | null {
    const { mode, request } = this.#facts;
    if (facts.promptTokens === null) return mode.miss;
    const rules = this.#context.costs.rules(request.model);
    const reusable = mode.sharedTokens ?? 0;
    if (this.uncacheable && reusable > (facts.reported ?? reusable)) return 'below-minimum';
    return missReasonOf({
      reported: facts.reported,
      planned: facts.planned ?? 0,
      reusable,
      promptTokens: facts.promptTokens,
      blockTokens: Math.max(1, facts.blockTokens, rules?.granularity ?? 1),
      known: this.plan.miss,
      moved: this.previous !== null && facts.replica !== this.previous,
      minimumTokens: rules?.minimumTokens ?? 0,
      exactIndex: facts.exactIndex,
    });
  }

  #learn(
    facts: TurnOutcomeFacts & {
      readonly promptTokens: number;
      readonly reported: number;
      readonly savedTokens: number;
    },
    miss: MissReason | null,
  ): void {
    const { costs, onStopped } = this.#context;
    const { request, session } = this.#facts;
    const rawTokens = facts.promptTokens + facts.savedTokens;
    const planned = facts.planned ?? facts.reported;
    const share = planned === 0 ? 1 : Math.min(1, facts.reported / planned);
    // Only a prefix below the provider's minimum would have been there without compressing.
    const ours = miss === 'below-minimum' || miss === 'rewritten';
    const state = learnFrom(
      session,
      {
        promptTokens: facts.promptTokens,
        rawTokens,
        planned,
        reported: facts.reported,
        passThroughReusable: rawTokens * this.#sharedShare() * (ours ? 1 : share),
        compressedBefore: facts.compressedBefore,
        compressedAfter: facts.compressedAfter,
        miss: ours ? miss : null,
      },
      costs.of(request.model),
    );
    if (state.stopped && !session.stopped) onStopped();
    this.#keep(state);
  }

  /** A conversation without a name is known by its end, which moves. */
  #keep(state: SessionState): void {
    const { sessions } = this.#context;
    const { request, lineage, sessionName } = this.#facts;
    const name = request.session ?? lineage.at(-1);
    if (name === undefined) return;
    if (sessionName !== null && sessionName !== name) sessions.delete(sessionName);
    sessions.set(name, state);
  }

  /** Part of the request's text that was in the previous one. */
  #sharedShare(): number {
    const { request, mode } = this.#facts;
    const shared = mode.mode === 'cold' ? 0 : mode.sharedUnits;
    const sum = (units: TurnRequest['sizes']): number =>
      units.reduce((total, { compressible, fixed }) => total + compressible + fixed, 0);
    const all = sum(request.sizes);
    return all === 0 ? 0 : sum(request.sizes.slice(0, shared)) / all;
  }

  /** The backend has counted the prompt, template and all: what is remembered of it is put right. */
  #correct(promptTokens: number): void {
    const conversation = this.#conversation;
    const last = conversation?.forwardedTokens.at(-1);
    if (conversation === null || last === promptTokens) return;
    const scale = last === null || last === undefined || last === 0 ? null : promptTokens / last;
    const end = conversation.forwardedTokens.length - 1;
    const forwardedTokens = conversation.forwardedTokens.map((tokens, at) => {
      if (at === end) return promptTokens;
      return tokens === null || scale === null ? null : Math.round(tokens * scale);
    });
    void this.#remember({ ...conversation, forwardedTokens });
  }

  #remember(conversation: StoredConversation): Promise<void> {
    const { guard, ledger } = this.#context;
    return guard(() => ledger.remember(this.#facts.request.session, conversation), undefined);
  }
}

/** The newest unit that is not known yet and could be compressed, else the last one. */
function newestUnit({ known, request }: TurnFacts): number {
  const fresh = known.findLastIndex(
    (decision, at) => decision === null && (request.sizes[at]?.compressible ?? 0) > 0,
  );
  return fresh >= 0 ? fresh : Math.max(0, known.length - 1);
}

/** Turns to expect from a unit on: as many again as there were, an answer standing between two of them. */
function turnsAt(unit: number, leading: number): number {
  return Math.min(mostTurns, 1 + Math.ceil(Math.max(0, unit - leading) / 2));
}
