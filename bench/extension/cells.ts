/** What the study measures: one cell is the perplexity of one stretch of text behind one length of context. */
import type { SchemeConfig } from '../../src/engine/schemes/create.ts';

export const trainedLength = 1024;

/** Tokens at the end of every context whose perplexity counts. */
export const scored = 512;

export interface Cell {
  /** `curve|multiple|target`: one cell, one measurement. */
  readonly id: string;
  readonly curve: string;
  /** Context, in trained lengths. */
  readonly multiple: number;
  /** Which stretch of text. */
  readonly target: number;
  readonly scheme: SchemeConfig;
  /** Tokens per step; StreamingLLM drops before a step, so its steps are short. */
  readonly chunk: number;
  /** KV that may exist at once. */
  readonly kvTokens: number;
}

export interface Curve {
  readonly name: string;
  readonly label: string;
  /** Bounded KV costs the same per token at any length. */
  readonly bounded: boolean;
  scheme(multiple: number): SchemeConfig;
}

export const curves: readonly Curve[] = [
  { name: 'none', label: 'none', bounded: false, scheme: () => ({ type: 'default' }) },
  {
    name: 'window',
    label: 'window without sinks',
    bounded: true,
    scheme: () => ({ type: 'sliding-window' }),
  },
  {
    name: 'linear',
    label: 'PI, factor = length',
    bounded: false,
    scheme: (factor) => ({ type: 'linear', factor }),
  },
  {
    name: 'ntk',
    label: 'NTK, factor 8',
    bounded: false,
    scheme: () => ({ type: 'ntk-static', factor: 8 }),
  },
  {
    name: 'dynamic',
    label: 'dynamic NTK',
    bounded: false,
    scheme: () => ({ type: 'dynamic', factor: 1 }),
  },
  {
    name: 'yarn',
    label: 'YaRN, factor = length',
    bounded: false,
    scheme: (factor) => ({ type: 'yarn', factor }),
  },
  {
    name: 'streaming',
    label: 'StreamingLLM (4 sinks)',
    bounded: true,
    scheme: () => ({ type: 'streaming' }),
  },
  {
    name: 'lm-infinite',
    label: 'LM-Infinite',
    bounded: true,
    scheme: () => ({ type: 'lm-infinite' }),
  },
];

/** Bases for the scaling law: below and above the trained one. */
export const bases: readonly number[] = [163, 652, 2608, 10_000, 40_000, 160_000, 1_000_000];

export const baseCurves: readonly Curve[] = bases.map((base) => ({
  name: `base-${base}`,
  label: `base ${base}`,
  bounded: false,
  scheme: () => ({ type: 'adjusted-base', base }),
}));

export interface Extent {
  /** Longest context, in trained lengths; a power of two. */
  readonly longest: number;
  /** Stretches of text; full attention far out takes fewer. */
  readonly targets: number;
}

/** The law's bases: finer steps, to see where a curve breaks. */
const baseMultiples: readonly number[] = [1, 1.5, 2, 3, 4, 6, 8, 12, 16];

/** Full attention far out costs minutes per cell. */
function targetsAt(curve: Curve, multiple: number, targets: number): number {
  if (curve.bounded || multiple < 16) return targets;
  return multiple < 32 ? Math.min(2, targets) : 1;
}

export function cellsOf({ longest, targets }: Extent): Cell[] {
  const powers = Array.from({ length: 1 + Math.log2(longest) }, (_, i) => 2 ** i);
  const own = curves.flatMap((curve) =>
    powers.map((multiple) => ({ curve, multiple, count: targetsAt(curve, multiple, targets) })),
  );
  const law = baseCurves.flatMap((curve) =>
    baseMultiples
      .filter((multiple) => multiple <= longest)
      .map((multiple) => ({ curve, multiple, count: Math.min(2, targets) })),
  );
  const cells = [...own, ...law].flatMap(({ curve, multiple, count }) =>
    Array.from({ length: count }, (_, target) => cellOf(curve, multiple, target)),
  );
  // The cheap ones first: a study that is stopped has whole columns.
  return cells.sort((a, b) => costOf(a) - costOf(b));
}

function cellOf(curve: Curve, multiple: number, target: number): Cell {
  const scheme = curve.scheme(multiple);
  return {
    id: `${curve.name}|${multiple}|${target}`,
    curve: curve.name,
    multiple,
    target,
    scheme,
    chunk: scheme.type === 'streaming' ? 64 : 256,
    kvTokens: curve.bounded ? 4096 : multiple * trainedLength + 512,
  };
}

function costOf({ multiple, kvTokens }: Cell): number {
  return multiple * kvTokens;
}
