/** A `TextTokenizer` over one `tokenizer.json`. */
import { SluiceError } from '../core/errors.ts';
import { runSteps, type Steps } from '../core/steps.ts';
import { tokenBuffer, type TokenBuffer } from './buffer.ts';
import { type CutRule, cutRules, cutText } from './cut.ts';
import { type TokenizerDefinition, isRecord, stringAt } from './definition.ts';
import {
  type Library,
  type LibraryModel,
  type LibraryPreTokenizer,
  openLibrary,
} from './library.ts';
import { addedTokenCutter } from './added.ts';
import { normalizeWithMap } from './normalize.ts';
import { mergeTable } from './merges.ts';
import {
  type ByteLevelParts,
  byteLevelReader,
  cachePieces,
  type PieceTokens,
  surfaceReader,
} from './pieces.ts';
import { createPromptEncoder } from './prompt-encoder.ts';
import type { Encoding, TextTokenizer } from './types.ts';

export interface TextTokenizerOptions {
  readonly id: string;
  readonly estimated: boolean;
  readonly definition: TokenizerDefinition;
  /** Parsed `tokenizer_config.json`, or an empty object. */
  readonly config: Record<string, unknown>;
}

/** How a stretch without added tokens becomes tokens; offsets are shifted by `offset`. */
export interface Encoder {
  encode(text: string, offset: number, into: TokenBuffer): Steps<void>;
  count(text: string): Steps<number>;
}

/** Builds a tokenizer. @throws SluiceError MODEL_INVALID for a definition that the library cannot read */
export function createTextTokenizer(options: TextTokenizerOptions): TextTokenizer {
  const { id, estimated, definition, config } = options;
  const library = build(definition, config, id);
  const { model } = library;
  if (model === null) throw new SluiceError('MODEL_INVALID', `Tokenizer ${id} has no model`);
  const encoder = encoderOf(library, model, definition);
  const units = addedTokenCutter(definition.added.filter((token) => !token.special));
  const decode = decoderOf(library, model, definition);
  const ids = new Map(definition.added.map((token) => [token.content, token.id]));
  function* encodeSteps(text: string): Steps<Encoding> {
    const into = tokenBuffer(text.length >> 2);
    for (const { token, from, to } of units(text)) {
      if (token === null) yield* encoder.encode(text.slice(from, to), from, into);
      else into.push(token, from, to);
    }
    return into.finish();
  }
  function* countSteps(text: string): Steps<number> {
    let total = 0;
    for (const { token, from, to } of units(text))
      total += token === null ? yield* encoder.count(text.slice(from, to)) : 1;
    return total;
  }
  const prompts = createPromptEncoder(encoder, definition);
  return {
    ...(prompts === null ? {} : { prompts }),
    id,
    estimated,
    vocabularySize: definition.size,
    encode: (text) => runSteps(encodeSteps(text)),
    count: (text) => runSteps(countSteps(text)),
    encodeSteps,
    countSteps,
    decode,
    specialId: (literal) => ids.get(literal) ?? null,
  };
}

function build(
  definition: TokenizerDefinition,
  config: Record<string, unknown>,
  id: string,
): Library {
  try {
    return openLibrary(definition.json, config);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError('MODEL_INVALID', `Cannot read tokenizer ${id}: ${found}`, { cause });
  }
}

const loneSurrogate = /\p{Cs}/u;

function encoderOf(
  library: Library,
  model: LibraryModel,
  definition: TokenizerDefinition,
): Encoder {
  const steps = library.preTokenizers;
  const last = steps.at(-1);
  const before = steps.slice(0, -1);
  // the byte alphabet comes last and adds no blank: pieces are cut from the plain text, bytes give the offsets
  if (
    last?.type !== 'ByteLevel' ||
    last.part.add_prefix_space === true ||
    before.some(({ type }) => type === 'ByteLevel')
  )
    return surfaceEncoder(library, model, definition);
  const direct = byteLevelEncoder(
    byteLevelParts(definition, model, signsOf(last.part)),
    cutRules(steps),
  );
  if (library.normalizers.length === 0) return direct;
  const surface = surfaceEncoder(library, model, definition);
  const isPlain = (text: string): boolean =>
    !loneSurrogate.test(text) &&
    library.normalizers.every(({ part }) => part.normalize(text) === text);
  return {
    encode: (text, offset, into) => (isPlain(text) ? direct : surface).encode(text, offset, into),
    count: (text) => (isPlain(text) ? direct : surface).count(text),
  };
}

