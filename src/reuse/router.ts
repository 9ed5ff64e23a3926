/** Which replica gets a request: seconds until its first token, with what each replica already holds counted in. */

/** What the router knows about one replica when it decides. */
export interface ReplicaView {
  readonly id: string;
  /** False when fingerprint or regime forbid this request there, or when its breaker or drain does. */
  readonly eligible: boolean;
  /** Tokens of this prompt that it will not compute again (see ReplicaIndex.match). */
  readonly hitTokens: number;
  /** The same weighted by tier and confidence. */
  readonly creditTokens: number;
  /** Measured prefill speed in tokens a second; null = not measured yet. */
  readonly prefillRate: number | null;
  /** Uncached prompt tokens that were sent to it and have not answered yet. */
  readonly queuedTokens: number;
  /** Requests that it works on. */
  readonly running: number;
  /** Tokens of KV in use by running requests, and how many fit; null = not known. */
  readonly activeTokens: number;
  readonly capacityTokens: number | null;
  /** Uncached tokens that were sent there lately: what it had to make room for (see `decayed`). */
  readonly recentTokens: number;
}

export interface RouteRequest {
  readonly promptTokens: number;
  /** Replica of the conversation's previous turn, or null. */
  readonly previous: string | null;
}

/** All times in seconds. */
export interface RouterOptions {
  /** Prefill speed assumed for a replica that was not measured, tokens a second. */
  readonly defaultPrefillRate: number;
  /**
   * What a second of computing counts besides being waited for: it keeps others waiting and fills a cache with what
   * another one holds. Above 1, a burst of one new prefix stays where its first request is being computed.
   */
  readonly computeWeight: number;
  /**
   * Seconds that leaving costs for every second of computing that the conversation's replica would have saved: what
   * stays behind there is of no use to anybody and evicts what is.
   */
  readonly moveWeight: number;
  /**
   * Leaving a replica that holds the whole prompt never costs more seconds than this, and less where it holds less:
   * nobody waits behind a long queue to save a little computing.
   */
  readonly moveSeconds: number;
  /** How it falls with the share of the prompt that would stay behind: share to this power. */
  readonly moveShare: number;
  /** Cost of a replica whose KV memory is full of running requests. */
  readonly activeWeight: number;
  /** Above this share of KV in use the cost rises steeply: preemption is near. */
  readonly pressureFrom: number;
  readonly pressureWeight: number;
  /** A conversation stays when its replica holds at least this share of the prompt ... */
  readonly stickyShare: number;
  /** ... unless that costs this much more than the best: the larger of seconds and share. */
  readonly stickySeconds: number;
  readonly stickyRatio: number;
  /** Out of balance: most minus fewest running above `imbalanceRequests`, and above `imbalanceRatio` times fewest. */
  readonly imbalanceRequests: number;
  readonly imbalanceRatio: number;
  /**
   * New conversations, and requests of which nobody holds this share, go to the least crowded cache among those that
   * cost at most this many seconds more than the best and hold at most this share of the prompt less.
   */
  readonly coldShare: number;
  readonly coldSeconds: number;
  /** ... or at most this many tokens and this share of the prompt less. */
  readonly copyTokens: number;
  readonly copyShare: number;
}

/**
 * Set on both Mooncake traces with 4, 8 and 16 simulated replicas (bench/router.ts); pressure and imbalance as in the
 * field's routers.
 */
export const defaultRouterOptions: RouterOptions = {
  defaultPrefillRate: 5000,
  computeWeight: 1.5,
  moveWeight: 48,
  moveSeconds: 16,
  moveShare: 0.25,
  activeWeight: 0.2,
  pressureFrom: 0.9,
  pressureWeight: 20,
  stickyShare: 0.5,
  stickySeconds: 3,
  stickyRatio: 0.2,
  imbalanceRequests: 32,
  imbalanceRatio: 1.5,
  coldShare: 0.02,
  coldSeconds: 0.1,
  copyTokens: 64,
  copyShare: 0.125,
};

/**
 * - `only`: no choice
 * - `sticky`: the conversation's replica holds most of the prompt
 * - `score`: least cost
 * - `cold`: nobody holds a share worth following; it goes where least had to make room lately
 * - `imbalance`: too uneven, least cost without the cache
 */
export type RouteReason = 'only' | 'sticky' | 'score' | 'cold' | 'imbalance';

export interface Route {
  /** Index into the given replicas. */
  readonly replica: number;
  readonly reason: RouteReason;
  /** Expected seconds to the first token there, with load terms. */
  readonly cost: number;
}

/**
 * Deterministic: equal input, equal choice; ties go to fewer running requests, then to the smaller index. The cost of
 * a replica is weighted uncached / speed + queued / speed + load terms.
 * @returns null when no replica is eligible
 */
