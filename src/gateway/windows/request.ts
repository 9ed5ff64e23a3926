/** What of a request can be read in windows: its documents, and what stands around them. */
import type { Span } from '../../core/span.ts';
import type { TextPlace } from '../../core/text-place.ts';
import type { Material, Piece } from '../../context/windows/types.ts';
import { carryOver, type Changed } from '../../wire/carry.ts';
import { readRequest } from '../../wire/read.ts';
import type { ReadRequest } from '../../wire/types.ts';
import { planUnits } from '../plan.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A stretch of one string of the body that holds documents and nothing else. */
export interface Region {
  readonly byteStart: number;
  readonly byteEnd: number;
  /** Index of its first material, and of the first one behind it. */
  readonly from: number;
  readonly to: number;
  /** What stands behind the last document. */
  readonly tail: string;
}

export interface WindowRequest {
  readonly body: Uint8Array;
  /** The same, parsed. */
  readonly root: JsonObject;
  readonly chat: boolean;
  readonly path: string;
  readonly stream: boolean;
  readonly maxTokens: number | null;
  readonly model: string | null;
  readonly messages: number;
  /** What is asked, as far as the detector calls it so. */
  readonly question: string;
  /** Everything that the user says beside the documents. */
  readonly demand: string;
  /** Answers, images and the like, which only a prompt with all of the client's messages keeps. */
  readonly more: boolean;
  readonly regions: readonly Region[];
  readonly materials: readonly Material[];
  /** Where the text of each material begins. */
  readonly places: readonly Pick<TextPlace, 'pointer' | 'start'>[];
  /** All text outside the regions. */
  readonly frame: readonly string[];
  /** The part of it that stands in front of the first region. */
  readonly ahead: readonly string[];
  /** What the frame has of instructions for the whole conversation. */
  readonly system: readonly string[];
}

/** Why a request cannot be read in windows, in a word or two for logs. */
export interface Unfit {
  readonly unfit: string;
}

/**
 * @param body final bytes: `sluice` fields are gone, texts are compressed
 * @param facts.changed what was found in it before; null = it is read now
 */
export function windowRequest(
  body: Uint8Array,
  { path, changed }: { readonly path: string; readonly changed: Changed | null },
): WindowRequest | Unfit {
  const request = changed === null ? null : carryOver(changed, body);
  if (request !== null) return windowsOf(body, path, request);
  const read = readRequest(body, path, { inspectBytes: body.byteLength, bodyWishes: false });
  return read.ok ? windowsOf(body, path, read.request) : { unfit: read.reason };
}

function windowsOf(body: Uint8Array, path: string, request: ReadRequest): WindowRequest | Unfit {
  const chat = request.dialect === 'openai-chat';
  if (!chat && request.dialect !== 'openai-completions') return { unfit: 'dialect' };
  const root: unknown = JSON.parse(Buffer.from(body).toString());
  if (!isObject(root)) return { unfit: 'not-an-object' };
  const refusal = unreadable(root, request);
  if (refusal !== null) return { unfit: refusal };
  const question = planUnits(request).at(-1)?.question.trim() ?? '';
  if (question === '') return { unfit: 'no-question' };
  const found = regionsOf(request.spans);
  if (found.materials.length === 0) return { unfit: 'no-documents' };
  return {
    body,
    root,
    chat,
    path,
    stream: request.stream,
    maxTokens: request.maxTokens,
    model: request.model,
    messages: request.messages.length,
    question,
    demand: demandOf(request.spans, found.regions) || question,
    more: hasMore(root),
    ...found,
  };
}

function demandOf(spans: readonly Span[], regions: readonly Region[]): string {
  const inRegion = ({ byteStart }: Span): boolean =>
    regions.some((region) => byteStart >= region.byteStart && byteStart < region.byteEnd);
  return spans
    .filter(({ role, kind }) => (role === 'user' || role === 'prompt') && kind !== 'demonstration')
    .filter((span) => !inRegion(span))
    .map(({ text }) => text.trim())
    .filter((text) => text !== '')
    .join('\n');
}

