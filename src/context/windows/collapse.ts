/** Records that are too long together: merged group by group, the surest ones kept where that does not help. */
import { isWithin, sumOfTokens, type TokenSum } from '../../core/spending.ts';
import { inTurns, nameOf, serverTokens, type Ledger } from './ledger.ts';
import {
  groupRecords,
  mergePrompt,
  parseRecord,
  showRecords,
  surestRecords,
  type EvidenceRecord,
} from './records.ts';
import type { WindowJob } from './types.ts';

/** Rounds of merging after which the surest records are taken. */
const mostMerges = 3;

/** Records that have at most `room` tokens together, or one that alone has more. */
export async function collapse(
  records: readonly EvidenceRecord[],
  room: number,
  {
    job,
    ledger,
    last,
  }: {
    readonly job: WindowJob;
    readonly ledger: Ledger;
    /** What the answer that all of this is for may take: it has to be paid as well. */
    readonly last: TokenSum;
  },
): Promise<readonly EvidenceRecord[]> {
  let current = records;
  for (let round = 0; job.count(showRecords(current)) > room; round++) {
    const mergeRoom = room - job.count(mergePrompt(job.question, [])) - job.recordTokens;
    const groups = groupRecords(current, Math.max(1, mergeRoom), job.count);
    const shrinks = groups !== null && groups.length < current.length;
    const capped =
      shrinks && !isWithin(job.cap, sumOfTokens(ledger.spent, mergingTokens(groups, job), last));
    if (capped) ledger.notes.push('merging-stopped-by-cap');
    if (!shrinks || capped || round === mostMerges) {
      const { kept, dropped } = surestRecords(current, room, job.count);
      ledger.notes.push(`records-left-out;n=${dropped}`);
      return kept.length > 0 ? kept : current.slice(0, 1);
    }
    const merged = await inTurns(groups, job, async (group) => merge(group, { job, ledger }));
    current = merged.flat();
  }
  return current;
}

/** Tokens of the requests that merge these groups. */
function mergingTokens(groups: readonly (readonly EvidenceRecord[])[], job: WindowJob): TokenSum {
  const merges = groups.filter((group) => group.length > 1);
  return sumOfTokens(
    ...merges.map((group) => ({
      prompt: serverTokens(mergePrompt(job.question, group), job) + job.frameTokens,
      answer: job.recordTokens,
    })),
  );
}

/** One record in place of several; they stay as they are when merging fails. */
async function merge(
  group: readonly EvidenceRecord[],
  { job, ledger }: { readonly job: WindowJob; readonly ledger: Ledger },
): Promise<readonly EvidenceRecord[]> {
  if (group.length === 1) return group;
  const label = group.map((record) => record.label).join('+');
  try {
    const text = mergePrompt(job.question, group);
    const options = { maxTokens: job.recordTokens, top: null };
    const answer = await ledger.ask({ type: 'text', text }, options);
    const record = parseRecord(answer.text, label);
    if (record !== null) return [record];
    ledger.notes.push(`merge-without-information;records=${label}`);
  } catch (error) {
    job.signal.throwIfAborted();
    ledger.notes.push(`merge-failed;records=${label};error=${nameOf(error)}`);
  }
  return group;
}
