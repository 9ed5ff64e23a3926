/** Structural compression: each kind of content by its own syntax, decided per segment within its own share. */
import type { ContentKind } from '../../core/span.ts';
import type { KeepMask } from '../../core/mask.ts';
import type { Steps } from '../../core/steps.ts';
import { declaredOnly, survivorSteps } from '../guards.ts';
import { runJob } from '../job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from '../job.ts';
import { whyCode } from '../mask.ts';
import { type RenderedText, selectSteps } from '../select.ts';
import type { Compressor, CompressorDeps } from '../types.ts';
import { planCode } from './code.ts';
import { planDiff } from './diff.ts';
import { chooseJson } from './json.ts';
import { scanSteps } from './json-scan.ts';
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
  readonly rendered: RenderedText;
  readonly belowSurvivors: boolean;
}

export async function decideStructural(input: OpenJob): Promise<JobDecision> {
  const segments = new Map<number, SegmentDecision>();
  const notes: string[] = [];
  for (const segment of input.open) {
    const choice = await input.turns.run(choose(input, segment));
    if (choice === null) {
      segments.set(segment.index, { mask: null, method: 'structural', skipped: 'no-method' });
      notes.push('structure-unknown');
      continue;
    }
    if (choice.belowSurvivors) notes.push('budget-below-survivors');
    const { mask, rendered } = choice;
    if (!(await input.turns.run(validSteps(segment.segment.content, rendered.text)))) {
      segments.set(segment.index, { mask: null, method: 'structural', skipped: 'no-method' });
      notes.push('structure-invalid');
      continue;
    }
    segments.set(segment.index, { mask, method: 'structural', guards: 'units', rendered });
  }
  return { segments, notes };
}

function* choose(
  input: OpenJob,
  { segment, encoding, budgetTokens }: OpenSegment,
): Steps<Choice | null> {
  const { job, deps } = input;
  const { text, content } = segment;
  const { question, survivors } = job;
  const { tokenizer } = deps;
  if (content === 'prose') return null;
  if (content === 'json')
    return yield* chooseJson({ text, encoding, question, survivors, budgetTokens, tokenizer });
  const plan = yield* planners[content](text, question);
  if (plan === null) return null;
  const declared = yield* survivorSteps(text, plan.units, declaredOnly(survivors));
  const forced = plan.forced.map((code, i) =>
    declared[i] === 1 && code === 0 ? whyCode('survivor') : code,
  );
  const result = yield* selectSteps({
    segments: [{ text, encoding, ...plan, forced }],
    budgetTokens,
    tokenizer,
    cutAway: null,
  });
  const mask = result.masks[0];
  const rendered = result.rendered[0];
  if (mask === undefined || rendered === undefined || nothingKept(mask)) return null;
  return { mask, rendered, belowSurvivors: result.belowSurvivors };
}

function nothingKept(mask: KeepMask): boolean {
  return !mask.keep.includes(1);
}

/** Does the result still read as what it was? Line-wise kinds cannot break; JSON can, and is parsed again. */
function* validSteps(content: ContentKind, text: string): Steps<boolean> {
  return content !== 'json' || (yield* scanSteps(text)) !== null;
}
