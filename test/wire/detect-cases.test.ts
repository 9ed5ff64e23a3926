/** What the detector finds in real-looking prompts, one case a line of the table. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { detectParts } from '../../src/wire/detect/detect.ts';
import type { DetectedPart, StringPlace } from '../../src/wire/types.ts';
import { codes } from './detect-cases/cases.ts';
import type { DetectCase } from './detect-cases/cases.ts';
import { adversarialCases } from './detect-cases/adversarial.ts';
import { exampleCases } from './detect-cases/examples.ts';
import { materialCases } from './detect-cases/material-cases.ts';
import { retrievalCases } from './detect-cases/retrieval.ts';

const lastUser: StringPlace = {
  role: 'user',
  lastUser: true,
  partType: null,
  demonstrationTurn: false,
};

function isFrame(part: DetectedPart): boolean {
  return part.kind === 'instruction' && part.reason === 'document-section';
}

function assertCover(text: string, parts: readonly DetectedPart[]): void {
  let at = 0;
  for (const part of parts) {
    assert.equal(part.start, at, 'no gap, no overlap');
    assert.ok(part.end > part.start, 'no empty part');
    at = part.end;
  }
  assert.equal(at, text.length, 'the last part ends the string');
}

function outline(text: string, parts: readonly DetectedPart[]): string {
  return parts
    .map((part) => {
      const piece = JSON.stringify(text.slice(part.start, part.end));
      const short = piece.length > 90 ? `${piece.slice(0, 50)} ... ${piece.slice(-35)}` : piece;
      return `  ${part.policy} ${part.kind} ${part.content} (${part.reason}, ${part.detail}): ${short}`;
    })
    .join('\n');
}

function check({ text, place, want }: DetectCase): void {
  const parts = detectParts(text, { ...lastUser, ...place });
  assertCover(text, parts);
  const seen = outline(text, parts);
  const told = parts.filter((part) => !isFrame(part));
  for (const part of parts) if (isFrame(part)) assert.equal(part.policy, 'pinned');
  assert.equal(told.length, want.length, `number of parts\n${seen}`);
  told.forEach((part, at) => {
    const [code, start, end = ''] = want[at]!;
    const expected: Partial<DetectedPart> = codes[code];
    assert.equal(part.kind, expected.kind, `kind of part ${at}\n${seen}`);
    assert.equal(part.policy, expected.policy, `policy of part ${at}\n${seen}`);
    if (expected.content !== undefined) {
      assert.equal(part.content, expected.content, `content of part ${at}\n${seen}`);
    }
    const piece = text.slice(part.start, part.end).trim();
    assert.ok(piece.startsWith(start), `part ${at} starts with ${start}\n${seen}`);
    assert.ok(piece.endsWith(end), `part ${at} ends with ${end}\n${seen}`);
  });
}

const tables: Record<string, readonly DetectCase[]> = {
  'retrieved documents': retrievalCases,
  'worked examples': exampleCases,
  'pasted material and agents': materialCases,
  'things that look alike': adversarialCases,
};

for (const [table, cases] of Object.entries(tables)) {
  describe(table, () => {
    for (const one of cases) test(one.name, () => check(one));
  });
}
