/**
 * Methods for long input as data: what each changes in a backend's costs, and what of its cache may be used again. The
 * list is that of the survey "Beyond the limits" (arXiv 2402.02244), with what serves today beside it.
 */
import type { AttentionProfile, ReuseClass } from './attention-profile.ts';
import { approximation, attentionFree, compression, hardware } from './attention-profiles-other.ts';
import { extrapolation, windows } from './attention-profiles-positions.ts';
import type { LayerKind } from './model-config.ts';

export const attentionProfiles: readonly AttentionProfile[] = [
  ...extrapolation,
  ...windows,
  ...approximation,
  ...attentionFree,
  ...compression,
  ...hardware,
];

/** Profiles that hold for a model by its kinds of layers; none for one that sees everything in every layer. */
export function layerProfiles(layers: readonly LayerKind[]): readonly AttentionProfile[] {
  const ids: string[] = [];
  if (layers.includes('window')) ids.push(layers.includes('full') ? 'hybrid-swa' : 'swa');
  if (layers.includes('recurrent')) {
    ids.push(layers.some((layer) => layer !== 'recurrent') ? 'hybrid-recurrent' : 'mamba');
  }
  return attentionProfiles.filter(({ id }) => ids.includes(id));
}

/** Class of a model by its kinds of layers: the strictest of them. */
export function reuseClassOf(layers: readonly LayerKind[]): ReuseClass {
  const classes = layerProfiles(layers).map(({ reuse }) => reuse);
  if (classes.includes('S')) return 'S';
  return classes.includes('W') ? 'W' : 'A';
}
