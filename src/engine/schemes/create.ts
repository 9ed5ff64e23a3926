/** From plain data to a scheme. */
import { SluiceError } from '../../core/errors.ts';
import type { RopeScaling } from '../../context/extension/rope.ts';
import type { ModelShape } from '../types.ts';
import { frequencyScheme } from './frequencies.ts';
import { linearBias } from './linear-bias.ts';
import type { LinearBias } from './linear-bias.ts';
import { lmInfinite } from './lm-infinite.ts';
import type { LmInfinite } from './lm-infinite.ts';
import { structured } from './parallel.ts';
import type { Structured } from './parallel.ts';
import { slidingWindow } from './sliding-window.ts';
import type { SlidingWindow } from './sliding-window.ts';
import { streaming } from './streaming.ts';
import type { Streaming } from './streaming.ts';
import type { PositionScheme } from './types.ts';

/** Full attention with other frequencies, or a scheme with a mask of its own. */
export type SchemeConfig =
  | RopeScaling
  | ({ readonly type: 'lm-infinite' } & LmInfinite)
  | ({ readonly type: 'streaming' } & Streaming)
  | ({ readonly type: 'sliding-window' } & SlidingWindow)
  | ({ readonly type: 'linear-bias' } & LinearBias)
  | ({ readonly type: 'structured' } & Structured);

/** @throws SluiceError REQUEST_INVALID naming the parameter that is out of range */
export function createScheme(config: SchemeConfig, shape: ModelShape): PositionScheme {
  switch (config.type) {
    case 'lm-infinite':
      atLeast(config, { sinks: 0, window: 1, cap: 0 });
      return lmInfinite(config, shape);
    case 'streaming':
      atLeast(config, { sinks: 0, recent: 1 });
      return streaming(config, shape);
    case 'sliding-window':
      atLeast(config, { window: 1 });
      return slidingWindow(config, shape);
    case 'linear-bias':
      return linearBias(config, shape);
    case 'structured':
      atLeast(config, { groups: 1 });
      return structured(config, shape);
    default:
      // The compiler holds that all others are scalings.
      return frequencyScheme(config, shape);
  }
}

function atLeast(
  config: { readonly type: string },
  bounds: Readonly<Record<string, number>>,
): void {
  for (const [name, value] of Object.entries(config)) {
    const bound = bounds[name];
    if (bound === undefined || value === undefined) continue;
    if (Number.isInteger(value) && Number(value) >= bound) continue;
    const expected = `an integer of at least ${bound}`;
    const message = `${config.type}: ${name} must be ${expected}; found ${String(value)}`;
    throw new SluiceError('REQUEST_INVALID', message);
  }
}
