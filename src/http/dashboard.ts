/** A plain page with the totals of `/v1/stats`, read once a second; no script or style from elsewhere. */
import { createHash } from 'node:crypto';

const script = `
const body = document.querySelector('tbody');
const state = document.querySelector('#state');
const row = (name, value) => {
  const line = document.createElement('tr');
  for (const text of [name, value]) line.appendChild(document.createElement('td')).textContent = text;
  return line;
};
async function show() {
  try {
    const totals = await (await fetch('/v1/stats')).json();
    const rows = [];
    const add = (name, value) => {
      if (value === null || typeof value !== 'object') rows.push(row(name, value === null ? 'not known' : String(value)));
      else for (const [inner, part] of Object.entries(value)) add(name + ': ' + (part?.id ?? inner.replaceAll('_', ' ')), part);
    };
    for (const [name, value] of Object.entries(totals)) add(name.replaceAll('_', ' '), value);
    body.replaceChildren(...rows);
    state.textContent = new Date().toLocaleTimeString();
  } catch { state.textContent = 'no answer'; }
}
show();
setInterval(show, 1000);
`;

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 42rem; padding: 0 1rem; color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; } td { border-bottom: 1px solid #8884; padding: .3rem 0; }
td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
`;

const hash = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const dashboardPage: { readonly html: string; readonly policy: string } = {
  html: `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sluice</title><style>${style}</style>
<h1>Sluice</h1><p>Totals since the start, as of <span id="state">...</span></p>
<table><tbody></tbody></table><script>${script}</script></html>`,
  policy: `default-src 'none'; connect-src 'self'; script-src ${hash(script)}; style-src ${hash(style)}`,
};
