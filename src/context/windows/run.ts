/** Asking the windows: the first one alone, so that the others find its prefix cached, then the rest side by side. */
import { promptTokensLeft, sumOfTokens, takeWithin, type TokenSum } from '../../core/spending.ts';
import { TooLong } from '../../core/too-long.ts';
import { poolingAnswer } from './nbce.ts';
import { collapse } from './collapse.ts';
import { counting, inTurns, nameOf, type Ledger } from './ledger.ts';
import {
  answerPrompt,
  bySureness,
  parseRecord,
  surestRecords,
  type EvidenceRecord,
} from './records.ts';
import { pickWindow } from './select.ts';
import type {
  Ask,
  AskOptions,
  FinalStage,
  WindowAnswer,
  WindowJob,
  WindowOutcome,
  WindowPrompt,
  WindowRun,
} from './types.ts';
import { confidenceOf, countVotes, saysNothing } from './vote.ts';

interface Asked {
  readonly outcomes: WindowOutcome[];
  /** null = failed. */
  readonly answers: (WindowAnswer | null)[];
}

/** @throws what the first request threw, when none was answered; ABORTED */
export async function runWindows(job: WindowJob, ask: Ask): Promise<WindowRun> {
  const ledger = counting(job, ask);
  const { strategy } = job;
  const { final, outcomes } =
    strategy === 'nbce'
      ? await poolWindows(job, ledger)
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

  get spent(): TokenSum {
    return this.#ledger.spent;
  }

  get cutOff(): boolean {
    return this.#ledger.cutOff;
  }

  get notes(): readonly string[] {
    return this.#ledger.notes;
  }
}

/** `select` and `vote`: every window answers the request; one of them is then asked again for the answer itself. */
async function answerWindows(
  job: WindowJob,
  ledger: Ledger,
  strategy: 'select' | 'vote',
): Promise<{ final: FinalStage; outcomes: WindowOutcome[] }> {
  const options = { maxTokens: job.answerTokens, top: 0 };
  const { outcomes, answers } = await askAll(job, ledger, { type: 'window', options });
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
  const { outcomes, answers } = await askAll(job, ledger, { type: 'record', options });
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
  const instruction = job.count(answerPrompt(job.question, []));
  const beside = { prompt: job.frameTokens, answer: job.maxTokens };
  const paid = promptTokensLeft(job.cap, sumOfTokens(ledger.spent, beside)) / job.scale;
  const most = Math.max(instruction, Math.min(job.roomTokens, Math.floor(paid)));
  const last = sumOfTokens(beside, { prompt: Math.ceil(most * job.scale), answer: 0 });
  const kept = await collapse(records, most - instruction, { job, ledger, last });
  choose(outcomes, windowsOf(kept));
  const within = (tokens: number): WindowPrompt => {
    const { kept: fewer, dropped } = surestRecords(kept, tokens - instruction, job.count);
    ledger.notes.push(`records-left-out;n=${dropped}`);
    for (const window of windowsOf(kept)) unchoose(outcomes, window);
    if (fewer.length > 0) {
      choose(outcomes, windowsOf(fewer));
      return { type: 'text', text: answerPrompt(job.question, fewer) };
    }
    // Not one record fits: the text that the surest one is about did.
    const window = windowsOf(kept.toSorted(bySureness))[0] ?? 0;
    choose(outcomes, [window]);
    return { type: 'window', window };
  };
  const prompt: WindowPrompt = { type: 'text', text: answerPrompt(job.question, kept) };
  return { final: { type: 'prompt', prompt, within }, outcomes };
}

/** Windows that records are about. */
function windowsOf(records: readonly EvidenceRecord[]): number[] {
  return records.flatMap(({ label }) => label.split('+').map((name) => Number(name) - 1));
}

