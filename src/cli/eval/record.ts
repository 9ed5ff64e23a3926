/** From one record of a set to an item: segments, answers, evidence, and the record as a chat. */
import { contentKindOf, detectParts } from '../../index.ts';
import type { Segment } from '../../index.ts';
import { containsAnswer, normalise } from './normalise.ts';
import { laterTurn } from './stability.ts';
import type { ChatMessage, EvalItem, EvidenceRange } from './types.ts';

export type Json = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function itemOf(set: string, record: Json): EvalItem {
  const meta = isRecord(record['meta']) ? record['meta'] : {};
  const segments = segmentsOf(record);
  const question = textOf(record['question']);
  return {
    set,
    id: textOf(record['id']),
    segments,
    detected: meta['demonstrations'] === undefined ? null : detectedSegments(record),
    conversation: conversationOf(record),
    question,
    answers: answersOf(record, meta, segments),
    evidence: evidenceOf(record, meta, segments),
  };
}

/**
 * Survival is asked only of answers that stand in the input in normal form (techniques.md 8.2). Answers that are no
 * spans (`answer_in_context: false`, yes or no, abstractive references with a `metric` of their own) are left out even
 * where the same word happens to stand there.
 */
function answersOf(record: Json, meta: Json, segments: readonly Segment[]): string[] {
  const noSpan =
    meta['answer_in_context'] === false ||
    meta['metric'] !== undefined ||
    (meta['answer_type'] !== undefined && meta['answer_type'] !== 'span');
  if (noSpan) return [];
  const texts = segments.map(({ text }) => normalise(text));
  return listOf(record['answers'])
    .map(textOf)
    .filter((answer) => containsAnswer(texts, answer));
}

function segmentsOf(record: Json): Segment[] {
  const documents = documentsOf(record);
  if (documents.length > 0) return documents.map((text) => segment(text, 'document'));
  const messages = listOf(record['messages']).filter(isRecord);
  if (messages.length > 0) {
    return messages
      .filter((message) => textOf(message['content']) !== '')
      .map((message) =>
        segment(textOf(message['content']), message['role'] === 'tool' ? 'tool-result' : 'history'),
      );
  }
  return [segment(textOf(record['context']), 'document')];
}

function documentsOf(record: Json): string[] {
  return listOf(record['documents'])
    .filter(isRecord)
    .map((document) => {
      const title = textOf(document['title']);
      const body = textOf(document['text']);
      return title === '' ? body : `${title}\n${body}`;
    });
}

function segment(text: string, kind: Segment['kind']): Segment {
  return { text, kind, content: contentKindOf(text), policy: 'compressible' };
}

/** The few-shot prompt with its real question behind it, as the detector splits it; the question itself left out. */
function detectedSegments(record: Json): Segment[] {
  const context = textOf(record['context']);
  const prompt = fewShotPrompt(context, textOf(record['question']));
  const parts = detectParts(prompt, {
    role: 'user',
    lastUser: true,
    demonstrationTurn: false,
    partType: null,
  });
  return parts.flatMap(({ start, end, kind, content, policy }) => {
    const text = context.slice(start, end);
    return text === '' ? [] : [{ text, kind, content, policy }];
  });
}

/** The question under the label that the demonstrations use. */
function fewShotPrompt(context: string, question: string): string {
  const label = /^(?:Q|Question|Input):/m.exec(context)?.[0] ?? 'Question:';
  return `${context.trimEnd()}\n\n${label} ${question}`;
}

function conversationOf(record: Json): EvalItem['conversation'] {
  const messages = listOf(record['messages']).filter(isChatMessage);
  if (messages.length > 0) return { first: messages, next: laterTurn };
  return { first: [{ role: 'user', content: promptOf(record) }], next: laterTurn };
}

function isChatMessage(value: unknown): value is ChatMessage {
  return isRecord(value) && typeof value['role'] === 'string';
}

function promptOf(record: Json): string {
  const question = textOf(record['question']);
  const context = textOf(record['context']);
  const documents = documentsOf(record);
  if (documents.length > 0) {
    const listed = documents.map((text, at) => `Document [${at + 1}] ${text}`).join('\n\n');
    return `${listed}\n\nQuestion: ${question}`;
  }
  const meta = isRecord(record['meta']) ? record['meta'] : {};
  return meta['demonstrations'] === undefined
    ? `<document>\n${context}\n</document>\n\n${question}`
    : fewShotPrompt(context, question);
}

function evidenceOf(record: Json, meta: Json, segments: readonly Segment[]): EvidenceRange[] {
  const gold = [...listOf(meta['gold_indices']), meta['gold_index']].filter(
    (value): value is number => typeof value === 'number',
  );
  if (documentsOf(record).length > 0) {
    return gold.map((at) => ({ segment: at, start: 0, end: segments[at]?.text.length ?? 0 }));
  }
  const context = segments[0]?.text ?? '';
  const units = codePointStarts(context);
  return listOf(meta['relevant_char_spans']).flatMap((span) => {
    const [start, end] = listOf(span);
    if (typeof start !== 'number' || typeof end !== 'number') return [];
    return [{ segment: 0, start: units[start] ?? 0, end: units[end] ?? context.length }];
  });
}

/** UTF-16 offset of every code point; the sets count code points. */
function codePointStarts(content: string): readonly number[] {
  const starts: number[] = [];
  let at = 0;
  for (const point of content) {
    starts.push(at);
    at += point.length;
  }
  starts.push(at);
  return starts;
}
