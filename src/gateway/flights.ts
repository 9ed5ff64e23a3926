/** Requests on their way: where each was placed, what was expected there, and what came of it. */
import type { Backend } from '../backends/types.ts';
import { boundedCache } from '../core/bounded-cache.ts';
import type { RequestReport } from '../core/report.ts';
import { defectFields } from '../observe/defect.ts';
import type { Observer } from '../observe/types.ts';
import type { Forecast, Placed, Placement, TurnOutcomeFacts } from '../reuse/types.ts';
import { addMembers } from '../wire/members.ts';
import type { Pass } from './pass.ts';
import { responseHeaders } from './report.ts';
import type { Reports } from './reports.ts';
import type { Outcome, PrepareInput, Prepared, Progress } from './types.ts';

/** Requests that are on their way at once; of more, the oldest are forgotten by the router. */
const maxFlights = 100_000;

interface Flight {
  readonly pass: Pass;
  readonly placed: Placed | null;
  /** Places that were tried. */
  readonly tries: number;
  /** The place knows already how it ended. */
  readonly ended: boolean;
  /** It is answered by other prompts than the one that was planned for. */
  readonly detached: boolean;
}

export interface FlightDeps {
  readonly backends: readonly Backend[];
  readonly placement: Placement | null;
  readonly reports: Reports;
  readonly observer: Observer;
}

export interface Flights {
  /** Finds a place for a pass whose report is open, and remembers its turn. Never rejects. */
  depart(input: PrepareInput, pass: Pass, report: RequestReport): Promise<Prepared>;
  /** Where a request goes that is not read. */
  anyBackend(): Backend;
  /** The request is answered by other prompts than its own: nothing is expected of it, and nothing learned from it. */
  detach(id: string): void;
  /** The request is over: its place is free, its turn has taught something, and its open report says so. */
  arrived(id: string, outcome: Outcome): void;
}

export function createFlights(deps: FlightDeps & { readonly first: Backend }): Flights {
  return new PlacedFlights(deps);
}

class PlacedFlights implements Flights {
  readonly #deps: FlightDeps & { readonly first: Backend };
  readonly #open = boundedCache<Flight>({ maxEntries: maxFlights });
  #next = 0;

  constructor(deps: FlightDeps & { readonly first: Backend }) {
    this.#deps = deps;
  }

  async depart(input: PrepareInput, pass: Pass, report: RequestReport): Promise<Prepared> {
    const { turn, tokens } = pass;
    const placed = input.forwards === true ? await this.#place(input, pass) : null;
    await turn?.forwarded({ tokens, replica: placed?.id ?? null });
    return this.#prepared(report.id, {
      pass,
      placed,
      tries: 1,
      ended: false,
      detached: false,
    });
  }

  detach(id: string): void {
    const flight = this.#open.get(id);
    if (flight !== undefined) this.#open.set(id, { ...flight, detached: true });
  }

  anyBackend(): Backend {
    const { backends, placement, first } = this.#deps;
    if (placement === null || backends.length < 2) return first;
    const states = placement.state();
    const usable = backends.filter((_, at) => {
      const state = states[at];
      return state === undefined || (state.healthy && !state.draining);
    });
    this.#next = (this.#next + 1) % Math.max(1, usable.length);
    return usable[this.#next] ?? first;
  }

  arrived(id: string, outcome: Outcome): void {
    const flight = this.#open.get(id);
    if (flight === undefined) return;
    this.#open.delete(id);
    const { pass, placed, ended, detached } = flight;
    const forecast = forecastOf(flight);
    const usage = detached ? null : outcome.usage;
    if (placed !== null && !ended) endOf(placed, { ...outcome, usage });
    if (detached) return;
    this.#deps.reports.amend(id, (report) => {
      const known = { ...report, plannedReuse: forecast?.tokens ?? null };
      if (report.reuse === null || pass.turn === null) return known;
      const missReason = pass.turn.settled(turnOutcome(flight, report, { outcome, forecast }));
      const exactness = forecast?.exactness ?? 'unknown';
      return { ...known, reuse: { ...report.reuse, missReason, exactness } };
    });
  }

  async #place(
    input: PrepareInput,
    { body, request, turn, session }: Pass,
  ): Promise<Placed | null> {
    const { placement, observer } = this.#deps;
    if (placement === null) return null;
    try {
      return await placement.place({
        path: input.path,
        body,
        tenant: input.tenant,
        model: request?.model ?? null,
        previous: turn?.previous ?? null,
        session,
        reusableTokens: turn?.reusableTokens ?? null,
        signal: input.signal,
      });
    } catch (error) {
      observer.log.error(defectFields(error), 'a request goes to the first backend');
      return null;
    }
  }

  #prepared(id: string, flight: Flight): Prepared {
    const { backends, first } = this.#deps;
    const { pass, placed } = flight;
    const backend = (placed === null ? first : backends[placed.replica]) ?? first;
    this.#open.set(id, flight);
    return {
      id,
      body: placed === null ? pass.body : addMembers(pass.body, placed.fields),
      responseHeaders: this.#headers(id, flight, backend),
      backend,
      progress: placed === null ? null : this.#progress(id, flight, { placed, backend }),
    };
  }

  /** Notes in the open report what is expected now. */
  #headers(id: string, flight: Flight, backend: Backend): readonly string[] {
    const now = this.#open.get(id) ?? flight;
    const report = this.#deps.reports.amend(id, (open) => departing(open, now, backend));
    return responseHeaders(report ?? departing(flight.pass.report, now, backend));
  }

  #progress(
    id: string,
    flight: Flight,
    { placed, backend }: { readonly placed: Placed; readonly backend: Backend },
  ): Progress {
    const { pass, tries } = flight;
    return {
      headers: () => this.#headers(id, flight, backend),
      answering: () => {
        if (pass.request?.stream === true) placed.firstToken();
      },
      elsewhere: () => {
        const next = placed.fail(false);
        if (next === null || tries >= this.#deps.backends.length) {
          next?.cancel();
          this.#open.set(id, { ...flight, ended: true });
          return null;
        }
        void pass.turn?.forwarded({ tokens: pass.tokens, replica: next.id });
        return this.#prepared(id, {
          pass,
          placed: next,
          tries: tries + 1,
          ended: false,
          detached: false,
        });
      },
    };
  }
}

