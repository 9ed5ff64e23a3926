/** Starting points for the `compress` section, as plain data. */
import type { Config, PresetName } from './types.ts';

export type PresetValues = Pick<Config['compress'], 'method' | 'rate' | 'min_tokens'>;

export const presets: Readonly<Record<PresetName, PresetValues>> = {
  /** No model runs for prose: whole sentences are chosen by BM25 against the question. */
  fast: { method: 'extractive', rate: 0.5, min_tokens: 150 },
  balanced: { method: 'auto', rate: 0.5, min_tokens: 150 },
  /** Keeps more, and leaves more texts alone. */
  faithful: { method: 'auto', rate: 0.7, min_tokens: 300 },
};
