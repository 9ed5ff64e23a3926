/** Which replica gets which prompt, and how much of it that replica will not compute again. */
import { SluiceError } from '../core/errors.ts';
import type { Chain } from './chain.ts';
import { createFleet, type Fleet, type Ticket } from './fleet.ts';
import { createGivenPlace, type GivenPlace } from './given-place.ts';
import { startHealthChecks } from './health-checks.ts';
import type { PlacementOptions } from './placement-options.ts';
import { estimatedTokens } from './prompt-chains.ts';
import { createPromptIds, type PromptIds, type ToldIds } from './prompt-ids.ts';
import { createPromptScopes, type PromptScopes, type ScopedPrompt } from './prompt-scopes.ts';
import { createStation, type Station } from './station.ts';
import type { Placed, Placement, PlacementRequest } from './types.ts';

/** A replica of which nothing was heard for this long, in ms, is looked at. */
const idleMs = 30_000;
const defaults = {
  tokenizeMs: 50,
  lateMs: 2000,
  maxIndexBlocks: 262_144,
  checkMs: 5000,
  /** vLLM's default, and what deployments set PYTHONHASHSEED to. */
  hashSeeds: [null, '0', '42'],
};

/**
 * Over one replica nothing waits: the forecast is made beside the forwarding, from the index as it stood when the
 * request came. Over several, the choice waits for the prompt's token ids, but not for long.
 * @throws SluiceError NOT_FOUND from `drain` of an id that no replica has
 */
export function createPlacement(options: PlacementOptions): Placement {
  return new ReplicaPlacement(options);
}

/** A request over several replicas, with what is known about it. */
interface Asked {
  readonly prompt: ScopedPrompt;
  /** Token ids by the fingerprint that they hold for. */
  readonly ids: Map<string, ToldIds>;
  readonly waiting: ReadonlyMap<string, Promise<ToldIds | null>>;
  readonly tried: Set<number>;
}

/** What chains of one request are made from. */
interface Candidates {
  readonly asked: Asked;
  readonly text: Chain;
  /** Those made so far. */
  readonly chains: Map<string, Chain>;
  /** Also where the prompt does not fit. */
  readonly anyLength: boolean;
}

class ReplicaPlacement implements Placement {
  readonly #options: PlacementOptions;
  readonly #stations: readonly Station[];
  readonly #fleet: Fleet;
  readonly #ids: PromptIds;
  readonly #scopes: PromptScopes;
  readonly #stopChecks: () => void;
  /** When each replica last showed how it is. */
  readonly #heard: number[];
  #turn = 0;

