/** docs/validity.md is the table in words; `UPDATE_VALIDITY=1 node --import tsx scripts/test.ts validity-page` writes it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { conditions, operations } from '../../src/reuse/validity.ts';
import type { Condition, ValidityCell, Verdict } from '../../src/reuse/validity.ts';
import { validityTable } from '../../src/reuse/validity-table.ts';

const file = 'docs/validity.md';
const begin = '<!-- table: generated -->';
const end = '<!-- end of table -->';

const letters: Record<Verdict, string> = { exact: 'E', approximate: 'A', invalid: 'X', none: '-' };
const named: readonly Condition[] = Object.keys(conditions).filter(
  (name) => name !== 'always',
) as Condition[];

function cellText({ stored, repaired, when, otherwise }: ValidityCell): string {
  const verdict = stored === repaired ? letters[stored] : `${letters[stored]}→${letters[repaired]}`;
  if (otherwise === null) return verdict;
  return `${verdict} (${named.indexOf(when) + 1}), else ${letters[otherwise]}`;
}

function render(): string {
  const head = ['scheme', ...operations];
  const rows = validityTable.map(({ title, cells, executed }) => [
    executed ? title : `${title} (not executed)`,
    ...operations.map((operation) => cellText(cells[operation])),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
    'Conditions:',
    '',
    ...named.map((name, i) => `${i + 1}. ${conditions[name]}`),
    '',
    'Remarks:',
    '',
    ...validityTable.map(({ title, note }) => `- ${title}: ${note}`),
  ].join('\n');
}

/** Without the padding that a formatter adds to columns. */
function bare(text: string): string {
  return text.replace(/ {2,}/g, ' ').replace(/-{3,}/g, '---').trim();
}

test('the page shows the table as it is', () => {
  const page = readFileSync(file, 'utf8');
  const from = page.indexOf(begin) + begin.length;
  const to = page.indexOf(end);
  assert.ok(page.includes(begin) && to > from, `${file} has lost the marks around its table`);
  if (process.env['UPDATE_VALIDITY'] === '1')
    writeFileSync(file, `${page.slice(0, from)}\n\n${render()}\n\n${page.slice(to)}`);
  else assert.equal(bare(page.slice(from, to)), bare(render()));
});
