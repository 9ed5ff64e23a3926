/**
 * StreamingLLM (arXiv 2309.17453, section 3.2): before new tokens come, all but the first and the most recent tokens
 * are dropped; positions are places in the cache. What a token saw depends on when things were dropped, so KV behind
 * the first drop belongs to its session alone.
 */
import type { ModelShape } from '../types.ts';
import { plainRotary } from './frequencies.ts';
import { maskOf, placed } from './inputs.ts';
import type { PositionScheme } from './types.ts';

export interface Streaming {
  /** 4 in the paper. */
  readonly sinks?: number;
  /** Recent tokens beside them, new ones included; together the trained length. */
  readonly recent?: number;
}

export function streaming(options: Streaming, shape: ModelShape): PositionScheme {
  const { sinks = 4 } = options;
  const { recent = shape.trainedLength - sinks } = options;
  return {
    ...plainRotary(shape),
    name: `streaming(${sinks},${recent})`,
    inputs: (view) => ({
      ...placed(view, 0, (position) => (position < sinks ? position : position - view.dropped)),
      mask: maskOf(view, null),
      maskHeads: 1,
      second: null,
    }),
    retention: {
      sinks,
      recent: (fresh) => Math.max(0, recent - fresh),
      exact: false,
      maxFresh: recent,
    },
  };
}
