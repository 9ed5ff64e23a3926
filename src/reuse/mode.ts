/** How a request relates to what was forwarded before: the conversation goes on, branches, or starts cold. */
import type { Mode } from '../core/reuse-words.ts';
import type { MissReason } from './miss.ts';

export type { Mode };

/** What is kept about one conversation branch. */
export interface StoredConversation {
  /** Lineage keys of all units of the last request; unit i stands for everything up to it. */
  readonly keys: readonly string[];
  /** Tokens of the forwarded prompt up to and including each unit; null = not counted. */
  readonly forwardedTokens: readonly (number | null)[];
  /** A stretch in which the forwarded prefix only grew. */
  readonly epoch: number;
  /** Domain label (fingerprint, tenant, salt, regime) that the KV was computed in. */
  readonly domain: string;
  readonly replica: string | null;
  /** Milliseconds, when it was last forwarded. */
  readonly at: number;
}

export interface ModeInput {
  /** The conversation that the request goes on with, by name or by its longest known prefix; null = none known. */
  readonly stored: StoredConversation | null;
  readonly keys: readonly string[];
  readonly domain: string;
  /** Whether the cache can still hold what was forwarded; null = not known, taken as yes. */
  readonly alive: boolean | null;
}

export interface ModeDecision {
  readonly mode: Exclude<Mode, 'rewrite'>;
  /** Units at the front that were forwarded before: their decisions are replayed in every mode. */
  readonly sharedUnits: number;
  /** Forwarded tokens of those units that the cache can hold; null = not counted. */
  readonly sharedTokens: number | null;
  /** Why nothing is expected from the cache, or null. */
  readonly miss: MissReason | null;
}

/**
 * Pure. Bytes and cache are two things: the shared units are replayed byte for byte also when the cache is cold, only
 * then a rewrite costs nothing.
 */
export function modeOf({ stored, keys, domain, alive }: ModeInput): ModeDecision {
  if (stored === null) return { mode: 'cold', sharedUnits: 0, sharedTokens: 0, miss: null };
  const sharedUnits = commonUnits(stored.keys, keys);
  const cold = (miss: MissReason): ModeDecision => ({
    mode: 'cold',
    sharedUnits,
    sharedTokens: 0,
    miss,
  });
  if (sharedUnits === 0) return cold('prefix-changed-by-client');
  if (stored.domain !== domain) return cold('regime');
  if (alive === false) return cold('ttl');
  const sharedTokens = stored.forwardedTokens[sharedUnits - 1] ?? null;
  const mode = sharedUnits === stored.keys.length ? 'extend' : 'branch';
  const miss = mode === 'branch' ? 'prefix-changed-by-client' : null;
  return { mode, sharedUnits, sharedTokens, miss };
}

/** Keys are chains: the first difference ends what is common. */
function commonUnits(a: readonly string[], b: readonly string[]): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1;
  return at;
}

/** Ledger key of a unit in an epoch. Epoch 0 has the plain lineage key, so that it needs no store to be found. */
export function epochKey(lineageKey: string, epoch: number): string {
  return epoch === 0 ? lineageKey : `${lineageKey}@${epoch}`;
}
