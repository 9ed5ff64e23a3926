/** From measured cells to docs/extension-study.md and its plots; every number of the text is computed here. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  criticalDimension,
  predictedLength,
  smallBaseThresholds,
} from '../../src/context/extension/scaling-law.ts';
import { baseCurves, bases, curves, scored, trainedLength } from './cells.ts';
import type { Cell, Curve } from './cells.ts';
import { plot } from './plot.ts';
import type { Measured } from './worker.ts';

export interface Study {
  readonly model: string;
  readonly fingerprint: string;
  readonly trainedLength: number;
  readonly scored: number;
  readonly tokens: number;
  readonly excerpts: number;
  readonly ends: readonly number[];
  readonly machine: string;
  /** One entry per run that measured something. */
  readonly loads: { date: string; load: number; cells: number }[];
  readonly cells: Record<string, Omit<Measured, 'id'>>;
}

const [noneCurve, windowCurve] = [curveOf('none'), curveOf('window')];
const headDim = 32;
const pretraining = { headDim, base: 10_000, trainedLength };

function curveOf(name: string): Curve {
  const found = curves.find((curve) => curve.name === name);
  if (found === undefined) throw new Error(`no curve ${name}`);
  return found;
}

interface Point {
  readonly multiple: number;
  readonly perplexity: number;
  /** Against plain attention at the trained length, same stretches. */
  readonly ratio: number;
  readonly targets: number;
  readonly pages: number;
}

export function writeReport(study: Study, cells: readonly Cell[]): void {
  const points = (curve: Curve): Point[] => pointsOf(study, cells, curve);
  const lines = (list: readonly Curve[]): Parameters<typeof plot>[1] =>
    list.map((curve) => ({
      label: curve.label,
      points: points(curve).map(({ multiple, perplexity }) => [multiple, perplexity] as const),
    }));
  const longest = Math.max(...curves.flatMap((curve) => points(curve).map((p) => p.multiple)));
  const title = `Perplexity behind 1 .. ${longest} times the trained length`;
  writeFileSync(join('docs', 'extension-study.svg'), plot(title, lines(curves)));
  writeFileSync(
    join('docs', 'extension-study-bases.svg'),
    plot(
      'The same model with another base, no training; dotted: predicted borders',
      lines(baseCurves).map((line, i) => ({ ...line, expected: expectedBorder(bases[i] ?? 0) })),
    ),
  );
  writeFileSync(join('docs', 'extension-study.md'), text(study, points));
}

/** Hard border that the scaling law predicts, in trained lengths; null = it expects none. */
function expectedBorder(base: number): number | null {
  const { length, hard } = predictedLength(pretraining, { base, tunedLength: trainedLength });
  return hard ? length / trainedLength : null;
}

