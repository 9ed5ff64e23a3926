/** Bodies of the requests that windows become. */
import type { WindowLayout } from '../../core/window-words.ts';
import type { AskOptions, Piece, WindowPrompt, WindowTools } from '../../context/windows/types.ts';
import { applySplices, encodeJsonString } from '../../wire/splice.ts';
import { isObject, type JsonObject, type WindowRequest } from './request.ts';

export interface Composer {
  /**
   * The prompt as the client's own request: streamed or not, with all of its settings.
   * @param room tokens that its answer can have; a larger wish, which servers refuse, is lowered to it
   */
  final(prompt: WindowPrompt, room: number): Uint8Array;
  /** The prompt as a question of ours: a short answer, with probabilities where they are wanted. */
  question(prompt: WindowPrompt, options: AskOptions & { readonly stream: boolean }): Uint8Array;
}

/** Settings that mean something else, or nothing, for a question of ours. */
const notOurs: ReadonlySet<string> = new Set([
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'logprobs',
  'top_logprobs',
  'n',
  'best_of',
  // A slot for the whole conversation would make windows wait for one another.
  'id_slot',
]);
/** The same where the answer has a form of ours. */
const notForRecords: ReadonlySet<string> = new Set([
  'stop',
  'response_format',
  'logit_bias',
  'grammar',
  'json_schema',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'structured_outputs',
]);

export function createComposer(
  request: WindowRequest,
  windows: readonly { readonly pieces: readonly Piece[] }[],
  rules: { readonly tools: WindowTools; readonly layout: WindowLayout },
): Composer {
  const { tools, layout } = rules;
  const textOf = (window: number): string =>
    tools.render(request.materials, windows[window]?.pieces ?? []);
  const whole = (prompt: WindowPrompt): JsonObject | Uint8Array => {
    switch (prompt.type) {
      case 'window':
      case 'bare': {
        const pieces = prompt.type === 'bare' ? null : (windows[prompt.window]?.pieces ?? []);
        const body = withPieces(request, pieces, { tools, layout });
        const { continuation } = prompt;
        return continuation === undefined ? body : continued(parsed(body), continuation);
      }
      case 'record':
        return withText(request, recordText(request, textOf(prompt.window), rules));
      case 'text':
        return withText(request, prompt.text);
    }
  };
  return {
    final: (prompt, room) => lowered(whole(prompt), room),
    question(prompt, options) {
      const made = whole(prompt);
      const root = made instanceof Uint8Array ? parsed(made) : made;
      const ownForm = prompt.type === 'record' || prompt.type === 'text';
      return encoded({ ...kept(root, ownForm), ...settings(request, options) });
    },
  };
}

/** Names of the limit of an answer. */
const limits = ['max_tokens', 'max_completion_tokens'] as const;

function lowered(made: JsonObject | Uint8Array, room: number): Uint8Array {
  const root = made instanceof Uint8Array ? parsed(made) : made;
  const tooMany = limits.filter((name) => Number(root[name]) > room);
  if (tooMany.length === 0) return encoded(made);
  return encoded({ ...root, ...Object.fromEntries(tooMany.map((name) => [name, room])) });
}

function encoded(made: JsonObject | Uint8Array): Uint8Array {
  return made instanceof Uint8Array ? made : Buffer.from(JSON.stringify(made));
}

function parsed(body: Uint8Array): JsonObject {
  const value: unknown = JSON.parse(Buffer.from(body).toString());
  return isObject(value) ? value : {};
}

function kept(root: JsonObject, ownForm: boolean): JsonObject {
  return Object.fromEntries(
    Object.entries(root).filter(
      ([name]) => !notOurs.has(name) && !(ownForm && notForRecords.has(name)),
    ),
  );
}

function settings(
  { root, chat }: WindowRequest,
  { maxTokens, top, stream }: AskOptions & { readonly stream: boolean },
): JsonObject {
  const newName = 'max_completion_tokens' in root;
  // Models that know only the new name of the limit refuse any temperature that nobody asked for.
  const temperature = newName && !('temperature' in root) ? {} : { temperature: 0 };
  const probabilities =
    top === null
      ? {}
      : chat
        ? { logprobs: true, ...(top > 0 ? { top_logprobs: top } : {}) }
        : { logprobs: Math.max(1, top) };
  return {
    ...temperature,
    ...probabilities,
    [newName ? 'max_completion_tokens' : 'max_tokens']: maxTokens,
    stream,
    ...(stream ? { stream_options: { include_usage: true } } : {}),
  };
}

/** The client's bytes with the documents' regions replaced; null = by nothing. */
function withPieces(
  request: WindowRequest,
  pieces: readonly Piece[] | null,
  { tools, layout }: { readonly tools: WindowTools; readonly layout: WindowLayout },
): Uint8Array {
  const { body, regions, materials } = request;
  const splices = regions.map(({ byteStart, byteEnd, from, to, tail }, at) => {
    const here = (pieces ?? []).filter(({ material }) => material >= from && material < to);
    const text = here.length === 0 ? '' : tools.render(materials, here) + tail;
    const ahead = at === 0 && layout === 'question-first' ? `${leadingQuestion(request)}\n\n` : '';
    return { byteStart, byteEnd, bytes: encodeJsonString(ahead + text) };
  });
  return applySplices(body, splices);
}

/** The question without a cue for the answer at its end (`Answer:`), to stand in front of the text. */
export function leadingQuestion({ question }: Pick<WindowRequest, 'question'>): string {
  return withoutCue(question);
}

/** Everything that the user says beside the documents, for instructions of ours. */
export function demandOf({ demand }: Pick<WindowRequest, 'demand'>): string {
  return withoutCue(demand);
}

function withoutCue(text: string): string {
  return text.replace(/\n[ \t]*[\p{L} ]{1,24}:[ \t]*$/u, '');
}

function recordText(
  request: WindowRequest,
  text: string,
  { tools, layout }: { readonly tools: WindowTools; readonly layout: WindowLayout },
): string {
  const { before, after } = tools.recordPrompt(demandOf(request));
  return layout === 'question-first' ? before + text + after : `${text}\n\n${before}${after}`;
}

/** The client's request with a text of ours in place of its prompt; its system messages stay. */
function withText({ root, chat }: WindowRequest, text: string): JsonObject {
  if (!chat) return { ...root, prompt: text };
  const messages: unknown = root['messages'];
  const system = (Array.isArray(messages) ? messages : []).filter(
    (message: unknown) =>
      isObject(message) && (message['role'] === 'system' || message['role'] === 'developer'),
  );
  return { ...root, messages: [...system, { role: 'user', content: text }] };
}

function continued(root: JsonObject, continuation: string): JsonObject {
  const { prompt } = root;
  return typeof prompt === 'string' ? { ...root, prompt: prompt + continuation } : root;
}
