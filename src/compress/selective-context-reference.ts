/** Reference mode of `selective-context` as masks; the arithmetic is in reference/. For comparison only. */
import { SluiceError } from '../core/errors.ts';
import type { SurprisalScorer } from '../score/types.ts';
import type { JobDecision, OpenJob, SegmentDecision } from './job.ts';
import { maskFromKeep } from './mask.ts';
import type { KeepMask } from '../core/mask.ts';
import { referenceSelectiveModel } from './reference/models.ts';
import { referenceSelectiveContext } from './reference/selective-context.ts';

/** Phrases of one sentence (index among the sentences); joined they give the sentence again. */
export type PhraseSplitter = (sentence: string, index: number) => readonly string[];

export async function decideSelectiveByReference(
  scorer: SurprisalScorer,
  { job, open }: OpenJob,
  phrasesOf: PhraseSplitter | null,
): Promise<JobDecision> {
  const { budget, options } = job;
  const level = options.reduce_level ?? 'phrase';
  if (level === 'phrase' && phrasesOf === null)
    throw new SluiceError(
      'METHOD_UNAVAILABLE',
      'Reference mode of selective-context at phrase level needs a phrase splitter, and none was given',
    );
  const model = referenceSelectiveModel(scorer, { signal: job.signal });
  const segments = new Map<number, SegmentDecision>();
  for (const { index, segment, tokens } of open) {
    const rate = budget.type === 'rate' ? budget.rate : Math.min(1, budget.tokens / tokens);
    const run = await referenceSelectiveContext(model, {
      text: segment.text,
      reduceRatio: 1 - (segment.rate ?? rate),
      level,
      phrasesOf: phrasesOf ?? ((sentence) => [sentence]),
    });
    const mask = unitsMask(
      segment.text,
      run.units.map(({ text }) => text),
      run.kept,
    );
    segments.set(index, { mask, method: 'selective-context', guards: 'units' });
  }
  return { segments };
}

/** Units are found again in the text in order, their white space aside; broken characters are passed over. */
function unitsMask(text: string, units: readonly string[], kept: Uint8Array): KeepMask {
  const starts: number[] = [];
  const ends: number[] = [];
  const keep: number[] = [];
  let at = 0;
  units.forEach((unit, i) => {
    const words = unit.split(/\s+/u).filter((word) => word !== '');
    for (const word of words) {
      const found = text.indexOf(word, at);
      if (found < 0) return;
      starts.push(found);
      ends.push(found + word.length);
      keep.push(kept[i] ?? 0);
      at = found + word.length;
    }
  });
  return maskFromKeep({
    groups: { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) },
    keep: Uint8Array.from(keep),
  });
}
