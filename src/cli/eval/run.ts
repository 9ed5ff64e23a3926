/** Every item under every arm and rate; one compression at a time, so that milliseconds mean something. */
import type {
  CompressJob,
  Compressor,
  MethodOptions,
  Segment,
  Survivors,
  TextTokenizer,
} from '../../index.ts';
import { evidenceKept } from './evidence.ts';
import { mentionsKept, mentionsOf, type MentionKind, type Mentions } from './mentions.ts';
import { containsAnswer, normalise } from './normalise.ts';
import { prefixStability } from './stability.ts';
import { structureValid } from './structure.ts';
import type { ArmName, ChatMessage, EvalItem, ItemResult } from './types.ts';

/** An arm, ready to run. */
export interface OpenArm {
  readonly compressor: Compressor;
  readonly tokenizer: TextTokenizer;
  /** The way of a request at a rate; null for arms that the product does not offer on requests. */
  readonly forward:
    | ((
        messages: readonly ChatMessage[],
        ask: { readonly rate: number; readonly tenant: string },
      ) => Promise<readonly ChatMessage[]>)
    | null;
  readonly close: () => Promise<void>;
}

export interface RunOptions {
  readonly arms: readonly ArmName[];
  readonly items: (arm: ArmName) => readonly EvalItem[];
  readonly rates: readonly number[];
  readonly open: (arm: ArmName) => Promise<OpenArm>;
  /** false = every question is withheld from the methods; answers and evidence are still looked for. */
  readonly questions: boolean;
  /** What must survive. Every class of word that is named here takes tokens that a method could spend otherwise. */
  readonly survivors: Survivors;
  readonly options: MethodOptions;
  /** A second tokenizer to count with, or null. */
  readonly backendTokenizer: TextTokenizer | null;
  readonly signal: AbortSignal;
  readonly onItem: (result: ItemResult) => void;
  /** An arm that cannot run is left out of the table and named with its reason. */
  readonly onUnavailable: (arm: ArmName, reason: string) => void;
  readonly onProgress: (done: number, total: number, label: string) => void;
}

/** Prefix stability costs two more compressions; it is measured on the first and then every eighth item of a set. */
const stabilityEvery = 8;

export async function runEvaluation(options: RunOptions): Promise<void> {
  const total = options.arms.reduce((sum, arm) => sum + options.items(arm).length, 0);
  let done = 0;
  for (const arm of options.arms) {
    const items = options.items(arm);
    const reason = await whyUnavailable(() =>
      runArm(options, arm, (inside) => options.onProgress(done + inside, total, arm)),
    );
    if (reason !== null) options.onUnavailable(arm, reason);
    done += items.length;
    options.onProgress(done, total, arm);
  }
}

/** null, or the message of an error that says that the arm's model is missing; every other error goes on. */
async function whyUnavailable(run: () => Promise<void>): Promise<string | null> {
  try {
    await run();
    return null;
  } catch (error) {
    const missing =
      error instanceof Error && 'code' in error && error.code === 'METHOD_UNAVAILABLE';
    if (!missing) throw error;
    return error.message;
  }
}

