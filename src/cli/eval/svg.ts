/**
 * Line and point charts as SVG text. The charting libraries that need no DOM are alphas, draw one line, or are many
 * times the size of this file; the few shapes of the two plots are written here.
 */

/** A place in a drawing, in pixels; y grows downwards. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A panel's inner area in pixels. */
export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** How an arm looks: a colour, and dashes so that it can be told apart without colour. */
export interface Style {
  readonly colour: string;
  readonly dashes: string;
  readonly width: number;
}

const ink = '#24292f';
const faint = '#d8dee4';

const round = (value: number): string => String(Math.round(value * 10) / 10);

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The whole drawing on a white ground of its own: it reads the same on light and on dark pages. */
export function drawing(
  {
    width,
    height,
    title,
  }: { readonly width: number; readonly height: number; readonly title: string },
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="${ink}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" rx="6" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
  ].join('\n');
}

export function label(
  at: Point,
  text: string,
  look: { readonly anchor?: 'start' | 'middle' | 'end'; readonly bold?: boolean } = {},
): string {
  const anchor = look.anchor ?? 'start';
  const weight = look.bold === true ? ' font-weight="600"' : '';
  return `<text x="${round(at.x)}" y="${round(at.y)}" text-anchor="${anchor}"${weight}>${escaped(text)}</text>`;
}

export function line(points: readonly Point[], { colour, dashes, width }: Style): string {
  const places = points.map(({ x, y }) => `${round(x)},${round(y)}`).join(' ');
  const dashed = dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
  return `<polyline points="${places}" fill="none" stroke="${colour}" stroke-width="${width}"${dashed}/>`;
}

/** Hollow = measured on fewer records. */
export function dot({ x, y }: Point, colour: string, hollow = false): string {
  const fill = hollow ? '#ffffff' : colour;
  return `<circle cx="${round(x)}" cy="${round(y)}" r="3" fill="${fill}" stroke="${colour}" stroke-width="1.5"/>`;
}

/** Values and the place of each along an axis. */
export type Ticks = readonly (readonly [text: string, place: number])[];

/** Title, grid and tick labels of a panel. */
export function panel(
  box: Box,
  title: string,
  ticks: { readonly across: Ticks; readonly up: Ticks },
): string[] {
  const grid: Style = { colour: faint, dashes: '', width: 1 };
  const { x, y, width, height } = box;
  const across = ticks.across.flatMap(([text, place]) => [
    line(
      [
        { x: place, y },
        { x: place, y: y + height },
      ],
      grid,
    ),
    label({ x: place, y: y + height + 14 }, text, { anchor: 'middle' }),
  ]);
  const up = ticks.up.flatMap(([text, place]) => [
    line(
      [
        { x, y: place },
        { x: x + width, y: place },
      ],
      grid,
    ),
    label({ x: x - 5, y: place + 4 }, text, { anchor: 'end' }),
  ]);
  return [label({ x, y: y - 8 }, title, { bold: true }), ...across, ...up];
}

/** Moves places apart along one axis until neighbours are `gap` away from each other, inside `from`..`to`. */
export function spread(
  places: readonly number[],
  { gap, from, to }: { readonly gap: number; readonly from: number; readonly to: number },
): number[] {
  const order = places.map((_, at) => at).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = [...places];
  let lowest = from;
  for (const at of order) {
    moved[at] = Math.max(lowest, moved[at] ?? from);
    lowest = (moved[at] ?? from) + gap;
  }
  let highest = to;
  for (const at of order.toReversed()) {
    moved[at] = Math.min(highest, moved[at] ?? to);
    highest = (moved[at] ?? to) - gap;
  }
  return moved;
}
