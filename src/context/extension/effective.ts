/** How much of a claimed length is of use: what was published of other models, and an estimate by it. */

export interface EffectiveLength {
  readonly model: string;
  readonly claimed: number;
  /** Longest length at which the model passed; `null` = none of those that were tried, 4096 the shortest. */
  readonly effective: number | null;
  readonly source: string;
}

const ruler = 'RULER (arXiv 2404.06654)';

export const publishedLengths: readonly EffectiveLength[] = [
  { model: 'GPT-4', claimed: 131_072, effective: 65_536, source: ruler },
  { model: 'Llama-3.1-8B', claimed: 131_072, effective: 32_768, source: ruler },
  { model: 'Qwen2-72B', claimed: 131_072, effective: 32_768, source: ruler },
  { model: 'Mistral-7B v0.2', claimed: 32_768, effective: 16_384, source: ruler },
  { model: 'Together-7B (linear interpolation)', claimed: 32_768, effective: 4_096, source: ruler },
  { model: 'LWM-7B', claimed: 1_048_576, effective: null, source: ruler },
];

export interface EffectiveEstimate {
  /** Tokens, by the median share of the published models. */
  readonly tokens: number;
  /** By the smallest and largest share of those that passed at all. */
  readonly from: number;
  readonly to: number;
  /** Never a measurement of the model itself. */
  readonly basis: string;
}

/** An estimate by the shares of other models; measure before relying on it. */
export function estimateEffective(length: number): EffectiveEstimate {
  const shares = publishedLengths
    .map(({ claimed, effective }) => (effective ?? 0) / claimed)
    .sort((a, b) => a - b);
  const passed = shares.filter((share) => share > 0);
  const of = (share: number): number => Math.floor(share * length);
  const middle = shares.length / 2;
  const median = ((shares[Math.ceil(middle) - 1] ?? 0) + (shares[Math.floor(middle)] ?? 0)) / 2;
  return {
    tokens: of(median),
    from: of(passed[0] ?? 0),
    to: of(passed.at(-1) ?? 0),
    basis: `an estimate by the median of ${shares.length} models in ${ruler}, not a measurement of this one; ${shares.length - passed.length} of them passed at no length tried`,
  };
}
