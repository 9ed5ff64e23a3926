/** Sinks: long conversations without their middle. */

/** A run of messages that stays or goes together. */
export interface SinkUnit {
  /** Role of its messages; `other` = none of those that end a turn. */
  readonly role: 'user' | 'assistant' | 'tool' | 'other';
  /** As forwarded. */
  readonly tokens: number;
}

export interface SinkOptions {
  readonly windowTokens: number;
  /** Shares of the window: above `start` turns are left out, until `keep` is left. */
  readonly start: number;
  readonly keep: number;
  /** Turns at the beginning that stay. */
  readonly firstTurns: number;
  /** Tokens of the marker. */
  readonly markerTokens: number;
}

/** Units `from` up to, not including, `to` are left out. */
export interface SinkCut {
  readonly from: number;
  readonly to: number;
  /** Tokens of the units that are left out. */
  readonly tokens: number;
  /** How many cuts were made so far; each begins an epoch. */
  readonly cuts: number;
  /** Unit at whose end the last cut was made. */
  readonly madeAt: number;
}

/** What the gateway needs; made by the composition root. */
export interface SinkTools {
  cut(units: readonly SinkUnit[], options: SinkOptions): SinkCut | null;
  marker(left: { readonly messages: number; readonly tokens: number }): string;
}
