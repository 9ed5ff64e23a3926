/** `POST /v1/compress`, text form, and `sluice.compress()`: texts in, shorter texts out. */
import { linkSignals } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { keepReasons, type KeepMask } from '../core/mask.ts';
import type { SpanReport } from '../core/report.ts';
import type { Config } from '../config/types.ts';
import type {
  Budget,
  CompressJob,
  CompressResult,
  MethodOptions,
  Survivors,
} from '../compress/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { contentKindOf } from '../wire/detect/detect.ts';
import type { CompressorSource } from './settings.ts';
import type { CompressTextInput, CompressTextResult, ExplainedPiece } from './types.ts';

export interface CompressTextDeps {
  readonly config: Config;
  readonly tokenizer: TextTokenizer;
  readonly compressors: CompressorSource;
  readonly clock: Clock;
  readonly survivors: Survivors;
}

/**
 * Compresses texts under one shared budget. Unlike a request on a dialect route this fails loudly: the caller asked
 * for nothing else.
 * @throws SluiceError REQUEST_INVALID, METHOD_UNAVAILABLE, BUDGET_IMPOSSIBLE, DEADLINE_EXCEEDED, QUEUE_FULL
 */
export async function compressText(
  input: CompressTextInput,
  deps: CompressTextDeps,
): Promise<CompressTextResult> {
  const { config, clock } = deps;
  const linked = linkSignals(input.signal ?? null, config.limits.compress_ms);
  const started = clock.monotonic();
  try {
    const job = jobOf(input, deps, linked.signal);
    const result = await deps.compressors(input.method ?? config.compress.method).compress(job);
    return resultOf(job, result, {
      explain: input.explain === true,
      tokenizer: deps.tokenizer,
      compressMs: clock.monotonic() - started,
    });
  } finally {
    linked.release();
  }
}

function jobOf(input: CompressTextInput, deps: CompressTextDeps, signal: AbortSignal): CompressJob {
  const { config } = deps;
  const chars = input.context.reduce((sum, text) => sum + text.length, 0);
  if (chars > config.limits.compress_chars) {
    throw new SluiceError(
      'BODY_TOO_LARGE',
      `The texts have ${chars} characters, more than limits.compress_chars ${config.limits.compress_chars}`,
    );
  }
  return {
    segments: input.context.map((text) => ({
      text,
      kind: 'document',
      content: input.kind ?? contentKindOf(text),
      policy: 'compressible',
    })),
    question: input.question ?? '',
    instruction: input.instruction ?? '',
    budget: budgetOf(input, config.compress.rate),
    survivors: deps.survivors,
    options: methodOptions(input.options),
    minTokens: 0,
    signal,
  };
}

function budgetOf(input: CompressTextInput, defaultRate: number): Budget {
  if (input.targetTokens !== undefined) {
    if (!Number.isInteger(input.targetTokens) || input.targetTokens < 1) {
      throw new SluiceError(
        'REQUEST_INVALID',
        `target_tokens must be a whole number of at least 1, found ${input.targetTokens}`,
      );
    }
    return { type: 'tokens', tokens: input.targetTokens };
  }
  const rate = input.rate ?? defaultRate;
  if (!(rate > 0 && rate <= 1)) {
    throw new SluiceError('REQUEST_INVALID', `rate must be above 0 and at most 1, found ${rate}`);
  }
  return { type: 'rate', rate };
}

/** Options by the reference libraries' names; types are checked where a name is known, other names are refused. */
function methodOptions(options: Readonly<Record<string, unknown>> | undefined): MethodOptions {
  if (options === undefined) return {};
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    const check = optionChecks[name];
    if (check === undefined) {
      throw new SluiceError(
        'REQUEST_INVALID',
        `options.${name} is not known; known are ${Object.keys(optionChecks).join(', ')}`,
      );
    }
    if (!check(value)) {
      throw new SluiceError(
        'REQUEST_INVALID',
        `options.${name} has an unusable value of type ${typeof value}`,
      );
    }
    checked[name] = value;
  }
  return checked;
}

const isBoolean = (value: unknown): boolean => typeof value === 'boolean';
const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;
const isFinite = (value: unknown): boolean => Number.isFinite(value);
const isStrings = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');
const isOneOf =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'string' && names.includes(value);

const optionChecks: Readonly<Record<string, (value: unknown) => boolean>> = {
  iterative_size: isCount,
  force_context_ids: (value) => Array.isArray(value) && value.every(isCount),
  force_context_number: isCount,
  use_sentence_level_filter: isBoolean,
  use_context_level_filter: isBoolean,
  use_token_level_filter: isBoolean,
  keep_split: isBoolean,
  keep_first_sentence: isCount,
  keep_last_sentence: isCount,
  keep_sentence_number: isCount,
  high_priority_bonus: isFinite,
  context_budget: (value) => typeof value === 'string',
  token_budget_ratio: isFinite,
  condition_in_question: isOneOf('none', 'before', 'after'),
  reorder_context: isOneOf('original', 'sort', 'two_stage'),
  dynamic_context_compression_ratio: isFinite,
  condition_compare: isBoolean,
  add_instruction: isBoolean,
  rank_method: isOneOf('llmlingua', 'longllmlingua', 'bm25'),
  target_context: isCount,
  context_level_rate: isFinite,
  context_level_target_token: isCount,
  token_to_word: isOneOf('mean', 'first'),
  force_tokens: isStrings,
  force_reserve_digit: isBoolean,
  drop_consecutive: isBoolean,
  chunk_end_tokens: isStrings,
  reduce_level: isOneOf('phrase', 'sent', 'token'),
};

function resultOf(
  job: CompressJob,
  result: CompressResult,
  extra: { explain: boolean; tokenizer: TextTokenizer; compressMs: number },
): CompressTextResult {
  const context = result.order.map((at) => result.segments[at]?.text ?? '');
  return {
    text: context.filter((text) => text !== '').join('\n\n'),
    context,
    report: {
      tokensBefore: result.tokensBefore,
      tokensAfter: result.tokensAfter,
      tokenizer: extra.tokenizer.id,
      estimated: extra.tokenizer.estimated,
      budgetTokens: result.budgetTokens,
      segments: result.segments.map((segment, at) => ({
        method: segment.method,
        content: job.segments[at]?.content ?? 'prose',
        skipped: segment.skipped,
        tokensBefore: segment.tokensBefore,
        tokensAfter: segment.tokensAfter,
        ...(extra.explain ? { pieces: maskPieces(segment.mask, 0) } : {}),
      })),
      order: result.order,
      notes: result.notes,
      compressMs: extra.compressMs,
    },
  };
}

/** A mask as readable pieces; offsets are shifted by `base`. */
export function maskPieces(mask: KeepMask, base: number): ExplainedPiece[] {
  return Array.from(mask.starts, (start, at) => ({
    start: base + start,
    end: base + (mask.ends[at] ?? start),
    kept: mask.keep[at] === 1,
    why: keepReasons[mask.why[at] ?? 0] ?? 'dropped',
    score: mask.scores === null ? null : (mask.scores[at] ?? null),
  }));
}

/** Groups of a span with what happened to them; one piece for the whole span when it was left alone. */
export function explainPieces(span: SpanReport, mask: KeepMask | undefined): ExplainedPiece[] {
  return mask === undefined
    ? [{ start: span.start, end: span.end, kept: true, why: 'pinned', score: null }]
    : maskPieces(mask, span.start);
}
