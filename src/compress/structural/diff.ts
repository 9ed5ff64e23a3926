/** Unified diffs: headers bring their place along, changed lines come before context lines. */
import type { Steps } from '../../core/steps.ts';
import { termsSteps } from '../bm25.ts';
import { lineUnits, questionScores, rarityScores, unitTexts } from './lines.ts';
import type { UnitPlan } from './plan.ts';

type LineKind = 'file' | 'hunk' | 'change' | 'context';

const fileLine =
  /^(?:diff |index |--- |\+\+\+ |new file|deleted file|rename |similarity |old mode|new mode|Binary files|Index: |={10,}|commit [0-9a-f]{7,})/;

/**
 * Changed lines are worth more than any context line; context counts the more the nearer a change is. A kept line
 * brings its hunk header, a hunk header its file header. A diff that lost context lines is for reading, not for `patch`.
 */
export function* planDiff(text: string, question: string): Steps<UnitPlan | null> {
  const units = yield* lineUnits(text);
  const lines = unitTexts(text, units);
  const kinds = lineKinds(lines);
  if (!kinds.includes('change')) return null;
  const lineTerms = yield* termsSteps(lines);
  const asked = yield* questionScores(lineTerms, question);
  const rare = yield* rarityScores(lineTerms);
  const near = distanceToChange(kinds);
  const scores = asked.map((value, i) => {
    const base = kinds[i] === 'change' ? 100 : -Math.min(50, near[i] ?? 0);
    return base + 2 * value + 0.5 * (rare[i] ?? 0);
  });
  return { units, scores, forced: new Uint8Array(lines.length), companions: headers(kinds) };
}

function lineKinds(lines: readonly string[]): LineKind[] {
  let inHunk = false;
  return lines.map((line) => {
    if (/^@@ |^\*{3,}/.test(line)) {
      inHunk = true;
      return 'hunk';
    }
    if (fileLine.test(line) && !(inHunk && /^(?:---|\+\+\+) ?(?![ab]?\/|\S+\t)/.test(line))) {
      inHunk = false;
      return 'file';
    }
    return inHunk && /^[+-]/.test(line) ? 'change' : 'context';
  });
}

/** Lines between each line and the nearest change. */
function distanceToChange(kinds: readonly LineKind[]): number[] {
  const distance = kinds.map(() => Infinity);
  const sweep = (from: number, step: 1 | -1): void => {
    let since = Infinity;
    for (let i = from; i >= 0 && i < kinds.length; i += step) {
      since = kinds[i] === 'change' ? 0 : since + 1;
      distance[i] = Math.min(distance[i] ?? Infinity, since);
    }
  };
  sweep(0, 1);
  sweep(kinds.length - 1, -1);
  return distance;
}

/** Each line's header: the hunk it is in, or the last line of its file's header; header lines chain upwards. */
function headers(kinds: readonly LineKind[]): Int32Array {
  let file = -1;
  let hunk = -1;
  return Int32Array.from(kinds, (kind, i) => {
    if (kind === 'file') {
      const previous = kinds[i - 1] === 'file' ? i - 1 : -1;
      [file, hunk] = [i, -1];
      return previous;
    }
    if (kind === 'hunk') {
      hunk = i;
      return file;
    }
    return hunk >= 0 ? hunk : file;
  });
}
