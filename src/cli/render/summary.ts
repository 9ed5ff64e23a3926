/** A compression in one line. */
import type { CompressTextResult } from '../../index.ts';

type TextReport = CompressTextResult['report'];

function percent(part: number, whole: number): string {
  return whole === 0 ? '100 %' : `${Math.round((100 * part) / whole)} %`;
}

/** `a, b` of the values that are there, each once. */
function distinct(values: readonly (string | null)[]): string {
  return [...new Set(values.filter((value) => value !== null))].join(', ');
}

/**
 * `1200 -> 580 tokens (48 %), llmlingua, 35 ms, tokenizer scout@1 (estimated)`, or why nothing was shortened.
 */
export function summaryOf(report: TextReport): string {
  const { tokensBefore, tokensAfter, segments } = report;
  const shortened = segments.some((segment) => segment.skipped === null);
  const reasons = distinct(segments.map((segment) => segment.skipped));
  const what = shortened
    ? `${tokensBefore} -> ${tokensAfter} tokens (${percent(tokensAfter, tokensBefore)}), ${distinct(segments.map((segment) => segment.method))}`
    : `nothing was worth compressing: ${reasons === '' ? 'no text' : reasons} (${tokensBefore} tokens)`;
  const counted = `tokenizer ${report.tokenizer}${report.estimated ? ' (estimated)' : ''}`;
  const notes = report.notes.length === 0 ? '' : `; ${report.notes.join(', ')}`;
  return `${what}, ${Math.round(report.compressMs)} ms, ${counted}${notes}`;
}
