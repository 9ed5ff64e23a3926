/** One unit in, its decision out: which spans become what. Everything that can fail here fails open. */
import { throwIfAborted } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { KeepMask } from '../core/mask.ts';
import type { MethodName } from '../core/method.ts';
import type { SkipReason, SpanReport } from '../core/report.ts';
import type { Span } from '../core/span.ts';
import type {
  Budget,
  CompressJob,
  Compressor,
  SegmentResult,
  Survivors,
} from '../compress/types.ts';
import type { MessageEdit, UnitDecision } from '../reuse/types.ts';
import { effectivePolicy, type Unit } from './plan.ts';
import { spanReport } from './report.ts';

/** What the request and the operator allow, already combined. */
export interface DecideSettings {
  readonly method: MethodName;
  readonly rate: number;
  /** Tokens that the unit's compressible text may have; null = the rate decides. */
  readonly targetTokens: number | null;
  readonly minTokens: number;
  readonly maxChars: number;
  readonly plainText: boolean;
  readonly survivors: Survivors;
  readonly failClosed: boolean;
  /** False = compressing new text costs more than it saves by plan; the unit goes out as it came. */
  readonly pays: boolean;
}

export interface DecideDeps {
  readonly compressor: (method: MethodName) => Compressor;
  /** Token count of a text, cached by content. */
  readonly countTokens: (text: string) => Promise<number>;
  /** The same for texts that nobody shortens; null = not counted, the request has too much text for that. */
  readonly countUntouched: (text: string) => Promise<number | null>;
  /** Keeps an original for `/v1/retrieve` and returns its hash. */
  readonly keepOriginal: (text: string) => string;
  /** Told of failures that are nobody's choice: neither a deadline, nor a full queue, nor a caller that is gone. */
  readonly onFailure: (error: unknown) => void;
}

export interface Decided {
  readonly decision: UnitDecision;
  /** Masks of the spans that were looked at, by span index; for explanations only. */
  readonly masks: ReadonlyMap<number, KeepMask>;
}

/**
 * Decides one unit. `signal` is the request's: it fires when the caller goes away or the request's time is up.
 * @throws SluiceError ABORTED when the caller is gone; any other only when failing closed.
 */
export async function decideUnit(
  unit: Unit,
  settings: DecideSettings,
  deps: DecideDeps,
  signal: AbortSignal,
): Promise<Decided> {
  const candidates = candidatesOf(unit, settings);
  const skipAll = async (reason: SkipReason): Promise<Decided> => {
    const spans: SpanReport[] = [];
    for (const span of unit.spans) {
      const why = candidates.includes(span) ? reason : pinnedReason(span);
      spans.push(await untouched(span, why, deps));
    }
    return { decision: { edits: [], spans }, masks: new Map() };
  };
  if (candidates.length === 0) return await skipAll('pinned');
  if (!settings.pays) return await skipAll('not-worth-it');
  const chars = candidates.reduce((total, span) => total + span.text.length, 0);
  if (chars > settings.maxChars) return await skipAll('too-long');
  try {
    throwIfAborted(signal);
    const budget = await budgetOf(unit.spans, candidates, settings, deps);
    const job = jobOf(candidates, unit.question, { ...settings, budget }, signal);
    const result = await deps.compressor(settings.method).compress(job);
    return await assemble(unit, candidates, result.segments, deps);
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === 'scorer-error' || reason === 'internal-error') deps.onFailure(error);
    if (reason === 'client-gone' || settings.failClosed) throw error;
    return await skipAll(reason);
  }
}

/** Examples that are a smaller share of the text than this stay: leaving them out saves nothing, and costs the form. */
const leastShare = 0.1;

/**
 * The spans that may get shorter. What fills its string alone is never dropped whole: an empty message is not a message
 * any more.
 */
export function candidatesOf(unit: Unit, settings: DecideSettings): readonly Span[] {
  const strings = new Map<string, number>();
  let [examples, all] = [0, 0];
  for (const span of unit.spans) {
    strings.set(span.pointer, (strings.get(span.pointer) ?? 0) + 1);
    if (effectivePolicy(span, settings) === 'pinned') continue;
    all += span.text.length;
    if (span.reason === 'demonstration') examples += span.text.length;
  }
  return unit.spans.filter((span) => {
    const policy = effectivePolicy(span, settings);
    if (policy !== 'droppable') return policy !== 'pinned';
    const few = span.reason === 'demonstration' && examples < leastShare * all;
    return !few && (strings.get(span.pointer) ?? 0) > 1;
  });
}

function pinnedReason(span: Span): SkipReason | null {
  // Questions and system prompts are not "skipped": nobody expected them to shrink.
  return span.kind === 'document' || span.kind === 'tool-result' ? 'pinned' : null;
}