/** Tells the place how it ended. A server that answers that it cannot serve has failed as well. */
function endOf(placed: Placed, outcome: Outcome): void {
  const { status, error, usage } = outcome;
  if (error === 'ABORTED') placed.cancel();
  else if (error !== null) placed.fail(true);
  else if (status !== null && status >= 502 && status <= 504) placed.fail(true);
  else placed.finish(usage?.cachedTokens ?? null, usage ?? {});
}

function turnOutcome(
  { pass, placed }: Flight,
  { tokensBefore, tokensAfter, timings }: RequestReport,
  end: { readonly outcome: Outcome; readonly forecast: Forecast | null },
): TurnOutcomeFacts {
  const { usage } = end.outcome;
  const counted = tokensBefore !== null && tokensAfter !== null;
  return {
    planned: end.forecast?.tokens ?? null,
    reported: usage?.cachedTokens ?? null,
    promptTokens: usage?.promptTokens ?? null,
    savedTokens: counted ? tokensBefore - tokensAfter : null,
    compressedBefore: pass.compressed.before,
    compressedAfter: pass.compressed.after,
    compressMs: timings.compressMs,
    blockTokens: end.forecast?.blockTokens ?? usualBlockTokens,
    exactIndex: end.forecast?.exactness === 'exact',
    replica: placed?.id ?? null,
  };
}

/** Of a server that does not tell: as most have it, so that a rest of a block is not taken for a loss. */
const usualBlockTokens = 16;

function forecastOf({ pass, placed }: Flight): Forecast | null {
  const forecast = placed?.forecast() ?? ownForecast(pass);
  return forecast !== null && pass.turn?.uncacheable === true
    ? { ...forecast, tokens: 0 }
    : forecast;
}

/** What the conversation's own memory lets expect. */
function ownForecast({ turn }: Pass): Forecast | null {
  const tokens = turn?.reusableTokens ?? null;
  return tokens === null ? null : { tokens, exactness: 'estimated', blockTokens: usualBlockTokens };
}

/** The report of a request that is about to be forwarded. */
function departing(report: RequestReport, flight: Flight, backend: Backend): RequestReport {
  const { pass, placed } = flight;
  const forecast = forecastOf(flight);
  const { turn } = pass;
  const placedReport = { ...report, backend: backend.name };
  if (turn === null || flight.detached) return placedReport;
  const { plan } = turn;
  return {
    ...placedReport,
    epoch: plan.epoch,
    plannedReuse: forecast?.tokens ?? null,
    reuse: {
      mode: plan.mode,
      exactness: forecast?.exactness ?? 'unknown',
      admission: plan.admission,
      rewrite: plan.rewriteReason,
      missReason: null,
      regime: turn.regime,
      replica: placed?.id ?? null,
    },
  };
}
