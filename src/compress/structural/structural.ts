/** Structural compression: each kind of content by its own syntax, decided per segment within its own share. */
import type { ContentKind } from '../../core/span.ts';
import type { KeepMask } from '../../core/mask.ts';
import { declaredOnly, survivorGroups } from '../guards.ts';
import { runJob } from '../job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from '../job.ts';
import { renderMask, whyCode } from '../mask.ts';
import { selectUnits } from '../select.ts';
import type { Compressor, CompressorDeps } from '../types.ts';
import { planCode } from './code.ts';
import { planDiff } from './diff.ts';
import { chooseJson } from './json.ts';
import { scanJson } from './json-scan.ts';
import { planLog } from './log.ts';
import { planMarkup } from './markup.ts';
import type { Planner } from './plan.ts';
import { planSearch } from './search.ts';
import { planTable } from './table.ts';

export function createStructural(deps: CompressorDeps): Compressor {
  return {
    method: 'structural',
    id: `structural@1:${deps.tokenizer.id}`,
    compress: (job) => runJob(job, deps, decideStructural),
  };
}

/** Planner per content kind; prose has no structure to go by and JSON has a method of its own. */
const planners: Readonly<Record<Exclude<ContentKind, 'prose' | 'json'>, Planner>> = {
  code: planCode,
  log: planLog,
  diff: planDiff,
  table: planTable,
  markup: planMarkup,
  search: planSearch,
};

interface Choice {
  readonly mask: KeepMask;
  readonly belowSurvivors: boolean;
}

export function decideStructural(input: OpenJob): JobDecision {
  const segments = new Map<number, SegmentDecision>();
  const notes: string[] = [];
  for (const segment of input.open) {
    const choice = choose(input, segment);
    if (choice === null) {
      segments.set(segment.index, { mask: null, method: 'structural', skipped: 'no-method' });
      notes.push('structure-unknown');
      continue;
    }
    if (choice.belowSurvivors) notes.push('budget-below-survivors');
    const { text, content } = segment.segment;
    if (!isValid(content, renderMask(text, choice.mask))) {
      segments.set(segment.index, { mask: null, method: 'structural', skipped: 'no-method' });
      notes.push('structure-invalid');
      continue;
    }
    segments.set(segment.index, { mask: choice.mask, method: 'structural', guards: 'units' });
  }
  return { segments, notes };
}

function choose(input: OpenJob, { segment, budgetTokens }: OpenSegment): Choice | null {
  const { job, deps } = input;
  const { text, content } = segment;
  const { question, survivors } = job;
  if (content === 'prose') return null;
  if (content === 'json')
    return chooseJson({ text, question, survivors, budgetTokens, tokenizer: deps.tokenizer });
  const plan = planners[content](text, question);
  if (plan === null) return null;
  const declared = survivorGroups(text, plan.units, declaredOnly(survivors));
  const forced = plan.forced.map((code, i) =>
    declared[i] === 1 && code === 0 ? whyCode('survivor') : code,
  );
  const { masks, belowSurvivors } = selectUnits({
    segments: [{ text, ...plan, forced }],
    budgetTokens,
    tokenizer: deps.tokenizer,
    cutAway: null,
  });
  const mask = masks[0];
  return mask === undefined || nothingKept(mask) ? null : { mask, belowSurvivors };
}

function nothingKept(mask: KeepMask): boolean {
  return !mask.keep.includes(1);
}

/** Does the result still read as what it was? Line-wise kinds cannot break; JSON can, and is parsed again. */
function isValid(content: ContentKind, text: string): boolean {
  return content !== 'json' || scanJson(text) !== null;
}
