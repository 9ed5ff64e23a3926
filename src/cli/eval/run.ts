/** Every item under every arm and rate; one item at a time, so that milliseconds mean something. */
import type { CompressJob, CompressResult, Compressor, TextTokenizer } from '../../index.ts';
import {
  answerSurvives,
  evidenceRecall,
  mentionsKept,
  prefixShare,
  structureValid,
} from './metrics.ts';
import type { ArmName, EvalItem, ItemResult } from './types.ts';

export interface RunOptions {
  readonly sets: ReadonlyMap<string, readonly EvalItem[]>;
  readonly arms: readonly ArmName[];
  readonly rates: readonly number[];
  readonly compressor: (arm: ArmName) => Compressor;
  /** A second tokenizer to count with, or null. */
  readonly backendTokenizer: TextTokenizer | null;
  readonly signal: AbortSignal;
  readonly onItem: (result: ItemResult) => void;
  /** An arm that cannot run is left out of the table and named with its reason. */
  readonly onUnavailable: (arm: ArmName, reason: string) => void;
  readonly onProgress: (done: number, total: number, label: string) => void;
}

export async function runEvaluation(options: RunOptions): Promise<void> {
  const items = [...options.sets.values()].flat();
  const tasks = options.arms.flatMap((arm) =>
    ratesOf(arm, options.rates).flatMap((rate) => items.map((item) => ({ arm, rate, item }))),
  );
  const unavailable = new Set<ArmName>();
  for (const [at, { arm, rate, item }] of tasks.entries()) {
    options.signal.throwIfAborted();
    if (!unavailable.has(arm)) {
      const failed = await measureInto(options, { arm, rate, item });
      if (failed !== null) {
        unavailable.add(arm);
        options.onUnavailable(arm, failed);
      }
    }
    options.onProgress(at + 1, tasks.length, `${arm} ${rate}`);
  }
}

/** Identity does not depend on the rate. */
function ratesOf(arm: ArmName, rates: readonly number[]): readonly number[] {
  return arm === 'identity' ? [1] : rates;
}

interface Task {
  readonly arm: ArmName;
  readonly rate: number;
  readonly item: EvalItem;
}

/** null, or why the arm cannot run at all. */
async function measureInto(options: RunOptions, task: Task): Promise<string | null> {
  try {
    const compressor = options.compressor(task.arm);
    options.onItem(await measure(task.item, task.rate, compressor, options));
    return null;
  } catch (error) {
    const reason = unavailableReason(error);
    if (reason === null) throw error;
    return reason;
  }
}

/** The message of an error that says that the arm's model is missing; null for every other error. */
function unavailableReason(error: unknown): string | null {
  return error instanceof Error && 'code' in error && error.code === 'METHOD_UNAVAILABLE'
    ? error.message
    : null;
}

async function measure(
  item: EvalItem,
  rate: number,
  compressor: Compressor,
  options: RunOptions,
): Promise<ItemResult> {
  const started = performance.now();
  const result = await compressor.compress(jobOf(item, rate, options.signal));
  const milliseconds = performance.now() - started;
  const input = joined(item.segments.map((segment) => segment.text));
  const output = joined(result.segments.map((segment) => segment.text));
  return {
    set: item.set,
    id: item.id,
    arm: compressor.method,
    rate,
    tokensBefore: result.tokensBefore,
    tokensAfter: result.tokensAfter,
    backendBefore: options.backendTokenizer?.count(input) ?? null,
    backendAfter: options.backendTokenizer?.count(output) ?? null,
    survived: answerSurvives(item, output),
    evidenceRecall: evidenceRecall(item, result),
    numbers: mentionsKept('numbers', input, output),
    identifiers: mentionsKept('identifiers', input, output),
    negations: mentionsKept('negations', input, output),
    structure: structureValid(item, result),
    prefixStability: await stability(item, rate, compressor, { options, result }),
    milliseconds,
  };
}

function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('\n\n');
}

function jobOf(item: EvalItem, rate: number, signal: AbortSignal): CompressJob {
  return {
    segments: item.segments,
    question: item.question,
    instruction: '',
    budget: { type: 'rate', rate },
    survivors: { classes: [], literals: [], patterns: [] },
    options: { seed: 1 },
    minTokens: 0,
    signal,
  };
}

/**
 * How much of a turn's forwarded text stays the same when a later turn is added: the item alone against the item
 * followed by another text that is decided as a unit of its own, as the gateway does it. 1 by construction for
 * compressors without hidden state; measured on every eighth item.
 */
async function stability(
  item: EvalItem,
  rate: number,
  compressor: Compressor,
  run: { readonly options: RunOptions; readonly result: CompressResult },
): Promise<number | null> {
  if (hash(item.id) % 8 !== 0 || compressor.method === 'identity') return null;
  const later = {
    ...item,
    segments: [{ ...lateSegment(item), text: `${item.question}\nAnd next?` }],
  };
  await compressor.compress(jobOf(later, rate, run.options.signal));
  const again = await compressor.compress(jobOf(item, rate, run.options.signal));
  const before = joined(run.result.segments.map((segment) => segment.text));
  return prefixShare(before, joined(again.segments.map((segment) => segment.text)));
}

function lateSegment(item: EvalItem): EvalItem['segments'][number] {
  return (
    item.segments[item.segments.length - 1] ?? {
      text: '',
      kind: 'history',
      content: 'prose',
      policy: 'compressible',
    }
  );
}

function hash(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at += 1) value = (value * 31 + text.charCodeAt(at)) >>> 0;
  return value;
}