/** True for chats with turns of the model, or with parts that are no text. */
function hasMore({ messages }: JsonObject): boolean {
  const list: readonly unknown[] = Array.isArray(messages) ? messages : [];
  return list.some((message) => {
    if (!isObject(message)) return false;
    const { role, content } = message;
    const parts: readonly unknown[] = Array.isArray(content) ? content : [];
    return (
      role === 'assistant' ||
      parts.some((part) => isObject(part) && typeof part['text'] !== 'string')
    );
  });
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Requests whose answer is more than a text for one prompt. */
function unreadable(root: JsonObject, request: ReadRequest): string | null {
  const { tools, functions, prompt, n, best_of: best, echo, suffix } = root;
  if (Array.isArray(tools) && tools.length > 0) return 'tools';
  if (Array.isArray(functions) && functions.length > 0) return 'tools';
  if (request.spans.some(({ kind }) => kind === 'tool-call' || kind === 'tool-result')) {
    return 'tools';
  }
  if (prompt !== undefined && typeof prompt !== 'string') return 'several-prompts';
  if ((typeof n === 'number' && n > 1) || (typeof best === 'number' && best > 1)) return 'choices';
  return echo === true || typeof suffix === 'string' ? 'echo-or-suffix' : null;
}

type Found = Pick<WindowRequest, 'regions' | 'materials' | 'places' | 'frame' | 'ahead' | 'system'>;

function regionsOf(spans: readonly Span[]): Found {
  const regions: Region[] = [];
  const materials: Material[] = [];
  const places: Pick<TextPlace, 'pointer' | 'start'>[] = [];
  const outside: Span[] = [];
  for (let at = 0; at < spans.length;) {
    const run = runFrom(spans, at);
    const [first] = run;
    const last = run.at(-1);
    if (first === undefined || last === undefined || !run.some(isDocument)) {
      outside.push(...spans.slice(at, at + 1));
      at += 1;
      continue;
    }
    const from = materials.length;
    const { documents, tail } = documentsOf(run);
    for (const { material, place } of documents) {
      materials.push(material);
      places.push(place);
    }
    const { byteStart } = first;
    regions.push({ byteStart, byteEnd: last.byteEnd, from, to: materials.length, tail });
    at += run.length;
  }
  const frame = outside.map(({ text }) => text);
  const border = regions[0]?.byteStart ?? 0;
  const ahead = outside.filter(({ byteEnd }) => byteEnd <= border).map(({ text }) => text);
  const system = outside
    .filter(({ role }) => role === 'system' || role === 'developer')
    .map(({ text }) => text);
  return { regions, materials, places, frame, ahead, system };
}

function isDocument(span: Span): boolean {
  return span.kind === 'document' && span.policy === 'compressible';
}

/** Spans of one string that are documents, what frames them, and code between them. */
function runFrom(spans: readonly Span[], at: number): readonly Span[] {
  const first = spans[at];
  if (first === undefined || first.role === 'system' || first.role === 'assistant') return [];
  let to = at;
  while (to < spans.length) {
    const span = spans[to];
    if (span === undefined || span.pointer !== first.pointer) break;
    const belongs =
      isDocument(span) || span.reason === 'document-section' || (to > at && isCode(span));
    if (!belongs) break;
    to += 1;
  }
  return spans.slice(at, to);
}

function isCode(span: Span): boolean {
  return span.reason === 'code-block';
}

interface Document {
  readonly material: Material;
  readonly place: Pick<TextPlace, 'pointer' | 'start'>;
}

function documentsOf(run: readonly Span[]): { documents: Document[]; tail: string } {
  const documents: Document[] = [];
  let lead = '';
  let tail = '';
  for (const span of run) {
    const previous = documents.at(-1);
    if (isDocument(span) || isCode(span)) {
      if (previous !== undefined && lead === '' && tail === '') {
        const { material } = previous;
        documents[documents.length - 1] = {
          ...previous,
          material: { ...material, text: material.text + span.text },
        };
        continue;
      }
      const material = { lead, text: span.text, trail: '', separator: '' };
      documents.push({ material, place: { pointer: span.pointer, start: span.start } });
      lead = '';
      tail = '';
    } else if (previous === undefined) lead += span.text;
    else {
      const parts = frameParts(span.text);
      const { trail, separator } = parts;
      documents[documents.length - 1] = {
        ...previous,
        material: { ...previous.material, trail, separator },
      };
      lead = parts.lead;
      tail = parts.separator + parts.lead;
    }
  }
  return { documents, tail };
}

/** What stands between two documents: the end of the first one's frame, blanks, the beginning of the second one's. */
function frameParts(text: string): Pick<Material, 'lead' | 'trail' | 'separator'> {
  const trail = /^(?:\s*<\/[^<>]*>)+/.exec(text)?.[0] ?? '';
  const rest = text.slice(trail.length);
  const separator = /^\s*/.exec(rest)?.[0] ?? '';
  return { trail, separator, lead: rest.slice(separator.length) };
}

/** Where the pieces of a window stand in the body's strings. */
export function placesOf(request: WindowRequest, pieces: readonly Piece[]): TextPlace[] {
  return pieces.flatMap(({ material, start, end }) => {
    const place = request.places[material];
    if (place === undefined) return [];
    const { pointer } = place;
    return [{ pointer, start: place.start + start, end: place.start + end }];
  });
}
