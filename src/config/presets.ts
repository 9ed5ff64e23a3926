/** Starting points for the `compress` section, as plain data. */
import type { Config, PresetName } from './types.ts';

export type PresetValues = Pick<Config['compress'], 'method' | 'tier' | 'rate' | 'min_tokens'>;

export const presets: Readonly<Record<PresetName, PresetValues>> = {
  /** No network runs for prose: whole sentences are chosen by BM25 and a token table against the question. */
  fast: { method: 'auto', tier: 'express', rate: 0.5, min_tokens: 150 },
  balanced: { method: 'auto', tier: 'balanced', rate: 0.5, min_tokens: 150 },
  /** Keeps more, and leaves more texts alone. */
  faithful: { method: 'auto', tier: 'balanced', rate: 0.7, min_tokens: 300 },
};
