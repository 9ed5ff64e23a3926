/** Asking the windows: the first one alone, so that the others find its prefix cached, then the rest side by side. */
import { SluiceError } from '../../core/errors.ts';
import { TooLong } from '../../core/too-long.ts';
import { poolingAnswer } from './nbce.ts';
import {
  answerPrompt,
  groupRecords,
  mergePrompt,
  parseRecord,
  showRecords,
  surestRecords,
  type EvidenceRecord,
} from './records.ts';
import { pickWindow } from './select.ts';
import type {
  Ask,
  FinalStage,
  WindowAnswer,
  WindowJob,
  WindowOutcome,
  WindowPrompt,
  WindowRun,
} from './types.ts';
import { confidenceOf, countVotes, saysNothing } from './vote.ts';

/** Rounds of merging after which the surest records are taken. */
const mostMerges = 3;

/** What was asked and answered so far. */
interface Ledger {
  readonly ask: Ask;
  calls: number;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
  readonly notes: string[];
}

interface Asked {
  readonly outcomes: WindowOutcome[];
  /** null = failed. */
  readonly answers: (WindowAnswer | null)[];
}

/** @throws what the first request threw, when none was answered; ABORTED */
export async function runWindows(job: WindowJob, ask: Ask): Promise<WindowRun> {
  const ledger = counting(ask);
  const { strategy } = job;
  const { final, outcomes } =
    strategy === 'nbce'
      ? poolWindows(job, ledger)
      : strategy === 'reduce'
        ? await reduceWindows(job, ledger)
        : await answerWindows(job, ledger, strategy);
  return new LiveRun(final, outcomes, ledger);
}

/** Sums as they are when they are read: an answer that is made piece by piece goes on asking. */
class LiveRun implements WindowRun {
  readonly final: FinalStage;
  readonly outcomes: readonly WindowOutcome[];
  readonly #ledger: Ledger;

  constructor(final: FinalStage, outcomes: readonly WindowOutcome[], ledger: Ledger) {
    this.final = final;
    this.outcomes = outcomes;
    this.#ledger = ledger;
  }

  get calls(): number {
    return this.#ledger.calls;
  }

  get promptTokens(): number {
    return this.#ledger.promptTokens;
  }

  get completionTokens(): number {
    return this.#ledger.completionTokens;
  }

  get cachedTokens(): number {
    return this.#ledger.cachedTokens;
  }

  get notes(): readonly string[] {
    return this.#ledger.notes;
  }
}

function counting(ask: Ask): Ledger {
  const ledger: Ledger = {
    calls: 0,
    promptTokens: 0,
    completionTokens: 0,
    cachedTokens: 0,
    notes: [],
    ask: async (prompt, options) => {
      ledger.calls += 1;
      const answer = await ask(prompt, options);
      ledger.promptTokens += answer.promptTokens ?? 0;
      ledger.completionTokens += answer.completionTokens ?? 0;
      ledger.cachedTokens += answer.cachedTokens ?? 0;
      return answer;
    },
  };
  return ledger;
}

/** `select` and `vote`: every window answers the request; one of them is then asked again for the answer itself. */
async function answerWindows(
  job: WindowJob,
  ledger: Ledger,
  strategy: 'select' | 'vote',
): Promise<{ final: FinalStage; outcomes: WindowOutcome[] }> {
  const options = { maxTokens: job.answerTokens, top: 0 };
  const { outcomes, answers } = await askAll(job, (window) =>
    ledger.ask({ type: 'window', window }, options),
  );
  const said = answers.map((answer, window) => {
    if (answer === null) return null;
    const nothing = saysNothing(answer.text);
    const confidence = confidenceOf(answer.tokens);
    const state = nothing ? 'no-information' : 'answered';
    outcomes[window] = { ...outcomeOf(answer), state, confidence };
    return { text: answer.text, confidence, nothing };
  });
  const candidates = said.flatMap((entry, window) =>
    entry === null ? [] : [{ ...entry, window, relevance: job.windows[window]?.relevance ?? 0 }],
  );
  const speaking = candidates.filter(({ nothing }) => !nothing);
  // All of them say that they hold nothing: the most relevant one may say so.
  const pool = speaking.length > 0 ? speaking : candidates;
  const votes =
    strategy === 'vote'
      ? countVotes(
          pool.map(({ window, text, confidence }) => ({ window, text, weight: confidence ?? 1 })),
        )
      : null;
  const window = votes?.window ?? pickWindow(pool);
  choose(outcomes, [window]);
  return { final: { type: 'prompt', prompt: { type: 'window', window } }, outcomes };
}

