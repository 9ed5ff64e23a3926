import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { errorTable } from '../src/core/errors.ts';

/** Code -> text of its section, with line breaks as spaces. */
function sections(): Map<string, string> {
  const text = readFileSync('docs/errors.md', 'utf8');
  const found = new Map<string, string>();
  for (const section of text.split(/^## /m).slice(1)) {
    const [title = '', ...lines] = section.split('\n');
    assert.ok(!found.has(title), `${title} is documented twice`);
    found.set(title, lines.join(' '));
  }
  return found;
}

test('every code has a section, every section a code, in one order', () => {
  assert.deepEqual([...sections().keys()], Object.keys(errorTable));
});

for (const [code, row] of Object.entries(errorTable)) {
  test(`${code}: the section says status, retrying, what happened, causes and what to do`, () => {
    const section = sections().get(code) ?? '';
    assert.ok(section.includes(`Status ${row.status}`), `status ${row.status}`);
    const retrying = row.retryable ? 'Retrying can help' : 'Retrying does not help';
    assert.ok(section.includes(retrying), retrying);
    for (const heading of ['What happened', 'Causes', 'What to do'])
      assert.match(section, new RegExp(`\\*\\*${heading}\\.\\*\\* \\S`), heading);
    assert.ok(section.includes(row.remedy), `the remedy of the table: ${row.remedy}`);
  });
}
