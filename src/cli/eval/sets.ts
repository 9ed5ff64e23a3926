/** Reading of evaluation sets: `*.jsonl` and `*.jsonl.gz`, fields as in the sets' own README. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SluiceError } from '../../core/errors.ts';
import { contentKindOf } from '../../index.ts';
import type { Segment } from '../../index.ts';
import type { EvalItem, EvidenceRange } from './types.ts';

type Json = Readonly<Record<string, unknown>>;

export interface ReadSetsOptions {
  readonly folder: string;
  /** Names of sets to read; empty = all. */
  readonly only: readonly string[];
  /** At most this many records of each set, evenly spread; null = all. */
  readonly limit: number | null;
}

/** @throws SluiceError REQUEST_INVALID when the folder holds no set or a record cannot be read */
export function readSets(options: ReadSetsOptions): ReadonlyMap<string, readonly EvalItem[]> {
  const files = readdirSync(options.folder)
    .filter((name) => /\.jsonl(\.gz)?$/.test(name))
    .sort();
  const sets = new Map<string, readonly EvalItem[]>();
  for (const file of files) {
    const name = basename(file).replace(/\.jsonl(\.gz)?$/, '');
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    const bytes = readFileSync(join(options.folder, file));
    const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
    const lines = spread(
      text.split('\n').filter((line) => line !== ''),
      options.limit,
    );
    sets.set(
      name,
      lines.map((line, at) => itemOf(name, parse(line, `${file}, record ${at + 1}`))),
    );
  }
  if (sets.size === 0) {
    throw new SluiceError('REQUEST_INVALID', `No evaluation set found in ${options.folder}`);
  }
  return sets;
}

function spread<T>(list: readonly T[], limit: number | null): readonly T[] {
  if (limit === null || list.length <= limit) return list;
  return list.filter(
    (_, at) =>
      Math.floor((at * limit) / list.length) !== Math.floor(((at - 1) * limit) / list.length),
  );
}

function parse(line: string, where: string): Json {
  try {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) return value;
  } catch (cause) {
    throw new SluiceError('REQUEST_INVALID', `${where} is not JSON`, { cause });
  }
  throw new SluiceError('REQUEST_INVALID', `${where} is not an object`);
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function itemOf(set: string, record: Json): EvalItem {
  const meta = isRecord(record['meta']) ? record['meta'] : {};
  const segments = segmentsOf(record);
  const question = text(record['question']);
  const inContext = meta['answer_in_context'] !== false;
  const answers = inContext
    ? list(record['answers'])
        .map(text)
        .filter((answer) => answer !== '')
    : [];
  return {
    set,
    id: text(record['id']),
    segments,
    question,
    answers: answers.filter((answer) => occurs(answer, segments)),
    evidence: evidenceOf(record, meta, segments),
  };
}

/** Survival is asked only of answers that stand in the input (techniques.md 8.2). */
function occurs(answer: string, segments: readonly Segment[]): boolean {
  const wanted = answer.toLowerCase();
  return segments.some((segment) => segment.text.toLowerCase().includes(wanted));
}

function segmentsOf(record: Json): Segment[] {
  const documents = list(record['documents']).filter(isRecord);
  if (documents.length > 0) {
    return documents.map((document) => {
      const title = text(document['title']);
      const body = text(document['text']);
      return segment(title === '' ? body : `${title}\n${body}`, 'document');
    });
  }
  const messages = list(record['messages']).filter(isRecord);
  if (messages.length > 0) {
    return messages
      .filter((message) => text(message['content']) !== '')
      .map((message) =>
        segment(text(message['content']), message['role'] === 'tool' ? 'tool-result' : 'history'),
      );
  }
  return [segment(text(record['context']), 'document')];
}

function segment(content: string, kind: Segment['kind']): Segment {
  return { text: content, kind, content: contentKindOf(content), policy: 'compressible' };
}

function evidenceOf(record: Json, meta: Json, segments: readonly Segment[]): EvidenceRange[] {
  const gold = [...list(meta['gold_indices']), meta['gold_index']].filter(
    (value): value is number => typeof value === 'number',
  );
  if (list(record['documents']).length > 0) {
    return gold.map((at) => ({ segment: at, start: 0, end: segments[at]?.text.length ?? 0 }));
  }
  const context = segments[0]?.text ?? '';
  const units = codePointStarts(context);
  return list(meta['relevant_char_spans']).flatMap((span) => {
    const [start, end] = list(span);
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