const signsOf = (rule: LibraryPreTokenizer): string[] =>
  Array.from({ length: 256 }, (_, byte) => rule.byte_encoder?.[byte] ?? '');

function byteLevelParts(
  definition: TokenizerDefinition,
  model: LibraryModel,
  signs: readonly string[],
): ByteLevelParts {
  const rules = isRecord(definition.json['model']) ? definition.json['model'] : {};
  // rules that change the signs themselves are left to the library
  const plain = !rules['end_of_word_suffix'] && !rules['continuing_subword_prefix'];
  return {
    model,
    signs,
    merges: plain ? mergeTable(rules['merges'], model.tokens_to_ids, signs) : null,
    wholePieces: rules['ignore_merges'] === true,
  };
}

function byteLevelEncoder(parts: ByteLevelParts, rules: readonly CutRule[]): Encoder {
  const read = cachePieces(byteLevelReader(parts));
  return {
    *encode(text, offset, into) {
      let at = 0;
      for (const pieces of cutText(text, rules)) {
        for (const piece of pieces) {
          // rules that remove text (blanks, say) leave gaps between pieces
          const found = text.startsWith(piece, at) ? at : text.indexOf(piece, at);
          if (found >= 0) at = found;
          pushPiece(read(piece), offset + at, into);
          at += piece.length;
        }
        yield;
      }
    },
    *count(text) {
      let total = 0;
      for (const pieces of cutText(text, rules)) {
        for (const piece of pieces) total += read(piece).ids.length;
        yield;
      }
      return total;
    },
  };
}

function pushPiece(tokens: PieceTokens, offset: number, into: TokenBuffer): void {
  const { ids, starts, ends } = tokens;
  for (let i = 0; i < ids.length; i++)
    into.push(ids[i] ?? 0, offset + (starts[i] ?? 0), offset + (ends[i] ?? 0));
}

/** Pre-tokenizers that write `▁` for a space leave whole texts as one piece; the words in it are pieces as well. */
function wordSplitter(
  library: Library,
  definition: TokenizerDefinition,
): (pieces: string[]) => string[] {
  if (definition.crossesWords) return (pieces) => pieces;
  const steps = library.preTokenizers;
  const marks = steps.length === 0 || steps.some(({ type }) => type === 'Metaspace');
  if (!marks) return (pieces) => pieces;
  return (pieces) => pieces.flatMap((piece) => piece.match(/▁+[^▁]*|[^▁]+/g) ?? []);
}

/** Pieces read between two places to stop. */
const pieceStride = 512;

