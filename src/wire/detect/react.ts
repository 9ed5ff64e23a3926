/** Scratchpads of tool-using prompts: what stands after `Observation:` is the result of a tool. */
import type { DetectedPart } from '../types.ts';
import { contentKindOf } from './content.ts';
import type { Label } from './labels.ts';
import { startOf, trimRange } from './lines.ts';
import type { Lines } from './lines.ts';
import { codePart } from './parts.ts';

/** The pattern of ReAct (Yao et al. 2023, section 2): steps that end an observation. */
const steps: ReadonlySet<string> = new Set(
  'thought|action|action input|final answer|question|observation|思考|行动|动作|最终答案|最终回答'.split(
    '|',
  ),
);
const observations: ReadonlySet<string> = new Set(['observation', 'observations', '观察']);
/** Units; shorter ones are format descriptions or not worth a part. */
const shortestObservation = 200;

/** True when the labels are those of such a scratchpad. */
export function isScratchpad(labels: readonly Label[]): boolean {
  const has = (name: string): boolean => labels.some((label) => label.name === name);
  return (has('thought') && has('action')) || (has('思考') && (has('行动') || has('动作')));
}

/** One part per observation; `labels` ascending. Only for scratchpads. */
export function observationParts(lines: Lines, labels: readonly Label[]): DetectedPart[] {
  const marks = labels.filter((label) => steps.has(label.name) || observations.has(label.name));
  return marks.flatMap((mark, at) => {
    if (!observations.has(mark.name)) return [];
    const next = marks[at + 1];
    const end = next === undefined ? lines.text.length : startOf(lines, next.line);
    const head = trimRange(lines.text, startOf(lines, mark.line), end).start;
    const range = trimRange(lines.text, Math.min(head + mark.length, end), end);
    if (range.end - range.start < shortestObservation) return [];
    const content = contentKindOf(lines.text.slice(range.start, range.end));
    const detail = 'label "observation:"';
    if (content === 'code') return [{ ...codePart(range, detail), kind: 'tool-result' }];
    return [
      {
        ...range,
        kind: 'tool-result',
        content,
        policy: 'compressible',
        reason: 'tool-result',
        detail,
      },
    ];
  });
}
