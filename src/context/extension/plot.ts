/** A plan as a picture: one self-contained SVG with the frequency bands of every scheme and the predicted length over the base. */
import type { ExtensionPlan } from './plan.ts';
import { frequenciesOf } from './plan.ts';
import { plainFrequencies } from './rope.ts';
import { predictedLength, retrievalLength } from './scaling-law.ts';

interface Curve {
  readonly label: string;
  readonly points: readonly (readonly [number, number])[];
  readonly colour: string;
  readonly dashed?: boolean;
}

interface Mark {
  readonly label: string;
  readonly value: number;
}

interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly curves: readonly Curve[];
  /** Lines across, at values of the vertical and of the horizontal axis. */
  readonly across: readonly Mark[];
  readonly upright: readonly Mark[];
}

interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly log: boolean;
}

/** Told apart by most colour-blind readers (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const width = 860;
const panelHeight = 400;
const frame = { left: 84, right: 214, top: 44, bottom: 52 };

/** Longest length at which bases are looked at for retrieval: the picture stays a matter of milliseconds. */
const retrievalLimit = 131_072;

/** Standing alone; no script, no font, no link. */
export function plotExtension(plan: ExtensionPlan): string {
  const panels = [bands(plan), lengths(plan)];
  const height = panels.length * panelHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escaped(`${plan.model.family}: ${plan.model.trainedLength} to ${plan.length} tokens`)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...panels.map(
      (panel, at) => `<g transform="translate(0 ${at * panelHeight})">${drawn(panel)}</g>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

/** Wavelength of every pair: above the trained length a pair was never seen to turn once. */
function bands(plan: ExtensionPlan): Panel {
  const { trainedLength, ropeDim } = plan.model;
  const wavelengths = (frequencies: Iterable<number>): readonly (readonly [number, number])[] =>
    Array.from(frequencies, (theta, pair) => [pair, (2 * Math.PI) / theta] as const);
  const plain: Curve = {
    label: 'Unscaled',
    colour: '#888',
    dashed: true,
    points: wavelengths(frequenciesOf(plan)),
  };
  const curves = [
    plain,
    ...plan.schemes.map(({ title, inverseFrequencies }, at) => ({
      label: title,
      colour: colourOf(at),
      points: wavelengths(inverseFrequencies),
    })),
  ];
  const longest = Math.max(...curves.flatMap(({ points }) => points.map(([, length]) => length)));
  return {
    title: 'Frequency bands: wavelength of every rotary pair',
    x: { label: 'pair', from: 0, to: ropeDim / 2 - 1, log: false },
    y: {
      label: 'wavelength in tokens',
      from: 1,
      to: Math.max(longest, plan.length) * 1.2,
      log: true,
    },
    curves,
    across: lengthMarks(plan, trainedLength),
    upright:
      plan.criticalDimension < ropeDim
        ? [{ label: 'critical dimension', value: plan.criticalDimension / 2 - 0.5 }]
        : [],
  };
}

/** What the two bounds say of every base. */
function lengths(plan: ExtensionPlan): Panel {
  const { ropeDim: headDim, base, trainedLength } = plan.model;
  const pretraining = { headDim, base, trainedLength };
  const top = 10 ** Math.ceil(Math.log10(Math.max(base * 100, plan.bases.retrieval)));
  const x: Axis = { label: 'rotary base', from: 500, to: top, log: true };
  const bases = Array.from({ length: 97 }, (_, i) => x.from * (x.to / x.from) ** (i / 96));
  const perplexity = bases.map((one) => {
    const tuned = { base: one, tunedLength: trainedLength };
    const { length } = predictedLength(pretraining, tuned);
    return [one, plan.criticalDimension === 0 ? trainedLength : length] as const;
  });
  const retrieval = bases.flatMap((one) => {
    const length = retrievalLength(plainFrequencies({ headDim, base: one }), retrievalLimit);
    return length < retrievalLimit ? [[one, Math.max(length, 1)] as const] : [];
  });
  const published = bases.map((one) => [one, (one / 0.0424) ** (1 / 1.628)] as const);
  const all = [...perplexity, ...published].map(([, length]) => length);
  return {
    title: `Predicted length over the base, tuned at ${trainedLength} tokens`,
    x,
    y: { label: 'length in tokens', from: 100, to: Math.max(...all, plan.length) * 1.2, log: true },
    curves: [
      { label: 'Perplexity (2310.05209)', colour: colourOf(0), points: perplexity },
      { label: 'Retrieval, own scan', colour: colourOf(1), points: retrieval },
      { label: 'Retrieval, fit (d = 128)', colour: colourOf(1), dashed: true, points: published },
    ],
    across: lengthMarks(plan, trainedLength),
    upright: [{ label: 'own base', value: base }],
  };
}

function lengthMarks({ length }: ExtensionPlan, trainedLength: number): readonly Mark[] {
  const trained = { label: `trained ${trainedLength}`, value: trainedLength };
  return length === trainedLength
    ? [trained]
    : [trained, { label: `target ${length}`, value: length }];
}

function drawn(panel: Panel): string {
  const { title, curves } = panel;
  const [right, bottom] = [width - frame.right, panelHeight - frame.bottom];
  const legend = curves.map(({ label, colour, dashed }, at) => {
    const y = frame.top + 14 + at * 20;
    const line = `<line x1="${right + 14}" x2="${right + 38}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="2"${dash(dashed)}/>`;
    return `${line}<text x="${right + 44}" y="${y}">${escaped(label)}</text>`;
  });
  return [
    `<text x="${frame.left}" y="24" font-size="15" font-weight="bold">${escaped(title)}</text>`,
    ...ticks(panel),
    `<rect x="${frame.left}" y="${frame.top}" width="${right - frame.left}" height="${bottom - frame.top}" fill="none" stroke="#444"/>`,
    ...marks(panel),
    ...curves.map((curve) => line(panel, curve)),
    ...legend,
    `<text x="${(frame.left + right) / 2}" y="${panelHeight - 12}" text-anchor="middle">${escaped(panel.x.label)}</text>`,
    `<text transform="translate(16 ${(frame.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(panel.y.label)}</text>`,
  ].join('');
}

