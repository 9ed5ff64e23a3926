/** Context windows of a server that loads and unloads models, each with a window of its own. */
import type { ServerLimits } from './types.ts';

/** Least time between two questions while nothing is known, and afterwards: a model may be loaded with another one. */
const unknownAgainMs = 1000;
const knownAgainMs = 60_000;
/** Models whose windows are remembered. */
const mostModels = 1000;

export class LoadedModels {
  readonly #ask: () => Promise<ServerLimits>;
  /** What was unloaded is not forgotten. */
  #windows: ReadonlyMap<string, number>;
  /** Shortest window that a refusal has named. */
  #refusedAt = Infinity;
  #next = 0;

  /** @param ask never rejects */
  constructor(ask: () => Promise<ServerLimits>, loaded: ReadonlyMap<string, number>) {
    this.#ask = ask;
    this.#windows = loaded;
  }

  /** null = not known: the model was not seen loaded. The shortest of all for a request that names none. */
  windowOf(model: string | null): number | null {
    const own =
      model === null
        ? Math.min(...this.#windows.values())
        : (this.#windows.get(model) ?? this.#windows.get(`${model}:latest`) ?? Infinity);
    const window = Math.min(own, this.#refusedAt);
    return window === Infinity ? null : window;
  }

  refused(limit: number): void {
    this.#refusedAt = Math.min(this.#refusedAt, limit);
  }

  /** A model has just answered: it may not have been loaded before. @returns whether something was learned */
  async answered(): Promise<boolean> {
    if (performance.now() < this.#next) return false;
    // Set first: one question at a time.
    this.#next = performance.now() + unknownAgainMs;
    const { modelWindows } = await this.#ask();
    if (modelWindows === null || modelWindows.size === 0) return false;
    this.#next = performance.now() + knownAgainMs;
    const all = new Map([...this.#windows, ...modelWindows]);
    this.#windows = all.size > mostModels ? modelWindows : all;
    return true;
  }
}
