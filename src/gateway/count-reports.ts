/** Exact counts in reports: which texts a report's numbers stand for, and the same report with other numbers. */
import type { RequestReport } from '../core/report.ts';
import type { Span } from '../core/span.ts';
import type { Splice } from '../wire/types.ts';
import type { TextCounts } from './exact-counts.ts';
import { sumOf } from './report.ts';
import type { CompressTextResult } from './types.ts';

/** The text of one span as it came and as it was forwarded; the same string when nothing changed. */
export interface SpanText {
  readonly before: string;
  readonly after: string;
}

/** UTF-16 units of text in one report whose tokens the server is asked for. */
const maxReportChars = 1024 * 1024;

/** What it takes to count a report's tokens later. */
export interface Countable {
  /** Model that the request names. */
  readonly model: string | null;
  /** UTF-16 units of all texts, at most. */
  readonly chars: number;
  /** One per span of the report, in its order; decodes what was forwarded. */
  readonly texts: () => readonly SpanText[];
}

/**
 * The texts behind the spans of a report; null when there is too much text to ask anybody about.
 * @param splices the forwarded edits of these spans
 */
export function countableOf(
  { spans, model }: { readonly spans: readonly Span[]; readonly model: string | null },
  splices: readonly Splice[],
): Countable | null {
  let chars = 0;
  for (const { text } of spans) chars += text.length;
  if (chars > maxReportChars) return null;
  for (const { bytes } of splices) chars += bytes.byteLength;
  return { model, chars, texts: () => textsOf(spans, splices) };
}

function textsOf(spans: readonly Span[], splices: readonly Splice[]): readonly SpanText[] {
  const written = new Map(splices.map((splice) => [splice.byteStart, splice]));
  return spans.map(({ text, byteStart, byteEnd }) => {
    const splice = written.get(byteStart);
    const changed = splice !== undefined && splice.byteEnd === byteEnd;
    return { before: text, after: changed ? decoded(splice.bytes) : text };
  });
}

function decoded(bytes: Uint8Array): string {
  const text: unknown = JSON.parse(`"${Buffer.from(bytes).toString()}"`);
  return typeof text === 'string' ? text : '';
}

/** All texts whose tokens the numbers of a report need. */
export function textsToCount(texts: readonly SpanText[]): string[] {
  return texts.flatMap(({ before, after }) => (before === after ? [before] : [before, after]));
}

/** The report with exact numbers for every span and for the sums. */
export function countedReport(
  report: RequestReport,
  texts: readonly SpanText[],
  exact: { readonly tokenizer: string; readonly counts: TextCounts },
): RequestReport {
  const { counts, tokenizer } = exact;
  const spans = report.spans.map((span, at) => {
    const { before, after } = texts[at] ?? { before: '', after: '' };
    return { ...span, tokensBefore: counts(before), tokensAfter: counts(after) };
  });
  return {
    ...report,
    spans,
    tokensBefore: sumOf(spans.map((span) => span.tokensBefore)),
    tokensAfter: sumOf(spans.map((span) => span.tokensAfter)),
    tokenizer,
    estimated: false,
  };
}

type TextReport = CompressTextResult['report'];

/** The texts behind the segments of a result, in the input's order. */
export function segmentTexts(context: readonly string[], result: CompressTextResult): SpanText[] {
  const after = new Map(result.report.order.map((at, place) => [at, result.context[place] ?? '']));
  return context.map((before, at) => ({ before, after: after.get(at) ?? '' }));
}

/** The report with exact numbers. A budget was met in the local tokenizer's tokens, which `notes` then says. */
export function countedTextReport(
  report: TextReport,
  texts: readonly SpanText[],
  exact: { readonly tokenizer: string; readonly counts: TextCounts },
): TextReport {
  const { counts, tokenizer } = exact;
  const segments = report.segments.map((segment, at) => {
    const { before, after } = texts[at] ?? { before: '', after: '' };
    return { ...segment, tokensBefore: counts(before), tokensAfter: counts(after) };
  });
  return {
    ...report,
    segments,
    tokensBefore: segments.reduce((sum, segment) => sum + segment.tokensBefore, 0),
    tokensAfter: segments.reduce((sum, segment) => sum + segment.tokensAfter, 0),
    tokenizer,
    estimated: false,
    notes: report.budgetTokens === null ? report.notes : [...report.notes, 'budget-estimated'],
  };
}