function pointsOf(study: Study, cells: readonly Cell[], { name }: Curve): Point[] {
  const own = cells.filter(({ curve, id }) => curve === name && study.cells[id] !== undefined);
  return [...new Set(own.map(({ multiple }) => multiple))]
    .sort((a, b) => a - b)
    .map((multiple) => {
      const here = own.filter((cell) => cell.multiple === multiple);
      const nll = mean(here.map(({ id }) => study.cells[id]?.nll ?? NaN));
      const base = mean(here.map(({ target }) => study.cells[`none|1|${target}`]?.nll ?? NaN));
      return {
        multiple,
        perplexity: Math.exp(nll),
        ratio: Math.exp(nll - base),
        targets: here.length,
        pages: Math.max(...here.map(({ id }) => study.cells[id]?.pages ?? 0)),
      };
    });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const shown = (value: number): string =>
  value >= 1000 ? value.toFixed(0) : value >= 100 ? value.toFixed(1) : value.toFixed(2);

function table(list: readonly Curve[], points: (curve: Curve) => Point[]): string {
  const all = [...new Set(list.flatMap((curve) => points(curve).map((p) => p.multiple)))].sort(
    (a, b) => a - b,
  );
  const head = `| | ${all.map((m) => `${m}x (${m * trainedLength})`).join(' | ')} |`;
  const rows = list.map((curve) => {
    const own = points(curve);
    const values = all.map((multiple) => {
      const point = own.find((p) => p.multiple === multiple);
      return point === undefined ? '' : `${shown(point.perplexity)} (${shown(point.ratio)})`;
    });
    return `| ${curve.label} | ${values.join(' | ')} |`;
  });
  return [head, `| --- |${' ---: |'.repeat(all.length)}`, ...rows].join('\n');
}

/** Largest ratio from 2x up to `limit` tokens. */
function worst(points: readonly Point[], limit: number): number {
  return Math.max(...points.filter((p) => p.multiple * trainedLength <= limit).map((p) => p.ratio));
}

function verdict(curve: Curve, points: readonly Point[]): string {
  const own = points.at(0)?.perplexity ?? NaN;
  const limit = Math.min(32_768, (points.at(-1)?.multiple ?? 1) * trainedLength);
  const largest = worst(points, limit);
  const holds = largest <= 1.1 ? 'within' : 'NOT within';
  const last = points.at(-1);
  const flat = `${last?.pages ?? 0} pages of KV at ${last?.multiple ?? 0}x, ${points.find((p) => p.multiple === 2)?.pages ?? 0} at 2x`;
  return `- ${curve.label}: at most ${largest.toFixed(3)} times its value at 1x (${shown(own)}) up to ${limit} tokens: ${holds} 10 %; ${last?.ratio.toFixed(3) ?? ''} times at ${last?.multiple ?? 0}x. ${flat}.`;
}

/** Factor on a curve's own value at 1x from which on it counts as broken. */
const brokenFrom = 1.15;

/** The longest measured length at which a curve still holds, and the first at which it does not. */
function border(points: readonly Point[]): {
  readonly holds: number;
  readonly breaks: number | null;
} {
  const first = points.at(0)?.perplexity ?? NaN;
  const at = points.findIndex((p) => p.perplexity > brokenFrom * first);
  const length = (index: number): number => (points[index]?.multiple ?? 0) * trainedLength;
  return at < 0
    ? { holds: length(points.length - 1), breaks: null }
    : { holds: length(at - 1), breaks: length(at) };
}

function baseTable(points: (curve: Curve) => Point[]): string {
  const rows = baseCurves.map((curve, i) => {
    const base = bases[i] ?? 0;
    const law = predictedLength(pretraining, { base, tunedLength: trainedLength });
    const own = points(curve);
    const { holds, breaks } = border(own);
    const cells = [
      String(base),
      `${Math.round(law.length)}${law.hard ? '' : ' (soft)'}`,
      `${law.critical} of ${headDim}`,
      shown(own.at(0)?.ratio ?? NaN),
      breaks === null ? `holds to ${holds}, the longest` : `between ${holds} and ${breaks}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `| base | predicted length (law, tuned at 1024) | critical dimension | at 1x against base 10000, untuned | measured, untuned: where it exceeds ${brokenFrom} times its own 1x |`,
    '| ---: | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n');
}

/** Measured border over predicted length, for the bases from the trained one on. */
function aboveTrained(points: (curve: Curve) => Point[]): string {
  const entries = baseCurves.flatMap((curve, i) => {
    const base = bases[i] ?? 0;
    if (base < pretraining.base) return [];
    const { length } = predictedLength(pretraining, { base, tunedLength: trainedLength });
    const { holds, breaks } = border(points(curve));
    const times = (tokens: number): string => (tokens / length).toFixed(1);
    const to = breaks === null ? 'or more' : `to ${times(breaks)}`;
    return [`base ${base}: ${times(holds)} ${to}`];
  });
  return `the measured border in units of the predicted length is ${entries.join(', ')}`;
}

function windowRemark(points: readonly Point[]): string {
  const largest = Math.max(...points.map((p) => p.ratio));
  if (largest > 1.1) {
    return 'A window alone fails as well, because the first tokens leave it: the sinks are the whole difference.';
  }
  return `A window without sinks is as good as with them here (at most ${largest.toFixed(3)}): the collapse that large models show when the first tokens leave the cache (arXiv 2309.17453) needs heads that park their attention there, and this model of 3.5 million parameters, trained on 12 million tokens, seems to have none. The comparison says nothing about sinks in other models.`;
}

function text(study: Study, points: (curve: Curve) => Point[]): string {
  const bounded = curves.filter((curve) => curve.bounded);
  const minutes = Object.values(study.cells).reduce((sum, { ms }) => sum + ms, 0) / 60_000;
  const loads = study.loads
    .filter((run) => run.cells > 0)
    .map(
      (run) => `${run.date.slice(0, 16)} (load average ${run.load.toFixed(1)}, ${run.cells} cells)`,
    );
  const critical = criticalDimension(pretraining);
  const thresholds = smallBaseThresholds(trainedLength).map((value) => Math.round(value));
  return `# Longer than the trained length: what every scheme does to the shipped model

One command: \`npm run eval:extension\` (bench/extension; it goes on where it was stopped). It runs the embedded engine on ${study.model}, trained with ${study.trainedLength} tokens, on held-out English novels: ${study.tokens} tokens in ${study.excerpts} excerpts, one behind the other. A cell is the perplexity of the **same last ${study.scored} tokens** of a context of n tokens, so a row differs in nothing but what stands before. Numbers in brackets: against plain attention at 1x on the same stretches.

Stretches: ${study.ends.length}; full attention takes two of them at 16x and one beyond, other bases take two (its cost grows with the square of the length). Measured: ${loads.join('; ')}; ${minutes.toFixed(0)} minutes of computing in all; ${study.machine}.

![Perplexity over length](extension-study.svg)

${table(curves, points)}

${bounded.map((curve) => verdict(curve, points(curve))).join('\n')}

"factor = length" means that the factor is n / ${study.trainedLength}, i.e. each column runs with another setting; "NTK, factor 8" is one setting for all columns, as a server has it. Dynamic NTK takes its base from the length of the sequence (in steps of a quarter of the trained length); with factor 1 that is NTK with factor n / ${study.trainedLength}.

What this shows:

- Plain attention fails as soon as distances appear that were never trained, and the more of them there are: ${shown(points(noneCurve).at(1)?.ratio ?? NaN)} times its value at 2x, ${shown(points(noneCurve).at(-1)?.ratio ?? NaN)} times at ${points(noneCurve).at(-1)?.multiple}x.
- ${windowRemark(points(windowCurve))}
- LM-Infinite and StreamingLLM read on without limit at constant cost. They do not read *more*: what lies between the first tokens and the window is invisible. The perplexity of the next token hardly needs it; an answer that stands there is lost.
- The frequency schemes are made for a model that is tuned with them for a while. Here they are applied to a model that never saw them, which is what a launch flag does.

What it does not show:

- Excerpts are at most 9000 characters, so hardly anything far away could help. Perplexity cannot tell a model that uses a long context from one that ignores it; only retrieval can, and this model is too small to be asked.
- The last ${scored} tokens of ${study.ends.length} stretches are a small sample; differences of a few per cent between rows are noise.
- LM-Infinite's optional part, taking back the k middle keys with the largest logits per layer and head, is not in the engine: the logits exist inside the graph only, and its mask is one input for all layers. \`src/engine/reference/windows.ts\` has it in double precision.

## Another base

The scaling law (arXiv 2310.05209) predicts how far a model reaches that is **tuned** with another base at some length. Critical dimension of this model: ${critical} of ${headDim}; below the bases ${thresholds.join(', ')} the law expects no hard border. Nothing is tuned here: the same weights run with another base.

![Perplexity over length, other bases](extension-study-bases.svg)

${table(baseCurves, points)}

${baseTable(points)}

What this shows: even untuned, a larger base costs little inside the trained length and moves the border out, in the order that the law gives (${aboveTrained(points)}); a smaller one costs much at every length, because the faster rotations that it brings were never trained.

What it does not show: the law is about models that are tuned with the new base; nothing is tuned here, so the promise of small bases (no border) cannot be seen, nor what tuning would win back inside the border. The border is a matter of degree: another threshold than ${brokenFrom} moves it. That takes training runs at every base.
`;
}