/** `nbce`: the answer is made token by token, while it is read; the first one here, so that a refusal still counts. */
async function poolWindows(
  job: WindowJob,
  ledger: Ledger,
): Promise<{ final: FinalStage; outcomes: WindowOutcome[] }> {
  const outcomes = job.windows.map((): WindowOutcome => ({ ...unknown, state: 'answered' }));
  const pieces = poolingAnswer(job, {
    ask: ledger.ask,
    spent: () => ledger.spent,
    spoke: (window) => choose(outcomes, [window]),
    failed: (window, error) => {
      const spoke = outcomes[window]?.state === 'chosen';
      const state = spoke ? 'chosen' : 'failed';
      outcomes[window] = { ...unknown, state, error: nameOf(error) };
    },
    cut: (note) => {
      ledger.cutOff = true;
      ledger.notes.push(note);
    },
    note: (note) => ledger.notes.push(note),
  });
  const first = await pieces.next();
  if (first.done === true) throw new Error('No window told probabilities');
  return { final: { type: 'pieces', pieces: joined(first.value, pieces) }, outcomes };
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
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

function unchoose(outcomes: WindowOutcome[], window: number): void {
  const outcome = outcomes[window];
  if (outcome !== undefined) outcomes[window] = { ...outcome, state: 'answered' };
}

/** The most relevant windows that the caps still allow where the server counts more tokens than believed. */
function affordable(
  windows: readonly number[],
  job: WindowJob,
  facts: {
    readonly ledger: Ledger;
    /** Tokens that the server counts for a believed one. */
    readonly longer: number;
    readonly maxTokens: number;
  },
): number[] {
  const tokensOf = (at: number): number => Math.ceil((job.windows[at]?.tokens ?? 0) * facts.longer);
  const relevanceOf = (at: number): number => job.windows[at]?.relevance ?? 0;
  const last = { prompt: Math.max(...windows.map(tokensOf), 0), answer: job.maxTokens };
  const { taken } = takeWithin(
    windows.toSorted((a, b) => relevanceOf(b) - relevanceOf(a)),
    (at) => ({ prompt: tokensOf(at), answer: facts.maxTokens }),
    { cap: job.cap, spent: sumOfTokens(facts.ledger.spent, last), most: windows.length },
  );
  return taken.toSorted((a, b) => a - b);
}

/**
 * Every window once: the leader alone, then the followers. The leader is the longest one, so that what is too long is
 * found out before anything was answered. A window that fails is noted; the others go on.
 */
async function askAll(
  job: WindowJob,
  ledger: Ledger,
  ask: { readonly type: 'window' | 'record'; readonly options: AskOptions },
): Promise<Asked> {
  const outcomes = job.windows.map((): WindowOutcome => ({ ...unknown, state: 'failed' }));
  const answers: (WindowAnswer | null)[] = job.windows.map(() => null);
  let first: unknown = null;
  const sizes = job.windows.map(({ tokens }) => tokens);
  const leader = Math.max(0, sizes.indexOf(Math.max(...sizes)));
  const one = async (window: number): Promise<void> => {
    try {
      answers[window] = await ledger.ask({ type: ask.type, window }, ask.options);
    } catch (error) {
      job.signal.throwIfAborted();
      if (window === leader && error instanceof TooLong) throw error;
      first ??= error;
      outcomes[window] = { ...unknown, state: 'failed', error: nameOf(error) };
    }
  };
  await one(leader);
  const followers = job.windows.flatMap((_, at) => (at === leader ? [] : [at]));
  const counted = answers[leader]?.promptTokens ?? 0;
  const longer = counted / Math.max(1, sizes[leader] ?? 1);
  const paid =
    longer <= 1 ? followers : affordable(followers, job, { ledger, longer, ...ask.options });
  for (const at of followers) {
    if (!paid.includes(at)) outcomes[at] = { ...unknown, state: 'left-out' };
  }
  await inTurns(paid, job, one);
  if (answers.every((answer) => answer === null)) throw first;
  return { outcomes, answers };
}
