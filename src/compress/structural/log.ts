/** Logs: lines ranked by how rare their template is, how severe they are, and what the question says. */
import { mapSteps, type Steps } from '../../core/steps.ts';
import { termsSteps, zScores } from '../bm25.ts';
import { lineUnits, questionScores, rarityScores, unitTexts } from './lines.ts';
import type { UnitPlan } from './plan.ts';

const weights = { rarity: 1, severity: 1.5, question: 0.7, repeat: 0.5 } as const;
/** Longer lines are compared by their beginning; keeps the template patterns cheap on hostile text. */
const templateLength = 400;

const severe =
  /\b(?:fatal|panic|critical|crit|emerg(?:ency)?|alert|severe|error|err|fail(?:s|ed|ure|ing)?|exception|traceback|abort(?:ed)?|crash(?:ed)?|denied|refused|unable|cannot|can't|could not|not found|no such|invalid|illegal|corrupt(?:ed)?|timed? ?out|timeout|unreachable|lost|killed|oom|segfault|overflow|exceeded|broken|bad|reject(?:ed)?|unexpected|unavailable|interrupted|missing)\b/giu;
const mild =
  /\b(?:warn(?:ing)?|deprecated|retry(?:ing)?|slow|degraded|skipp(?:ed|ing)|disconnect(?:ed)?)\b/iu;

/**
 * Template of a line: what stays when everything that varies is masked (numbers, hexadecimal, paths' numbers, quoted
 * text, addresses). Lines with one template say the same thing again.
 */
export function logTemplate(line: string): string {
  return line
    .slice(0, templateLength)
    .replace(/"[^"]{0,200}"|'[^']{0,200}'/gu, '"')
    .replace(/\b(?:0x)?[0-9a-f]{8,}\b/giu, '#')
    .replace(/[\p{L}\p{N}_.:/@-]*\p{N}[\p{L}\p{N}_.:/@-]*/gu, '#')
    .replace(/(?:#[\s,;:()[\]-]*)+/gu, '# ')
    .trim();
}

/** How much of a line is looked at. */
const compared = (line: string): number => Math.min(templateLength, line.length);

export function* planLog(text: string, question: string): Steps<UnitPlan | null> {
  const units = yield* lineUnits(text);
  if (units.starts.length < 2) return null;
  const lines = unitTexts(text, units);
  const templates = yield* mapSteps(lines, logTemplate, compared);
  const times = new Map<string, number>();
  for (const template of templates) times.set(template, (times.get(template) ?? 0) + 1);
  const rarity = zScores(
    templates.map((template) => Math.log(lines.length / (times.get(template) ?? 1))),
  );
  const words = yield* rarityScores(yield* termsSteps(templates));
  const severity = zScores(yield* mapSteps(lines, severityOf, compared));
  const asked = yield* questionScores(yield* termsSteps(lines), question);
  const seen = new Set<string>();
  const scores = rarity.map((value, i) => {
    const template = templates[i] ?? '';
    const repeat = seen.has(template) ? 1 : 0;
    seen.add(template);
    return (
      weights.rarity * (value + (words[i] ?? 0)) +
      weights.severity * (severity[i] ?? 0) +
      weights.question * (asked[i] ?? 0) -
      weights.repeat * repeat
    );
  });
  return { units, scores, forced: new Uint8Array(lines.length) };
}

/** 0 = routine, up to 2. */
function severityOf(line: string): number {
  const bad = line.slice(0, templateLength).match(severe)?.length ?? 0;
  if (bad > 0) return Math.min(2, 1 + 0.5 * (bad - 1));
  return mild.test(line) ? 0.5 : 0;
}