function surfaceEncoder(
  library: Library,
  model: LibraryModel,
  definition: TokenizerDefinition,
): Encoder {
  const rules = definition.json['model'];
  const continuing =
    stringAt(rules, 'type') === 'WordPiece'
      ? (stringAt(rules, 'continuing_subword_prefix') ?? '##')
      : '';
  const byteSigns = byteSignsOf(library);
  const read = cachePieces(
    byteSigns === null
      ? surfaceReader(model, continuing)
      : byteLevelReader(byteLevelParts(definition, model, byteSigns)),
  );
  const words = wordSplitter(library, definition);
  const piecesOf = (text: string, offset: number): string[] => {
    if (text.length === 0) return [];
    const section = { section_index: offset === 0 ? 0 : 1 };
    return words(library.preTokenizer?.pre_tokenize(text, section) ?? [text]);
  };
  const decodeBytes = byteSigns === null ? null : signDecoder(byteSigns);
  return {
    // normalisers and these pre-tokenizers look at the whole text: only the model's part is done in steps
    *encode(text, offset, into) {
      const normalized = normalizeWithMap(library.normalizers, text);
      const { starts, ends } = normalized;
      let at = 0;
      let done = 0;
      for (const raw of piecesOf(normalized.text, offset)) {
        if (++done % pieceStride === 0) yield;
        const piece = decodeBytes === null ? raw : decodeBytes(raw);
        const place = locate(normalized.text, piece, at);
        const tokens = read(piece);
        for (let i = 0; i < tokens.ids.length; i++) {
          const from = place.start + Math.max(0, (tokens.starts[i] ?? 0) - place.extra);
          const to = place.start + Math.max(0, (tokens.ends[i] ?? 0) - place.extra);
          into.push(
            tokens.ids[i] ?? 0,
            offset + (starts === null ? from : (starts[from] ?? text.length)),
            offset + (ends === null ? to : to === 0 ? 0 : (ends[to - 1] ?? text.length)),
          );
        }
        at = place.start + piece.length - place.extra;
      }
    },
    *count(text) {
      const normalized = library.normalizers.reduce((t, { part }) => part.normalize(t), text);
      let total = 0;
      let done = 0;
      for (const raw of piecesOf(normalized, 0)) {
        if (++done % pieceStride === 0) yield;
        total += read(decodeBytes === null ? raw : decodeBytes(raw)).ids.length;
      }
      return total;
    },
  };
}

/** Where a piece lies in the normalised text; `extra` = leading units that the pre-tokenizer put there. */
function locate(text: string, piece: string, at: number): { start: number; extra: number } {
  if (text.startsWith(piece, at)) return { start: at, extra: 0 };
  const spaced = piece.replaceAll('▁', ' ');
  if (text.startsWith(spaced, at)) return { start: at, extra: 0 };
  const bare = spaced.startsWith(' ') ? spaced.slice(1) : spaced;
  if (text.startsWith(bare, at)) return { start: at, extra: spaced.length - bare.length };
  const found = text.indexOf(bare, at);
  if (found < 0) return { start: at, extra: 0 };
  const withBlank = bare !== spaced && found > at && text.charCodeAt(found - 1) === 32;
  return withBlank
    ? { start: found - 1, extra: 0 }
    : { start: found, extra: spaced.length - bare.length };
}

function byteSignsOf(library: Library): string[] | null {
  const rule = library.preTokenizers.find(({ type }) => type === 'ByteLevel');
  return rule === undefined ? null : signsOf(rule.part);
}

function signDecoder(signs: readonly string[]): (piece: string) => string {
  const byteOf = new Map(signs.map((sign, byte) => [sign, byte]));
  return (piece) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      Uint8Array.from(piece, (sign) => byteOf.get(sign) ?? 0x3f),
    );
}

/** Text of ids; special tokens appear as their literal text, ids outside the vocabulary are left out. */
function decoderOf(
  library: Library,
  model: LibraryModel,
  definition: TokenizerDefinition,
): (ids: ArrayLike<number>) => string {
  for (const token of definition.added) model.vocab[token.id] = token.content;
  const literal = new Map(definition.added.map((token) => [token.id, token.content]));
  const signs = byteSignsOf(library);
  if (signs === null)
    return (ids) => {
      const known = Array.from(ids).filter((id) => model.vocab[id] !== undefined);
      return known.length === 0 ? '' : library.decode(known);
    };
  const byteOf = new Map(signs.map((sign, byte) => [sign, byte]));
  return (ids) => {
    const bytes: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? -1;
      const text = literal.get(id);
      if (text !== undefined) bytes.push(...Buffer.from(text, 'utf8'));
      else for (const sign of model.vocab[id] ?? '') bytes.push(byteOf.get(sign) ?? 0x3f);
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  };
}