/** `reduce`: records of all windows, merged until they fit into one prompt. */
async function reduceWindows(
  job: WindowJob,
  ledger: Ledger,
): Promise<{ final: FinalStage; outcomes: WindowOutcome[] }> {
  const options = { maxTokens: job.recordTokens, top: null };
  const { outcomes, answers } = await askAll(job, (window) =>
    ledger.ask({ type: 'record', window }, options),
  );
  const records: EvidenceRecord[] = [];
  for (const [window, answer] of answers.entries()) {
    if (answer === null) continue;
    const record = parseRecord(answer.text, String(window + 1));
    const share = record === null || record.confidence === null ? null : record.confidence / 5;
    const state = record === null ? 'no-information' : 'answered';
    outcomes[window] = { ...outcomeOf(answer), state, confidence: share };
    if (record !== null) records.push(record);
  }
  if (records.length === 0) {
    const window = pickWindow(
      job.windows.flatMap(({ relevance }, at) =>
        answers[at] === null ? [] : [{ window: at, relevance, confidence: null }],
      ),
    );
    ledger.notes.push('no-window-has-information');
    choose(outcomes, [window]);
    return { final: { type: 'prompt', prompt: { type: 'window', window } }, outcomes };
  }
  const room = job.roomTokens - job.count(answerPrompt(job.question, []));
  const kept = await collapse(records, room, { job, ledger });
  choose(
    outcomes,
    kept.flatMap(({ label }) => label.split('+').map((name) => Number(name) - 1)),
  );
  const prompt: WindowPrompt = { type: 'text', text: answerPrompt(job.question, kept) };
  return { final: { type: 'prompt', prompt }, outcomes };
}

async function collapse(
  records: readonly EvidenceRecord[],
  room: number,
  { job, ledger }: { readonly job: WindowJob; readonly ledger: Ledger },
): Promise<readonly EvidenceRecord[]> {
  let current = records;
  for (let round = 0; job.count(showRecords(current)) > room; round++) {
    const mergeRoom = room - job.count(mergePrompt(job.question, [])) - job.recordTokens;
    const groups = groupRecords(current, Math.max(1, mergeRoom), job.count);
    const shrinks = groups !== null && groups.length < current.length;
    if (!shrinks || round === mostMerges) {
      const { kept, dropped } = surestRecords(current, room, job.count);
      ledger.notes.push(`records-left-out;n=${dropped}`);
      return kept.length > 0 ? kept : current.slice(0, 1);
    }
    const merged = await inTurns(groups, job, async (group) => merge(group, { job, ledger }));
    current = merged.flat();
  }
  return current;
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

/** `nbce`: the answer is made token by token, while it is read. */
function poolWindows(
  job: WindowJob,
  ledger: Ledger,
): { final: FinalStage; outcomes: WindowOutcome[] } {
  const outcomes = job.windows.map((): WindowOutcome => ({ ...unknown, state: 'answered' }));
  const pieces = poolingAnswer(job, {
    ask: ledger.ask,
    spoke: (window) => choose(outcomes, [window]),
    note: (note) => ledger.notes.push(note),
  });
  return { final: { type: 'pieces', pieces }, outcomes };
}

const unknown = { confidence: null, error: null, promptTokens: null, cachedTokens: null };

function outcomeOf({ promptTokens, cachedTokens }: WindowAnswer): WindowOutcome {
  return { ...unknown, state: 'answered', promptTokens, cachedTokens };
}

function choose(outcomes: WindowOutcome[], windows: readonly number[]): void {
  for (const window of windows) {
    const outcome = outcomes[window];
    if (outcome !== undefined) outcomes[window] = { ...outcome, state: 'chosen' };
  }
}

/**
 * Every window once: the leader alone, then the followers. The leader is the longest one, so that what is too long is
 * found out before anything was answered. A window that fails is noted; the others go on.
 */
async function askAll(
  job: WindowJob,
  askOne: (window: number) => Promise<WindowAnswer>,
): Promise<Asked> {
  const outcomes = job.windows.map((): WindowOutcome => ({ ...unknown, state: 'failed' }));
  const answers: (WindowAnswer | null)[] = job.windows.map(() => null);
  let first: unknown = null;
  const sizes = job.windows.map(({ tokens }) => tokens);
  const leader = Math.max(0, sizes.indexOf(Math.max(...sizes)));
  const one = async (window: number): Promise<void> => {
    try {
      answers[window] = await askOne(window);
    } catch (error) {
      job.signal.throwIfAborted();
      if (window === leader && error instanceof TooLong) throw error;
      first ??= error;
      outcomes[window] = { ...unknown, state: 'failed', error: nameOf(error) };
    }
  };
  await one(leader);
  const followers = job.windows.flatMap((_, at) => (at === leader ? [] : [at]));
  await inTurns(followers, job, one);
  if (answers.every((answer) => answer === null)) throw first;
  return { outcomes, answers };
}

/** Some at once, in order. Rejects with the first failure, after which no further one starts. */
async function inTurns<T, R>(
  items: readonly T[],
  job: Pick<WindowJob, 'concurrency' | 'signal'>,
  act: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length && !failed; at = next++) {
      job.signal.throwIfAborted();
      const item = items[at];
      if (item === undefined) continue;
      try {
        results[at] = await act(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.max(1, job.concurrency) }, worker);
  await Promise.all(workers);
  return results;
}

/** What a failure is called in a report: never a message, which may quote a prompt. */
function nameOf(error: unknown): string {
  if (SluiceError.isInstance(error)) return error.code;
  if (error instanceof Error)
    return 'status' in error ? `HTTP ${String(error.status)}` : error.name;
  return 'unknown';
}
