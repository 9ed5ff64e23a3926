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
  /** Also compress user text of earlier turns and prompts without recognisable sections. */
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

/** Pinned text of the user's message: what is left when documents and demonstrations are taken out. */
function questionOf(spans: readonly Span[]): string {
  return spans
    .filter((span) => span.policy === 'pinned' && span.reason !== 'code-block')
    .map((span) => span.text.trim())
    .filter((text) => text !== '')
    .join('\n');
}

/** The policy after configuration. */
export function effectivePolicy(span: Span, options: PlanOptions): Policy {
  if (span.reason === 'plain-prompt' || span.reason === 'earlier-turn') {
    return options.plainText ? 'compressible' : 'pinned';
  }
  return span.policy;
}
