/** Perplexity over the length of the context as an SVG, both axes logarithmic. */
export interface Line {
  readonly label: string;
  /** Context in trained lengths, perplexity. */
  readonly points: readonly (readonly [number, number])[];
  /** Where a law expects the line to break, in trained lengths; drawn where it lies inside the plot. */
  readonly expected?: number | null;
}

const width = 760;
const height = 440;
const left = 62;
const right = 200;
const top = 34;
const bottom = 46;
const colours = ['#444', '#c0392b', '#d68910', '#7d3c98', '#2471a3', '#148f77', '#1e8449', '#000'];
const dashes = ['', '6 3', '2 3', '8 3 2 3', '', '6 3', '', ''];

export function plot(title: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const longest = Math.max(2, ...all.map(([x]) => x));
  const low = Math.min(...all.map(([, y]) => y)) * 0.9;
  const high = Math.max(...all.map(([, y]) => y)) * 1.1;
  const x = (value: number): number =>
    left + (Math.log2(value) / Math.log2(longest)) * (width - left - right);
  const y = (value: number): number =>
    height - bottom - (Math.log(value / low) / Math.log(high / low)) * (height - top - bottom);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="20" font-size="14">${title}</text>`,
    ...ticks(low, high).map((value) => horizontal(value, y(value))),
    ...powers(longest).map((value) => vertical(value, x(value))),
    `<text x="${(left + width - right) / 2}" y="${height - 8}" text-anchor="middle">context, trained lengths</text>`,
    `<text transform="translate(14 ${height / 2}) rotate(-90)" text-anchor="middle">perplexity of the last tokens</text>`,
    ...lines.map((line, i) => drawn(line, i, { x, y })),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function powers(longest: number): number[] {
  return Array.from({ length: 1 + Math.floor(Math.log2(longest)) }, (_, i) => 2 ** i);
}

/** Round numbers between powers of ten; fewer when the range is wide. */
function ticks(low: number, high: number): number[] {
  const wide = high / low > 100;
  return Array.from({ length: 12 }, (_, i) => 10 ** i)
    .flatMap((power) => (wide ? [power] : [1, 1.5, 2, 3, 5, 7].map((digit) => digit * power)))
    .filter((value) => value >= low && value <= high);
}

function horizontal(value: number, at: number): string {
  return (
    `<line x1="${left}" x2="${width - right}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="#ddd"/>` +
    `<text x="${left - 6}" y="${(at + 4).toFixed(1)}" text-anchor="end">${value}</text>`
  );
}

function vertical(value: number, at: number): string {
  return (
    `<line x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${top}" y2="${height - bottom}" stroke="#eee"/>` +
    `<text x="${at.toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle">${value}</text>`
  );
}

function drawn(
  { label, points, expected = null }: Line,
  index: number,
  { x, y }: { x(value: number): number; y(value: number): number },
): string {
  const colour = colours[index % colours.length] ?? '#000';
  const dash = dashes[index % dashes.length] ?? '';
  const path = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ');
  const legend = top + 12 + index * 18;
  const style = `stroke="${colour}" stroke-width="2" fill="none" stroke-dasharray="${dash}"`;
  const from = width - right + 14;
  const inside = expected !== null && expected > 1 && x(expected) <= width - right;
  const at = inside ? x(expected).toFixed(1) : '';
  return [
    ...(inside
      ? [
          `<line x1="${at}" x2="${at}" y1="${top}" y2="${height - bottom}" stroke="${colour}" stroke-dasharray="2 5"/>`,
        ]
      : []),
    `<polyline points="${path}" ${style}/>`,
    ...points.map(
      ([a, b]) =>
        `<circle cx="${x(a).toFixed(1)}" cy="${y(b).toFixed(1)}" r="2.5" fill="${colour}"/>`,
    ),
    `<line x1="${from}" x2="${from + 24}" y1="${legend}" y2="${legend}" ${style}/>`,
    `<text x="${from + 30}" y="${legend + 4}">${label}</text>`,
  ].join('\n');
}