export function chooseReplica(
  request: RouteRequest,
  replicas: readonly ReplicaView[],
  options: RouterOptions = defaultRouterOptions,
): Route | null {
  const open = replicas.flatMap((view, at) => (view.eligible ? [{ view, at }] : []));
  const first = open[0];
  if (first === undefined) return null;
  const home = replicas.find((view) => view.id === request.previous);
  const { promptTokens } = request;
  const costs = replicas.map(
    (view) =>
      routeCost(promptTokens, view, options) + moveCost(home, view, { promptTokens, options }),
  );
  const route = (at: number, reason: RouteReason): Route => ({
    replica: at,
    reason,
    cost: costs[at] ?? 0,
  });
  if (open.length === 1) return route(first.at, 'only');
  if (outOfBalance(open, options)) {
    const blind = replicas.map((view) =>
      routeCost(request.promptTokens, { ...view, creditTokens: 0 }, options),
    );
    return route(cheapest(open, blind), 'imbalance');
  }
  const best = cheapest(open, costs);
  const sticky = stickyReplica(request, open, { costs, best, options });
  if (sticky !== null) return route(sticky, 'sticky');
  const much = options.coldShare * promptTokens;
  const cold = open.every(({ view }) => view.hitTokens <= much);
  if (!cold && home !== undefined) return route(best, 'score');
  const alike = openAlike(open, replicas[best], { promptTokens, options });
  return route(leastCrowded(alike, { costs, best, options }), cold ? 'cold' : 'score');
}

/** Seconds until the first token on this replica, plus penalties for the memory that running requests hold. */
export function routeCost(
  promptTokens: number,
  view: ReplicaView,
  options: RouterOptions = defaultRouterOptions,
): number {
  const rate = view.prefillRate ?? options.defaultPrefillRate;
  const uncached = Math.max(0, promptTokens - view.creditTokens);
  const usage = view.capacityTokens === null ? 0 : view.activeTokens / view.capacityTokens;
  const pressure = Math.max(0, usage - options.pressureFrom) * options.pressureWeight;
  return (
    (options.computeWeight * uncached + view.queuedTokens) / rate +
    options.activeWeight * usage +
    pressure
  );
}

/** Tokens that only the conversation's own replica holds, in seconds of computing them here, times the weight. */
function moveCost(
  home: ReplicaView | undefined,
  view: ReplicaView,
  { promptTokens, options }: { promptTokens: number; options: RouterOptions },
): number {
  if (home === undefined || home === view) return 0;
  const left = Math.max(0, home.hitTokens - view.hitTokens);
  const seconds = left / (view.prefillRate ?? options.defaultPrefillRate);
  const limit = options.moveSeconds * (left / Math.max(left, promptTokens, 1)) ** options.moveShare;
  return Math.min(limit, options.moveWeight * seconds);
}

/** A sum that forgets: `value` at `from` as it counts at `now` (both ms). */
export function decayed(value: number, from: number, now: number, halfLifeMs: number): number {
  return value * 2 ** ((from - now) / halfLifeMs);
}

interface Open {
  readonly view: ReplicaView;
  readonly at: number;
}

interface Weighed {
  readonly costs: readonly number[];
  readonly best: number;
  readonly options: RouterOptions;
}

function cheapest(open: readonly Open[], costs: readonly number[]): number {
  const order = open.toSorted(
    (a, b) =>
      (costs[a.at] ?? 0) - (costs[b.at] ?? 0) || a.view.running - b.view.running || a.at - b.at,
  );
  return order[0]?.at ?? 0;
}

function outOfBalance(open: readonly Open[], options: RouterOptions): boolean {
  const running = open.map(({ view }) => view.running);
  const most = Math.max(...running);
  const fewest = Math.min(...running);
  return most - fewest > options.imbalanceRequests && most > options.imbalanceRatio * fewest;
}

function stickyReplica(
  request: RouteRequest,
  open: readonly Open[],
  { costs, best, options }: Weighed,
): number | null {
  const held = open.find(({ view }) => view.id === request.previous);
  if (held === undefined || request.promptTokens === 0) return null;
  if (held.view.hitTokens / request.promptTokens < options.stickyShare) return null;
  const cost = costs[held.at] ?? 0;
  const least = costs[best] ?? 0;
  const slack = Math.max(options.stickySeconds, options.stickyRatio * least);
  return cost - least <= slack ? held.at : null;
}

/**
 * Where a new conversation may begin: replicas that hold about as much of it as the best one. A short beginning that all
 * conversations share is computed once more without hesitation: from then on both hold it, and later turns stay.
 */
function openAlike(
  open: readonly Open[],
  best: ReplicaView | undefined,
  { promptTokens, options }: { readonly promptTokens: number; readonly options: RouterOptions },
): readonly Open[] {
  if (best === undefined) return open;
  const { coldShare, copyShare, copyTokens } = options;
  const little = Math.min(copyTokens, copyShare * promptTokens);
  const fewest = best.hitTokens - Math.max(little, coldShare * promptTokens);
  return open.filter(({ view }) => view.hitTokens >= fewest);
}

function leastCrowded(open: readonly Open[], { costs, best, options }: Weighed): number {
  const limit = (costs[best] ?? 0) + options.coldSeconds;
  const near = open.filter(({ at }) => (costs[at] ?? 0) <= limit);
  const order = near.toSorted(
    (a, b) =>
      a.view.recentTokens - b.view.recentTokens ||
      (costs[a.at] ?? 0) - (costs[b.at] ?? 0) ||
      a.view.running - b.view.running ||
      a.at - b.at,
  );
  return order[0]?.at ?? best;
}
