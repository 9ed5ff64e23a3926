/** The two plots of a report: survival over rate for each set, and mean survival over time. */
import { mean } from './bootstrap.ts';
import {
  dot,
  drawing,
  label,
  line,
  panel,
  spread,
  type Box,
  type Point,
  type Style,
  type Ticks,
} from './svg.ts';
import type { ArmName, MacroRow, TableRow } from './types.ts';

/** The arms that the plots over rates show, and how; colours of Okabe and Ito, which colour-blind readers tell apart. */
const looks: ReadonlyMap<ArmName, Style> = new Map([
  ['auto', { colour: '#0072b2', dashes: '', width: 2.5 }],
  ['auto-express', { colour: '#d55e00', dashes: '', width: 1.8 }],
  ['extractive', { colour: '#009e73', dashes: '6 2', width: 1.5 }],
  ['bm25-sentence-document', { colour: '#6e4b9e', dashes: '4 3', width: 1.5 }],
  ['bm25-sentence', { colour: '#a36c00', dashes: '2 2', width: 1.5 }],
  ['random-sentence', { colour: '#6e7781', dashes: '1 3', width: 1.8 }],
  ['head', { colour: '#000000', dashes: '8 3 1 3', width: 1.2 }],
]);
const plain: Style = { colour: '#6e7781', dashes: '', width: 1 };

const shares: readonly number[] = [0, 0.25, 0.5, 0.75, 1];

/** Where shares 0..1 stand in a box. */
function heightOf(box: Box, share: number): number {
  return box.y + box.height * (1 - share);
}

function upTicks(box: Box): Ticks {
  return shares.map((share) => [share.toFixed(2), heightOf(box, share)]);
}

/** Boxes of equal panels, row by row. */
function boxes(count: number, { columns, width, height }: Grid): Box[] {
  return Array.from({ length: count }, (_, at) => ({
    x: 42 + (at % columns) * (width + 52),
    y: 76 + Math.floor(at / columns) * (height + 54),
    width,
    height,
  }));
}

interface Grid {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
}

/** Survival over the share of tokens asked for, a panel for each set that asks for answers. */
export function survivalByRate(rows: readonly TableRow[]): string {
  const shown = rows.filter(({ arm, survival, rate }) => looks.has(arm) && survival && rate < 1);
  const sets = [...new Set(shown.map(({ set }) => set))];
  const arms = [...looks.keys()].filter((arm) => shown.some((row) => row.arm === arm));
  const grid: Grid = { columns: 4, width: 180, height: 150 };
  const places = boxes(sets.length, grid);
  const parts = sets.flatMap((set, at) => {
    const box = places[at];
    const own = shown.filter((row) => row.set === set);
    return box === undefined ? [] : ratePanel(box, own, arms);
  });
  const title = 'Share of answers that survive, over the share of tokens asked for';
  return drawing({ ...sizeOf(sets.length, grid), title }, [...legend(arms, title), ...parts]);
}

function sizeOf(panels: number, { columns, width, height }: Grid): Omit<Box, 'x' | 'y'> {
  return {
    width: 42 + columns * (width + 52) - 26,
    height: 76 + Math.max(1, Math.ceil(panels / columns)) * (height + 54) - 18,
  };
}

function legend(arms: readonly ArmName[], title: string): string[] {
  const heading = label({ x: 14, y: 22 }, title, { bold: true });
  let x = 14;
  const entries = arms.flatMap((arm) => {
    const ends = [
      { x, y: 40 },
      { x: x + 24, y: 40 },
    ];
    const text = label({ x: x + 29, y: 44 }, arm);
    x += 45 + arm.length * 6.8;
    return [line(ends, looks.get(arm) ?? plain), text];
  });
  return [heading, ...entries];
}

