/** `explain` as one page without scripts or outside resources. */
import type { ExplainInput, Piece, Run } from './runs.ts';
import { countFates, fates, segmentsOf, segmentTitle } from './runs.ts';
import { summaryOf } from './summary.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char);
}

const style = `
:root { color-scheme: light dark; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
.dropped { color: light-dark(#b42318, #ff8f85); text-decoration: line-through; opacity: 0.75; }
.survivor { background: light-dark(#d1f2dc, #11502a); }
.forced { background: light-dark(#f3dbf6, #5b2163); }
.structure { background: light-dark(#d6ecfa, #113f5c); }
.pinned { background: light-dark(#ececec, #333); }
dt { float: left; clear: left; min-width: 9rem; }
dd { margin: 0 0 0 9rem; }
`;

function title(piece: Piece, fate: string): string {
  const score = piece.score === null ? '' : `, score ${piece.score.toPrecision(3)}`;
  return escapeHtml(`${fate}${score}`);
}

/** Every piece is an element of its own, so that its score can be read by pointing at it. */
function renderRun(run: Run): string {
  if (run.fate === 'gap') return escapeHtml(run.text);
  const origin = run.pieces[0]?.start ?? 0;
  let at = 0;
  const parts = run.pieces.map((piece) => {
    const gap = run.text.slice(at, piece.start - origin);
    at = piece.end - origin;
    const text = escapeHtml(run.text.slice(piece.start - origin, at));
    return `${escapeHtml(gap)}<span title="${title(piece, run.fate)}">${text}</span>`;
  });
  return `<span class="${escapeHtml(run.fate)}">${parts.join('')}</span>`;
}

export function renderHtml(input: ExplainInput): string {
  const segments = segmentsOf(input);
  const legend = countFates(segments).map(
    ([fate, count]) =>
      `<dt><span class="${fate}">${fate}</span> ${count}</dt><dd>${escapeHtml(fates[fate] ?? '')}</dd>`,
  );
  const sections = segments.map(
    (segment) =>
      `<section>\n<h2>${escapeHtml(segmentTitle(segment))}</h2>\n<pre>${segment.runs.map(renderRun).join('')}</pre>\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice: what was kept</title>
<style>${style}</style>
</head>
<body>
<h1>What was kept</h1>
<p>${escapeHtml(summaryOf(input.report))}</p>
<dl>
${legend.join('\n')}
</dl>
${sections.join('\n')}
</body>
</html>
`;
}
