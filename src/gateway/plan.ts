/** From the spans of a request to units: what is decided together, and what each decision may know. */
import type { MessageSlice, ReadRequest } from '../wire/types.ts';
import type { Policy, Span } from '../core/span.ts';

/**
 * A run of messages that is decided at once. Its decision may depend on its own text and on what precedes it, never
 * on what follows, so the same conversation prefix always gets the same bytes.
 */
export interface Unit {
  readonly messages: readonly MessageSlice[];
  readonly spans: readonly Span[];
  /** The question that the unit's text is read for; empty when none is known. */
  readonly question: string;
}

export interface PlanOptions {
  /** Also compress completion prompts without recognisable sections. */
  readonly plainText: boolean;
}

/**
 * Runs of consecutive user messages form one unit (documents are often sent in a message before the question);
 * every other message is a unit of its own. The question of a unit is the pinned text of its last user message, or
 * of the nearest user message before it.
 */
export function planUnits(request: ReadRequest): readonly Unit[] {
  const spansByMessage = new Map<number, Span[]>();
  for (const span of request.spans) {
    const list = spansByMessage.get(span.messageIndex);
    if (list === undefined) spansByMessage.set(span.messageIndex, [span]);
    else list.push(span);
  }
  const units: Unit[] = [];
  let question = '';
  let run: MessageSlice[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    const spans = run.flatMap((message) => spansByMessage.get(message.index) ?? []);
    const last = run[run.length - 1];
    if (last !== undefined && isUser(last)) {
      question = questionOf(spansByMessage.get(last.index) ?? []);
    }
    units.push({ messages: run, spans, question });
    run = [];
  };
  for (const message of request.messages) {
    const previous = run[run.length - 1];
    if (previous !== undefined && !(isUser(previous) && isUser(message))) flush();
    run.push(message);
  }
  flush();
  return units;
}

function isUser(message: MessageSlice): boolean {
  return message.role === 'user' || message.role === null;
}

/**
 * The question inside a user message: what the detector calls so; else all of its pinned text that is neither code
 * nor the frame around documents.
 */
function questionOf(spans: readonly Span[]): string {
  const asked = spans.filter((span) => span.kind === 'question');
  const rest = spans.filter(
    ({ policy, reason }) =>
      policy === 'pinned' && reason !== 'code-block' && reason !== 'document-section',
  );
  return (asked.length > 0 ? asked : rest)
    .map((span) => span.text.trim())
    .filter((text) => text !== '')
    .join('\n');
}

/** The policy after configuration. */
export function effectivePolicy(span: Span, options: PlanOptions): Policy {
  if (span.reason === 'plain-prompt' && options.plainText) return 'compressible';
  return span.policy;
}
