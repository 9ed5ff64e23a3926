/** What a length costs on any server: bytes of the cache, floating-point operations of the prompt. */
import type { ReuseClass } from '../../core/attention-profile.ts';
import { reuseClassOf } from '../../core/attention-profiles.ts';
import type { LayerKind } from '../../core/model-config.ts';
import type { KeptEntries, ModelShape } from './read-config.ts';

export interface CacheCost {
  /** What of a cached prompt may be used again, by the model's layers. */
  readonly reuse: ReuseClass;
  readonly dtype: string;
  /** Of a token that every layer still sees. */
  readonly bytesPerToken: number;
  /** At the length: windowed layers keep no more than their window; states of recurrent layers are not counted. */
  readonly bytesAtLength: number;
}

export interface PrefillCost {
  /** Operations that grow with the length: 2 x weights x tokens. */
  readonly linearFlops: number;
  /** Operations that grow with its square: 2 x layers x tokens^2 x channels, windowed layers less. */
  readonly attentionFlops: number;
  readonly totalFlops: number;
}

/** Numbers that one layer keeps of one token: 2 x heads x channels, or MLA's compressed vector and rotated key. */
export function keptValues(kept: KeptEntries): number {
  return kept.kind === 'heads' ? 2 * kept.kvHeads * kept.headDim : kept.rank + kept.ropeDim;
}

export function cacheCost(shape: ModelShape, length: number): CacheCost {
  const { kept, window, bytesPerValue, dtype } = shape;
  const layers = shape.layers - shape.recurrentLayers;
  const perLayer = keptValues(kept) * bytesPerValue;
  const windowed = window?.layers ?? 0;
  const resident = Math.min(length, window?.tokens ?? length);
  return {
    reuse: reuseClassOf(kindsOf(shape)),
    dtype,
    bytesPerToken: layers * perLayer,
    bytesAtLength: perLayer * ((layers - windowed) * length + windowed * resident),
  };
}

/** null = the configuration does not tell how many weights a token passes. */
export function prefillCost(shape: ModelShape, length: number): PrefillCost | null {
  const { window, activeParameters: weights } = shape;
  if (weights === null) return null;
  const layers = shape.layers - shape.recurrentLayers;
  const windowed = window?.layers ?? 0;
  const channels = shape.heads * shape.headDim;
  // A query and a key meet in 2 operations per channel, a weight and a value in 2 more.
  const seen = (reach: number): number => reach * length - (reach * reach) / 2;
  const pairs =
    (layers - windowed) * seen(length) +
    windowed * seen(Math.min(length, window?.tokens ?? length));
  const linearFlops = 2 * weights * length;
  const attentionFlops = 4 * channels * pairs;
  return { linearFlops, attentionFlops, totalFlops: linearFlops + attentionFlops };
}

function kindsOf({ window, recurrentLayers }: ModelShape): readonly LayerKind[] {
  return [
    'full',
    ...(window === null ? [] : ['window' as const]),
    ...(recurrentLayers === 0 ? [] : ['recurrent' as const]),
  ];
}
