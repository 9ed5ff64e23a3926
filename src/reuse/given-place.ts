/** One request's place on a replica, from its choice to its end. */
import type { Chain } from './chain.ts';
import type { Fleet, Ticket } from './fleet.ts';
import type { ToldIds } from './prompt-ids.ts';
import type { Station } from './station.ts';
import type { Forecast, Placed, PlacementRequest } from './types.ts';

export interface GivenDeps {
  readonly fleet: Fleet;
  readonly station: Station;
  readonly ticket: Ticket;
  readonly request: PlacementRequest;
  readonly fields: Readonly<Record<string, string | number>>;
  readonly now: () => number;
  /** The replica has shown that it lives, or that it does not. */
  readonly heard: () => void;
  /** Another place, after nothing was sent to this one. */
  readonly again: () => Placed | null;
}

export interface GivenPlace extends Placed {
  /** The exact chain came, before anything that happened on the replica since the request was placed. */
  identify(chain: Chain): void;
  /** Where the prompt's ids are from. */
  told(ids: ToldIds): void;
}

export function createGivenPlace(deps: GivenDeps): GivenPlace {
  const { fleet, station, ticket, now, heard } = deps;
  let forecast = forecastOf(deps);
  let ids: ToldIds | null = null;
  let ended = false;
  /** True the first time. */
  const end = (): boolean => {
    if (ended) return false;
    ended = true;
    return true;
  };
  return {
    replica: ticket.replica,
    id: ticket.id,
    fields: deps.fields,
    forecast: () => forecast,
    identify(chain) {
      fleet.identify(ticket, chain, now());
      forecast = forecastOf(deps);
    },
    told(known) {
      ids = known;
    },
    firstToken() {
      if (ended) return;
      heard();
      fleet.firstToken(ticket, null, now());
    },
    finish(reported, { promptTokens = null, completionTokens = null } = {}) {
      if (!end()) return;
      heard();
      if (promptTokens !== null) ids?.confirm(promptTokens);
      if (completionTokens !== null) station.answers.remember(ticket.chain, completionTokens);
      fleet.finish(ticket, { reported, whole: null }, now());
      if (reported !== null && forecast !== null && ticket.chain.exact && station.live) {
        station.reader?.compared(forecast.tokens, reported);
      }
    },
    fail(sent) {
      if (!end()) return null;
      heard();
      fleet.fail(ticket, now());
      return sent ? null : deps.again();
    },
    cancel() {
      if (end()) fleet.cancel(ticket, now());
    },
  };
}

/** What is expected of the ticket as it stands; null = nothing is known about it. */
function forecastOf({ ticket, station, request }: GivenDeps): Forecast | null {
  const { chain, expected } = ticket;
  const { blockTokens } = station.shape;
  if (chain.exact && station.live) {
    const exactness = station.reader?.certain === true ? 'exact' : 'estimated';
    return { tokens: expected.tokens, exactness, blockTokens };
  }
  const { reusableTokens, previous } = request;
  if (reusableTokens === null && expected.tokens === 0 && !chain.exact) return null;
  // By exact ids the index knows all that this process has sent.
  const counts = previous === ticket.id && (!chain.exact || station.mayHoldMore);
  const before = counts ? Math.min(reusableTokens ?? 0, chain.tokens - 1) : 0;
  const sent = Math.max(expected.tokens, Math.floor(before / blockTokens) * blockTokens);
  const tokens = Math.max(sent, station.answers.heldBy(chain, expected.tokens) ?? 0);
  return { tokens, exactness: 'estimated', blockTokens };
}