  constructor(options: PlacementOptions) {
    this.#options = options;
    const { replicas } = options;
    this.#stations = replicas.map((_, at) => this.#createStation(at));
    this.#fleet = createFleet(
      this.#stations.map((station) => ({
        id: station.replica.id,
        index: station.indexOptions(),
        get capacityTokens() {
          return station.facts.capacityTokens;
        },
      })),
      options.router === undefined ? {} : { router: options.router },
    );
    this.#ids = createPromptIds({ lateMs: options.lateMs ?? defaults.lateMs });
    this.#scopes = createPromptScopes(options, this.#stations);
    this.#heard = replicas.map(() => this.#now());
    for (const { reader } of this.#stations) reader?.start();
    this.#stopChecks = startHealthChecks({
      replicas: replicas.length,
      // The only replica is used whatever a look would show.
      everyMs: replicas.length < 2 ? 0 : (options.checkMs ?? defaults.checkMs),
      random: options.random ?? Math.random,
      wanted: (at) => this.#wantsCheck(at),
      check: async (at, signal) => (await replicas[at]?.check(signal))?.ok === true,
      result: (at, ok) => {
        this.#heard[at] = this.#now();
        this.#fleet.checked(at, ok, this.#now());
      },
    });
  }

  async place(request: PlacementRequest): Promise<Placed | null> {
    try {
      for (const station of this.#stations) station.refresh();
      const [only, second] = this.#stations;
      if (only === undefined) return null;
      return second === undefined ? this.#placeAlone(only, request) : await this.#choose(request);
    } catch (error) {
      this.#options.onDefect?.(error);
      return null;
    }
  }

  drain(id: string, on: boolean): void {
    this.#fleet.drain(id, on, this.#now());
  }

  state(): ReturnType<Placement['state']> {
    return this.#fleet.state().map((state, at) => ({
      id: state.id,
      healthy: state.health.breaker === 'closed',
      draining: state.health.draining,
      running: state.running,
      queuedTokens: state.queuedTokens,
      prefillTokensPerSecond: state.prefillRate,
      indexBlocks: state.indexBlocks,
      indexBytes: state.indexBytes,
      feed: this.#stations[at]?.reader?.state ?? 'none',
    }));
  }

  async close(): Promise<void> {
    this.#stopChecks();
    this.#ids.close();
    for (const station of this.#stations) station.close();
  }

  /** Nothing of this waits; the forecast may become better when the ids come. */
  #placeAlone(station: Station, request: PlacementRequest): Placed | null {
    const reusable = request.reusableTokens ?? 0;
    const tokens = Math.max(estimatedTokens(request.body), reusable + 1);
    const unknown: Chain = { blockTokens: 1, tokens, words: new Uint32Array(0), exact: false };
    // Whatever the conversation was called to before, there is only this one.
    const alone = { ...request, previous: station.replica.id };
    const ticket = this.#fleet.route(
      {
        chainFor: () => unknown,
        promptTokens: tokens,
        previous: alone.previous,
        reusableTokens: request.reusableTokens,
      },
      this.#now(),
    );
    if (ticket === null) return null;
    const prompt = this.#scopes.prompt(request);
    const place = this.#give(ticket, station, { ...prompt, request: alone }, () => null);
    const coming = this.#ids.ask(station.replica, request, { aside: true });
    // In line with the engine's events: what it says from now on may be about this very request.
    station.timeline.push(async () => {
      const ids = await coming;
      if (ids === null) return;
      place.told(ids);
      if (!ids.exact) return;
      place.identify(this.#scopes.chain(station, prompt, ids.tokens));
    });
    return place;
  }

  async #choose(request: PlacementRequest): Promise<Placed | null> {
    const ids = new Map<string, ToldIds>();
    const waiting = new Map<string, Promise<ToldIds | null>>();
    for (const [fingerprint, station] of this.#toldBy(request.previous)) {
      const coming = this.#ids.ask(station.replica, request, { aside: false });
      waiting.set(
        fingerprint,
        coming.then((known) => {
          if (known !== null) ids.set(fingerprint, known);
          return known;
        }),
      );
    }
    await atMost([...waiting.values()], this.#options.tokenizeMs ?? defaults.tokenizeMs);
    return this.#route({ prompt: this.#scopes.prompt(request), ids, waiting, tried: new Set() });
  }

  #route(asked: Asked): GivenPlace | null {
    const { ids, tried } = asked;
    const { request } = asked.prompt;
    const [guess] = ids.values();
    const text = this.#scopes.text(asked.prompt, guess?.tokens.length ?? null);
    const chains = new Map<string, Chain>();
    const chainFor = (at: number, anyLength: boolean): Chain | null =>
      this.#chainAt(at, { asked, text, chains, anyLength });
    const { previous } = request;
    const reusableTokens = this.#knowsAll(previous, ids) ? null : request.reusableTokens;
    const wanted = { promptTokens: text.tokens, previous, reusableTokens, text };
    const now = this.#now();
    const ticket =
      this.#fleet.route({ ...wanted, chainFor: (at) => chainFor(at, false) }, now) ??
      // Too long for all of them: the server says so in its own words.
      this.#fleet.route({ ...wanted, chainFor: (at) => chainFor(at, true) }, now);
    const station = this.#stations[ticket?.replica ?? -1];
    if (ticket === null || station === undefined) return null;
    const place = this.#give(ticket, station, asked.prompt, () => {
      tried.add(ticket.replica);
      return this.#route(asked);
    });
    const told = ids.get(station.facts.fingerprint);
    if (told !== undefined) place.told(told);
    if (!ticket.chain.exact) {
      // In line with the engine's events: what it says from now on may be about this very request.
      station.timeline.push(() => this.#identifyLate(place, station, asked));
    }
    return place;
  }

  /** The prompt as a replica caches it; null = not there. Replicas that cache alike share one chain. */
  #chainAt(at: number, { asked, text, chains, anyLength }: Candidates): Chain | null {
    const station = this.#stations[at];
    if (station === undefined || asked.tried.has(at)) return null;
    const { facts, shape, reader } = station;
    const known = asked.ids.get(facts.fingerprint);
    if (known?.exact !== true) return text;
    const { length } = known.tokens;
    if (!anyLength && facts.contextWindow !== null && length >= facts.contextWindow) return null;
    const { kind, fingerprint, position, slots } = facts;
    const own = slots === null ? null : at;
    const name = JSON.stringify([kind, fingerprint, position, own, shape, reader?.adapters.size]);
    const chain = chains.get(name) ?? this.#scopes.chain(station, asked.prompt, known.tokens);
    chains.set(name, chain);
    return chain;
  }

  /** By exact ids, and after a while, the index knows what the conversation's replica was sent. */
  #knowsAll(previous: string | null, ids: ReadonlyMap<string, ToldIds>): boolean {
    const own = this.#stations.find(({ replica }) => replica.id === previous);
    return own !== undefined && ids.get(own.facts.fingerprint)?.exact === true && !own.mayHoldMore;
  }

  /** Ids that come after the choice still say what the replica held, and what it holds now. */
  async #identifyLate(place: GivenPlace, station: Station, asked: Asked): Promise<void> {
    const known = await asked.waiting.get(station.facts.fingerprint);
    if (known == null) return;
    place.told(known);
    if (!known.exact) return;
    place.identify(this.#scopes.chain(station, asked.prompt, known.tokens));
  }

  #give(
    ticket: Ticket,
    station: Station,
    prompt: ScopedPrompt,
    again: () => Placed | null,
  ): GivenPlace {
    return createGivenPlace({
      fleet: this.#fleet,
      station,
      ticket,
      request: prompt.request,
      fields: this.#scopes.fields(station, prompt),
      now: () => this.#now(),
      heard: () => {
        this.#heard[ticket.replica] = this.#now();
      },
      again,
    });
  }

  /** One replica of each fingerprint that tells token ids: the conversation's own, else each in turn. */
  #toldBy(previous: string | null): ReadonlyMap<string, Station> {
    const states = this.#fleet.state();
    const count = this.#stations.length;
    this.#turn = (this.#turn + 1) % count;
    const usable = this.#stations
      .map((_, at) => (at + this.#turn) % count)
      .filter((at) => states[at]?.health.breaker === 'closed')
      .flatMap((at) => this.#stations[at] ?? []);
    const own = usable.filter(({ replica }) => replica.id === previous);
    // The last entry of a key counts.
    return new Map([...usable, ...own].map((station) => [station.facts.fingerprint, station]));
  }

  #wantsCheck(at: number): boolean {
    const failing = this.#fleet.state()[at]?.health.failures !== 0;
    return failing || this.#now() - (this.#heard[at] ?? 0) >= idleMs;
  }

  #now(): number {
    return this.#options.clock.now();
  }

  #createStation(at: number): Station {
    const { replicas, salt, pinSlots, hashSeeds, maxIndexBlocks, onDefect } = this.#options;
    const replica = replicas[at];
    if (replica === undefined) throw new SluiceError('INTERNAL', `There is no replica ${at}`);
    return createStation({
      replica,
      salted: salt === 'tenant',
      pinned: pinSlots === true,
      seeds: hashSeeds ?? defaults.hashSeeds,
      maxIndexBlocks: maxIndexBlocks ?? defaults.maxIndexBlocks,
      index: () => {
        const index = this.#fleet.indexes[at];
        if (index === undefined) throw new SluiceError('INTERNAL', `There is no replica ${at}`);
        return index;
      },
      rebuild: (options) => this.#fleet.rebuild(at, options),
      now: () => this.#now(),
      onDefect: (error) => onDefect?.(error),
    });
  }
}

/** Resolves when all have, or after this many ms. */
async function atMost(promises: readonly Promise<unknown>[], ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.all(promises), late]);
  clearTimeout(timer);
}
