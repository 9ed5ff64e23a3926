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
  #asked = -Infinity;
  #next = -Infinity;

  /** @param ask never rejects */
  constructor(ask: () => Promise<ServerLimits>, loaded: ReadonlyMap<string, number>) {
    this.#ask = ask;
    this.#windows = byName(loaded);
  }

  /** null = not known: the model was not seen loaded. The shortest of all for a request that names none. */
  windowOf(model: string | null): number | null {
    const own = model === null ? this.#shortest() : this.#windows.get(nameOf(model));
    // Somebody uses it: it will be known once it has answered.
    if (own === undefined) this.#next = Math.min(this.#next, this.#asked + unknownAgainMs);
    const window = Math.min(own ?? Infinity, this.#refusedAt);
    return window === Infinity ? null : window;
  }

  refused(limit: number): void {
    this.#refusedAt = Math.min(this.#refusedAt, limit);
  }

  /** A model has just answered: it may not have been loaded before. @returns whether something was learned */
  async answered(): Promise<boolean> {
    if (performance.now() < this.#next) return false;
    this.#asked = performance.now();
    // Set first: one question at a time.
    this.#next = Infinity;
    const { modelWindows } = await this.#ask();
    const learned = modelWindows !== null && modelWindows.size > 0;
    this.#next = this.#asked + (learned ? knownAgainMs : unknownAgainMs);
    if (!learned) return false;
    const loaded = byName(modelWindows);
    const all = new Map([...this.#windows, ...loaded]);
    this.#windows = all.size > mostModels ? loaded : all;
    return true;
  }

  #shortest(): number {
    return Math.min(...this.#windows.values());
  }
}

function byName(windows: ReadonlyMap<string, number>): Map<string, number> {
  return new Map(Array.from(windows, ([name, window]) => [nameOf(name), window]));
}

/** One model has several names: in any case, with or without registry, owner and tag. */
function nameOf(model: string): string {
  const name = model.toLowerCase().replace(/^(registry\.ollama\.ai\/)?(library\/)?/, '');
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}