function ratePanel(box: Box, rows: readonly TableRow[], arms: readonly ArmName[]): string[] {
  const most = Math.max(...rows.map(({ rate }) => rate));
  const place = (rate: number): number => box.x + (rate / most) * box.width;
  const rates = [...new Set(rows.map(({ rate }) => rate))];
  const asked = Math.max(...rows.map((row) => row.asked));
  const across: Ticks = rates.map((rate) => [String(rate), place(rate)]);
  const title = `${rows[0]?.set ?? ''} (${asked})`;
  const lines = arms.toReversed().flatMap((arm) => {
    // A sample of the records is another exam: it does not belong on the same axes.
    const own = rows.filter((row) => row.arm === arm && row.asked === asked);
    const style = looks.get(arm) ?? plain;
    const points = own.map(({ rate, survival }): Point => {
      return { x: place(rate), y: heightOf(box, survival?.mean ?? 0) };
    });
    return points.length === 0
      ? []
      : [line(points, style), ...points.map((point) => dot(point, style.colour))];
  });
  return [...panel(box, title, { across, up: upTicks(box) }), ...lines];
}

/** One arm in the plot over time. */
interface Timed {
  readonly arm: ArmName;
  /** Over all rates: how much is kept hardly changes the time. */
  readonly milliseconds: number;
  readonly survival: number;
  readonly few: boolean;
}

/**
 * Mean survival over milliseconds for 1,000 tokens, a panel for each rate. Of the means (each over other records), an
 * arm shows the one over the most records; hollow where that is fewer than others have.
 */
export function survivalByTime(macros: readonly (readonly MacroRow[])[]): string {
  const all = macros.flat();
  const rates = [...new Set(all.map(({ rate }) => rate))].filter((rate) => rate < 1);
  const timed = rates.map((rate) => ({ rate, arms: timedAt(rate, all) }));
  const times = timed.flatMap(({ arms }) => arms.map(({ milliseconds }) => milliseconds));
  const grid: Grid = { columns: 2, width: 420, height: 270 };
  const places = boxes(rates.length, grid);
  const parts = timed.flatMap(({ rate, arms }, at) => {
    const box = places[at];
    return box === undefined ? [] : timePanel(box, `rate ${rate}`, { arms, times });
  });
  const title = 'Mean share of answers that survive, over milliseconds for 1,000 tokens';
  const note = label({ x: 14, y: 42 }, 'hollow: measured on a sample of the records');
  return drawing({ ...sizeOf(rates.length, grid), title }, [...legend([], title), note, ...parts]);
}

function timedAt(rate: number, all: readonly MacroRow[]): Timed[] {
  const most = Math.max(...all.map(({ n }) => n));
  const arms = [...new Set(all.map(({ arm }) => arm))].filter((arm) => arm !== 'identity');
  return arms.flatMap((arm) => {
    const own = all.filter((row) => row.arm === arm);
    const n = Math.max(...own.map((row) => row.n));
    const widest = own.filter((row) => row.n === n);
    const times = widest.map((row) => row.msPer1000).filter((time) => time !== null);
    const survival = widest.find((row) => row.rate === rate)?.survival ?? null;
    if (times.length === 0 || survival === null) return [];
    return [{ arm, milliseconds: mean(times), survival, few: n < most }];
  });
}

function timePanel(
  box: Box,
  title: string,
  { arms, times }: { readonly arms: readonly Timed[]; readonly times: readonly number[] },
): string[] {
  const low = Math.floor(Math.log10(Math.min(...times)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...times))));
  /** The names stand in a column at the right. */
  const inner: Box = { ...box, width: box.width - 150 };
  const place = (ms: number): number =>
    inner.x + ((Math.log10(ms) - low) / (high - low)) * inner.width;
  const powers = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at));
  const across: Ticks = powers.map((ms) => [`${ms} ms`, place(ms)]);
  const heights = arms.map(({ survival }) => heightOf(inner, survival));
  const bounds = { gap: 12, from: inner.y, to: inner.y + inner.height };
  const names = spread(heights, bounds);
  const marks = arms.flatMap(({ arm, milliseconds, few }, at) => {
    const point = { x: place(milliseconds), y: heights[at] ?? 0 };
    const name = { x: inner.x + inner.width + 14, y: names[at] ?? 0 };
    const { colour } = looks.get(arm) ?? plain;
    const lead: Style = { colour, dashes: '1 3', width: 0.8 };
    return [
      line([point, { x: name.x - 3, y: name.y }], lead),
      dot(point, colour, few),
      label({ x: name.x, y: name.y + 4 }, arm, { bold: arm.startsWith('auto') }),
    ];
  });
  return [...panel(inner, title, { across, up: upTicks(inner) }), ...marks];
}