function jobOf(
  spans: readonly Span[],
  question: string,
  settings: DecideSettings & { readonly budget: Budget },
  signal: AbortSignal,
): CompressJob {
  return {
    segments: spans.map((span) => ({
      text: span.text,
      kind: span.kind,
      content: span.content,
      policy: effectivePolicy(span, settings),
      ...(span.declaredRate === null ? {} : { rate: Math.max(span.declaredRate, settings.rate) }),
    })),
    question,
    instruction: '',
    budget: settings.budget,
    survivors: settings.survivors,
    options: {},
    minTokens: settings.minTokens,
    signal,
  };
}

/** A target is met with what is compressible, but never by keeping less than the operator's rate allows. */
async function budgetOf(
  spans: readonly Span[],
  candidates: readonly Span[],
  settings: DecideSettings,
  deps: DecideDeps,
): Promise<Budget> {
  if (settings.targetTokens === null) return { type: 'rate', rate: settings.rate };
  let compressible = 0;
  let others = 0;
  for (const span of spans) {
    const tokens = await deps.countTokens(span.text);
    if (candidates.includes(span)) compressible += tokens;
    else others += tokens;
  }
  const wanted = settings.targetTokens - others;
  const floor = Math.ceil(settings.rate * compressible);
  return { type: 'tokens', tokens: Math.max(1, floor, wanted) };
}

async function assemble(
  unit: Unit,
  candidates: readonly Span[],
  results: readonly SegmentResult[],
  deps: DecideDeps,
): Promise<Decided> {
  const resultOf = new Map<Span, SegmentResult>();
  candidates.forEach((span, at) => {
    const result = results[at];
    if (result !== undefined) resultOf.set(span, result);
  });
  const emptied = stringsLeftEmpty(unit.spans, resultOf);
  const edits: MessageEdit[] = [];
  const reports: SpanReport[] = [];
  const masks = new Map<number, KeepMask>();
  for (const span of unit.spans) {
    const result = resultOf.get(span);
    if (result === undefined) {
      reports.push(await untouched(span, pinnedReason(span), deps));
      continue;
    }
    const shorter = result.tokensAfter < result.tokensBefore && !emptied.has(span.pointer);
    if (!shorter) {
      const skipped = result.skipped ?? 'not-worth-it';
      const tokens = { tokensBefore: result.tokensBefore, tokensAfter: result.tokensBefore };
      reports.push(spanReport(span, { method: null, ...tokens, skipped, original: null }));
      continue;
    }
    masks.set(span.index, result.mask);
    edits.push(editOf(unit, span, result.text));
    reports.push(
      spanReport(span, {
        method: methodOf(result),
        tokensBefore: result.tokensBefore,
        tokensAfter: result.tokensAfter,
        skipped: null,
        original: deps.keepOriginal(span.text),
      }),
    );
  }
  return { decision: { edits, spans: reports }, masks };
}

/** Pointers of strings that would have no visible text left; those go out as they came. */
function stringsLeftEmpty(
  spans: readonly Span[],
  resultOf: ReadonlyMap<Span, SegmentResult>,
): ReadonlySet<string> {
  const filled = new Set<string>();
  const all = new Set<string>();
  for (const span of spans) {
    all.add(span.pointer);
    if ((resultOf.get(span)?.text ?? span.text).trim() !== '') filled.add(span.pointer);
  }
  return new Set([...all].filter((pointer) => !filled.has(pointer)));
}

function methodOf(result: SegmentResult): MethodName | null {
  const { method } = result;
  switch (method) {
    case 'auto':
    case 'extractive':
    case 'structural':
    case 'selective-context':
    case 'llmlingua':
    case 'longllmlingua':
    case 'llmlingua2':
      return method;
    default:
      return null;
  }
}

function editOf(unit: Unit, span: Span, text: string): MessageEdit {
  const message = unit.messages.findIndex(({ index }) => index === span.messageIndex);
  const base = unit.messages[message]?.byteStart;
  if (base === undefined) {
    throw new SluiceError('INTERNAL', `Span at ${span.pointer} lies in no message of its unit`);
  }
  return { message, byteStart: span.byteStart - base, byteEnd: span.byteEnd - base, text };
}

async function untouched(
  span: Span,
  skipped: SkipReason | null,
  deps: DecideDeps,
): Promise<SpanReport> {
  const tokens = await deps.countUntouched(span.text);
  const facts = { method: null, tokensBefore: tokens, tokensAfter: tokens, original: null };
  return spanReport(span, { ...facts, skipped });
}

/** The skip reason that stands for an error of the compressing stage. */
export function reasonOf(error: unknown): SkipReason {
  if (!SluiceError.isInstance(error)) return 'internal-error';
  switch (error.code) {
    case 'ABORTED':
      return 'client-gone';
    case 'DEADLINE_EXCEEDED':
      return 'deadline';
    case 'QUEUE_FULL':
      return 'queue-full';
    case 'METHOD_UNAVAILABLE':
      return 'method-unavailable';
    case 'BUDGET_IMPOSSIBLE':
      return 'not-worth-it';
    case 'INTERNAL':
      return 'internal-error';
    default:
      return 'scorer-error';
  }
}
