/** Conversations behind the gateway: who goes on with what, what was decided before, and what it teaches. */
import type { BackendKind } from '../core/backend-kind.ts';
import { boundedCache, type BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import { createCostSource, type CostSource } from './cost-model.ts';
import { createGuard, type Guard } from './guard.ts';
import { fromIdentity, identityUnit, type IdentityUnit } from './identity.ts';
import { isAlive, lifetimeMs } from './lifetime.ts';
import { epochKey, modeOf, type ModeDecision, type StoredConversation } from './mode.ts';
import type { PositionScheme } from './position.ts';
import { keepsBranches, regime } from './regime.ts';
import { newSession, type SessionState } from './session.ts';
import { ConversationTurn } from './turn.ts';
import type { Ledger, Reuse, ReuseTotals, Turn, TurnRequest, UnitDecision } from './types.ts';

export interface ReuseOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Decides prices and how long a cached prefix is believed in; may be found out while the process runs. */
  readonly backend: () => BackendKind;
  /** Everything that makes cached KV interchangeable, as far as the servers tell. */
  readonly fingerprint: string;
  /** Position scheme of the served model; null = not known, one regime is assumed. */
  readonly position: () => PositionScheme | null;
  /** Context window in tokens; null = not known. */
  readonly limitTokens: () => number | null;
  /** Share of the tokens that compressing is expected to leave: the operator's rate. */
  readonly rate: number;
  /** Compress also where it costs more than it saves, and where it has lost. */
  readonly always: boolean;
  /** Conversations whose lessons are remembered. */
  readonly maxConversations: number;
  /** Milliseconds without use after which the backend's cache counts as cold; null = by the backend's kind. */
  readonly ttlMs: number | null;
  /** Measured prompt tokens a second of the backend; null = not measured. */
  readonly prefillRate: () => number | null;
  /** Milliseconds that a call of the store may take. */
  readonly storeMs: number;
  /** Told of every failure of the store. */
  readonly onFailure: (error: unknown) => void;
}

/** What turns share. */
export interface ReuseContext {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly guard: Guard;
  readonly costs: CostSource;
  readonly options: ReuseOptions;
  readonly sessions: BoundedCache<SessionState>;
  /** A conversation has lost by being compressed. */
  readonly onStopped: () => void;
}

export function createReuse(options: ReuseOptions): Reuse {
  return new Conversations(options);
}

class Conversations implements Reuse {
  readonly #context: ReuseContext;
  #stopped = 0;
  #storeErrors = 0;

  constructor(options: ReuseOptions) {
    const { ledger, clock, maxConversations } = options;
    this.#context = {
      ledger,
      clock,
      options,
      guard: createGuard(options.storeMs, (error) => {
        this.#storeErrors += 1;
        options.onFailure(error);
      }),
      costs: createCostSource(options),
      sessions: boundedCache({ maxEntries: maxConversations }),
      onStopped: () => {
        this.#stopped += 1;
      },
    };
  }

  async turn(request: TurnRequest): Promise<Turn> {
    const { ledger, guard, sessions } = this.#context;
    const units = request.units.map(identityUnit);
    const lineage = ledger.lineage(
      request.scope,
      units.map(({ messages }) => messages.map(({ bytes }) => bytes)),
    );
    const stored = await guard(() => ledger.find(request.session, lineage), null);
    const keys = lineage.map((key) => epochKey(key, stored?.epoch ?? 0));
    const known = await Promise.all(keys.map((key, at) => this.#known(key, units[at])));
    const domain = this.#domain(request);
    const mode = this.#mode(request, { stored, lineage, domain: domain.label });
    const isNew = stored === null || mode.sharedUnits <= request.leadingUnits;
    const name = request.session ?? (isNew ? null : (stored.keys.at(-1) ?? null));
    return new ConversationTurn(this.#context, {
      request,
      units,
      lineage,
      keys,
      known,
      stored,
      mode,
      domain: domain.label,
      regime: domain.regime,
      previous: isNew ? null : stored.replica,
      session: (name === null ? undefined : sessions.get(name)) ?? newSession,
      sessionName: name,
    });
  }

  totals(): ReuseTotals {
    return {
      conversations: this.#context.sessions.size,
      stoppedSessions: this.#stopped,
      storeErrors: this.#storeErrors,
    };
  }

  check(): ReturnType<Reuse['check']> {
    return this.#context.ledger.check();
  }

  /** What an earlier request decided about a unit, in the bytes of this one. */
  async #known(key: string, unit: IdentityUnit | undefined): Promise<UnitDecision | null> {
    const { ledger, guard } = this.#context;
    const decision = await guard(() => ledger.get(key), null);
    return decision === null || unit === undefined ? null : fromIdentity(decision, unit);
  }

  #mode(
    request: TurnRequest,
    conversation: {
      readonly stored: StoredConversation | null;
      readonly lineage: readonly string[];
      readonly domain: string;
    },
  ): ModeDecision {
    const { costs, clock, options } = this.#context;
    const { stored, lineage, domain } = conversation;
    const lifetime =
      options.ttlMs ?? costs.rules(request.model)?.ttlMs ?? lifetimeMs[options.backend()];
    const alive = isAlive(stored?.at ?? null, clock.now(), lifetime);
    const found = modeOf({ stored, keys: lineage, domain, alive });
    const position = options.position();
    const gone = found.mode === 'branch' && position !== null && !keepsBranches(position);
    const mode = gone ? { ...found, sharedTokens: 0 } : found;
    // Another conversation with the same instructions: nobody has edited anything.
    const isNew = mode.mode === 'branch' && mode.sharedUnits <= request.leadingUnits;
    return isNew && request.session === null ? { ...mode, miss: null } : mode;
  }

  #domain({ sizes }: TurnRequest): { readonly label: string; readonly regime: string | null } {
    const { fingerprint, rate } = this.#context.options;
    const position = this.#context.options.position();
    if (position === null) return { label: fingerprint, regime: null };
    const tokens = sizes.reduce(
      (sum, { compressible, fixed }) => sum + fixed + Math.ceil(compressible * rate),
      0,
    );
    const name = regime(position, tokens);
    return { label: `${fingerprint}|${name}`, regime: name };
  }
}