function line(panel: Panel, { points, colour, dashed }: Curve): string {
  const list = points
    .filter(([x, y]) => within(panel.x, x) && within(panel.y, y))
    .map(([x, y]) => `${place(panel, 'x', x)},${place(panel, 'y', y)}`)
    .join(' ');
  return `<polyline points="${list}" fill="none" stroke="${colour}" stroke-width="2"${dash(dashed)}/>`;
}

function marks(panel: Panel): readonly string[] {
  const [right, bottom] = [width - frame.right, panelHeight - frame.bottom];
  const style = 'stroke="#444" stroke-dasharray="2 4"';
  const across = panel.across.map(({ label, value }) => {
    const y = place(panel, 'y', value);
    return `<line x1="${frame.left}" x2="${right}" y1="${y}" y2="${y}" ${style}/><text x="${right - 4}" y="${y - 4}" text-anchor="end" fill="#444">${escaped(label)}</text>`;
  });
  const upright = panel.upright.map(({ label, value }) => {
    const x = place(panel, 'x', value);
    return `<line x1="${x}" x2="${x}" y1="${frame.top}" y2="${bottom}" ${style}/><text x="${x + 4}" y="${bottom - 6}" fill="#444">${escaped(label)}</text>`;
  });
  return [...across, ...upright];
}

function ticks(panel: Panel): readonly string[] {
  const [right, bottom] = [width - frame.right, panelHeight - frame.bottom];
  const across = tickValues(panel.y).map((value) => {
    const y = place(panel, 'y', value);
    return `<line x1="${frame.left}" x2="${right}" y1="${y}" y2="${y}" stroke="#eee"/><text x="${frame.left - 8}" y="${y + 4}" text-anchor="end">${short(value)}</text>`;
  });
  const upright = tickValues(panel.x).map((value) => {
    const x = place(panel, 'x', value);
    return `<line x1="${x}" x2="${x}" y1="${frame.top}" y2="${bottom}" stroke="#eee"/><text x="${x}" y="${bottom + 18}" text-anchor="middle">${short(value)}</text>`;
  });
  return [...across, ...upright];
}

function tickValues({ from, to, log }: Axis): readonly number[] {
  if (!log) {
    const step = 2 ** Math.max(0, Math.ceil(Math.log2((to - from) / 8)));
    return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
  }
  const [first, last] = [Math.ceil(Math.log10(from)), Math.floor(Math.log10(to))];
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

function within({ from, to }: Axis, value: number): boolean {
  return value >= from && value <= to;
}

function place(panel: Panel, side: 'x' | 'y', value: number): number {
  const { from, to, log } = panel[side];
  const share = log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  const [right, bottom] = [width - frame.right, panelHeight - frame.bottom];
  const position =
    side === 'x'
      ? frame.left + share * (right - frame.left)
      : bottom - share * (bottom - frame.top);
  return Math.round(position * 100) / 100;
}

function colourOf(at: number): string {
  return colours[at % colours.length] ?? '#000';
}

function dash(dashed = false): string {
  return dashed ? ' stroke-dasharray="6 4"' : '';
}

function short(value: number): string {
  const units = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const;
  const unit = units.find(([size]) => value >= size);
  return unit === undefined ? String(Math.round(value)) : `${value / unit[0]}${unit[1]}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
