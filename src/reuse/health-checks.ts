/** Looks at replicas now and then: only while one fails, or when nobody has heard of it for long. */

export interface HealthCheckDeps {
  readonly replicas: number;
  /** Time between two looks, in ms. */
  readonly everyMs: number;
  /** In [0, 1): the looks at several replicas, by several processes, do not fall together. */
  readonly random: () => number;
  readonly wanted: (replica: number) => boolean;
  /** Asks the server. */
  readonly check: (replica: number, signal: AbortSignal) => Promise<boolean>;
  readonly result: (replica: number, ok: boolean) => void;
}

const answerMs = 2000;

/** Starts the looks; returns what ends them. Keeps no process alive. */
export function startHealthChecks(deps: HealthCheckDeps): () => void {
  const { replicas, everyMs, random, wanted, check, result } = deps;
  if (everyMs === 0) return () => undefined;
  const looking = new Set<AbortController>();
  let ended = false;
  const look = async (replica: number): Promise<void> => {
    if (!wanted(replica)) return;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), answerMs).unref();
    looking.add(controller);
    const ok = await check(replica, controller.signal).catch(() => false);
    clearTimeout(timer);
    looking.delete(controller);
    if (!ended) result(replica, ok);
  };
  const timers = new Map<number, NodeJS.Timeout>();
  const schedule = (replica: number): void => {
    if (ended) return;
    const again = (): void => void look(replica).finally(() => schedule(replica));
    timers.set(replica, setTimeout(again, everyMs * (0.75 + random() / 2)).unref());
  };
  for (let replica = 0; replica < replicas; replica += 1) schedule(replica);
  return () => {
    ended = true;
    for (const controller of looking) controller.abort();
    for (const timer of timers.values()) clearTimeout(timer);
  };
}
