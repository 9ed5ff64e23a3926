/** Operator's configuration and client's wishes, combined: a client can only ask for less. */
import type { Config } from '../config/types.ts';
import type { Compressor, Survivors } from '../compress/types.ts';
import { methodNames, type MethodName } from '../core/method.ts';
import type { BodyWishes } from '../wire/types.ts';
import type { DecideSettings } from './decide.ts';
import type { Wishes } from './types.ts';

export type CompressorSource = (method: MethodName) => Compressor;

export interface RequestSettings {
  /** Share that is kept at least of a text that does not fit at the rate; null = the rate. */
  readonly fitRate: number | null;
  /**
   * Settings for the next unit, when `spent` tokens of the request are already decided.
   * @param plan what the unit's plan says of it; left out = compress as configured
   */
  forUnit(spent: number, plan?: UnitPlan): DecideSettings;
}

export interface UnitPlan {
  readonly pays: boolean;
  /** Tokens that the unit's text should have at most; null = no such aim. */
  readonly targetTokens: number | null;
}

/** Header and body wishes together; where both speak, the one that compresses less wins. */
export function combineWishes(header: Wishes, body: BodyWishes): Wishes {
  const rates = [header.rate, body.rate].filter(isNumber);
  const targets = [header.targetTokens, body.targetTokens].filter(isNumber);
  const method = header.method ?? methodNames.find((name) => name === body.method);
  const session = header.session ?? body.session;
  return {
    ...(header.compress === false || body.compress === false ? { compress: false } : {}),
    ...(rates.length === 0 ? {} : { rate: Math.max(...rates) }),
    ...(targets.length === 0 ? {} : { targetTokens: Math.max(...targets) }),
    ...(method === undefined ? {} : { method }),
    ...(header.windows === undefined ? {} : { windows: header.windows }),
    ...(session === null || session === undefined ? {} : { session }),
  };
}

/** NaN says nothing; it would make every comparison with it false. */
function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** More tokens than any body has; an unbounded target means that nothing needs to go. */
const largestTarget = 2 ** 31;

export function settingsFor(config: Config, survivors: Survivors, wishes: Wishes): RequestSettings {
  const { compress, limits } = config;
  const rate = Math.min(1, Math.max(compress.rate, wishes.rate ?? 0));
  const { fit_rate: fit } = config.windows;
  // Who asks for windows wants them of the text as it is.
  const fits = fit !== null && typeof wishes.windows !== 'number';
  const base = {
    method: wishes.method ?? compress.method,
    rate,
    minTokens: compress.min_tokens,
    maxChars: limits.compress_chars,
    plainText: compress.plain_text,
    survivors,
    failClosed: compress.on_failure === 'closed',
  };
  return {
    fitRate: fits ? Math.min(rate, Math.max(fit, wishes.rate ?? 0)) : null,
    forUnit: (spent, plan = { pays: true, targetTokens: null }) => {
      const wanted =
        wishes.targetTokens === undefined
          ? null
          : Math.max(1, Math.min(wishes.targetTokens, largestTarget) - spent);
      // The rate leaves no more than the plan's target does; only a client's own target may.
      const targetTokens = wanted === null ? null : Math.min(wanted, plan.targetTokens ?? wanted);
      return { ...base, pays: plan.pays, targetTokens };
    },
  };
}

/** The configured survivors, compiled. The configuration has checked every pattern. */
export function survivorsOf(config: Config): Survivors {
  const { survivors } = config.compress;
  return {
    classes: survivors.classes,
    literals: survivors.literals,
    patterns: survivors.patterns.map((pattern) => new RegExp(pattern, 'gu')),
  };
}