async function runArm(
  options: RunOptions,
  arm: ArmName,
  onItem: (done: number) => void,
): Promise<void> {
  const opened = await options.open(arm);
  try {
    const seen = new Map<string, number>();
    for (const [at, item] of options.items(arm).entries()) {
      const facts = inputFacts(item, arm);
      const inSet = seen.get(item.set) ?? 0;
      seen.set(item.set, inSet + 1);
      for (const [turn, rate] of ratesFor(arm, options.rates, at).entries()) {
        options.signal.throwIfAborted();
        const task = { arm, item, facts, rate, cold: turn === 0 };
        const stable = inSet % stabilityEvery === 0;
        options.onItem(await measure(task, opened, { ...options, stable }));
      }
      onItem(at + 1);
      // Compressors without a model never leave the microtask queue: let the progress bar and Ctrl-C through.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await opened.close();
  }
}

/**
 * The rates, beginning with another one for every item: later rates of the same text find scores and terms cached, so
 * only the first one is timed, and every rate is the first one equally often.
 */
function ratesFor(arm: ArmName, rates: readonly number[], at: number): readonly number[] {
  if (arm === 'identity') return [1];
  const first = at % rates.length;
  return [...rates.slice(first), ...rates.slice(0, first)];
}

/** What is known of an item before it is compressed. */
interface InputFacts {
  readonly segments: readonly Segment[];
  readonly mentions: ReadonlyMap<MentionKind, Mentions>;
}

const kinds: readonly MentionKind[] = ['numbers', 'identifiers', 'negations'];

/** `auto` is the product: it gets the text as the detector splits it. The other arms get it as one piece. */
function inputFacts(item: EvalItem, arm: ArmName): InputFacts {
  const segments = arm.startsWith('auto') ? (item.detected ?? item.segments) : item.segments;
  return { segments, mentions: mentionsIn(segments.map(({ text }) => text)) };
}

function mentionsIn(texts: readonly string[]): Map<MentionKind, Mentions> {
  const all = texts.join('\n\n');
  return new Map(kinds.map((kind) => [kind, mentionsOf(kind, all)]));
}

interface Task {
  readonly arm: ArmName;
  readonly item: EvalItem;
  readonly facts: InputFacts;
  readonly rate: number;
  readonly cold: boolean;
}

async function measure(
  { arm, item, facts, rate, cold }: Task,
  { compressor, tokenizer, forward }: OpenArm,
  run: RunOptions & { readonly stable: boolean },
): Promise<ItemResult> {
  const question = run.questions ? item.question : '';
  const job = jobOf({ segments: facts.segments, question, rate }, run);
  const started = performance.now();
  const result = await compressor.compress(job);
  const milliseconds = performance.now() - started;
  const outputs = result.segments.map(({ text }) => text);
  const after = mentionsIn(outputs);
  const evidence = evidenceKept(item, result, tokenizer);
  const kept = (kind: MentionKind): number | null =>
    mentionsKept(kind, facts.mentions.get(kind) ?? new Map(), after.get(kind) ?? new Map());
  const backend = (texts: readonly string[]): number | null =>
    run.backendTokenizer === null
      ? null
      : texts.reduce((sum, text) => sum + (run.backendTokenizer?.count(text) ?? 0), 0);
  return {
    set: item.set,
    id: item.id,
    arm,
    rate,
    tokensBefore: result.tokensBefore,
    tokensAfter: result.tokensAfter,
    backendBefore: backend(facts.segments.map(({ text }) => text)),
    backendAfter: backend(outputs),
    survived: answerSurvives(item.answers, outputs),
    evidenceRecall: evidence.recall,
    passages: evidence.passages,
    numbers: kept('numbers'),
    identifiers: kept('identifiers'),
    negations: kept('negations'),
    structure: structureValid(facts.segments, outputs),
    prefixStability:
      // A request carries its question among its messages: stability is not measured without it.
      run.stable && run.questions && forward !== null
        ? await prefixStability(item, (messages, turn) =>
            forward(messages, { rate, tenant: `${item.id} ${rate} ${turn}` }),
          )
        : null,
    milliseconds: cold ? milliseconds : null,
  };
}

/** True when one of the answers stands in one output; null when there is none to look for. */
export function answerSurvives(
  answers: readonly string[],
  outputs: readonly string[],
): boolean | null {
  if (answers.length === 0) return null;
  const texts = outputs.map(normalise);
  return answers.some((answer) => containsAnswer(texts, answer));
}

function jobOf(
  ask: {
    readonly segments: readonly Segment[];
    readonly question: string;
    readonly rate: number;
  },
  { survivors, options, signal }: RunOptions,
): CompressJob {
  return {
    segments: ask.segments,
    question: ask.question,
    instruction: '',
    budget: { type: 'rate', rate: ask.rate },
    survivors,
    options: { seed: 1, ...options },
    minTokens: 0,
    signal,
  };
}
