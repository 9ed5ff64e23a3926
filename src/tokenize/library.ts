/**
 * The parts of @huggingface/tokenizers that are used, as types. The package's own declarations import each other
 * without file extensions and therefore resolve to nothing under Node's module resolution.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { isRecord, stringAt } from './definition.ts';

export interface LibraryModel {
  /** Tokens of pieces, runs of unknown ones joined where the model asks for it. */
  (pieces: string[]): string[];
  encode(pieces: string[]): string[];
  readonly tokens_to_ids: Map<string, number>;
  readonly vocab: (string | undefined)[];
  readonly unk_token_id?: number | undefined;
}

export interface LibraryNormalizer {
  normalize(text: string): string;
  /** Of a replacing normaliser. */
  readonly pattern?: RegExp | null;
}

export interface LibraryPreTokenizer {
  pre_tokenize(text: string | string[], options?: { section_index: number }): string[];
  /** Of rules that are one regular expression. */
  readonly pattern?: RegExp | null;
  readonly config?: { readonly invert?: boolean; readonly behavior?: string };
  readonly use_regex?: boolean;
  readonly add_prefix_space?: boolean;
  readonly byte_encoder?: Readonly<Record<number, string>>;
}

/** A part with the `type` that `tokenizer.json` gives it. */
export interface Typed<Part> {
  readonly type: string;
  readonly part: Part;
}

export interface Library {
  readonly model: LibraryModel | null;
  readonly normalizers: readonly Typed<LibraryNormalizer>[];
  readonly preTokenizers: readonly Typed<LibraryPreTokenizer>[];
  /** All pre-tokenizers in order; null = the text is one piece. */
  readonly preTokenizer: LibraryPreTokenizer | null;
  /** Text of ids, which must all be known and at least one. */
  decode(ids: number[]): string;
}

interface RawTokenizer {
  readonly model: LibraryModel | null;
  readonly normalizer: (LibraryNormalizer & { normalizers?: unknown[] }) | null;
  readonly pre_tokenizer: (LibraryPreTokenizer & { tokenizers?: unknown[] }) | null;
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string;
}

/** The parts of a `Sequence` (nested ones too) in order, or the one part, each with its type. */
function flatten<Part extends object>(
  rules: unknown,
  part: Part | null,
  isPart: (value: unknown) => value is Part,
  keys: readonly [config: string, object: string],
): Typed<Part>[] {
  if (part === null) return [];
  const type = stringAt(rules, 'type') ?? '';
  const [configKey, objectKey] = keys;
  const inner: unknown = Reflect.get(part, objectKey);
  if (type !== 'Sequence' || !isRecord(rules) || !Array.isArray(inner)) return [{ type, part }];
  const configs: unknown = rules[configKey];
  return inner.flatMap((step: unknown, i) =>
    isPart(step) && Array.isArray(configs) ? flatten<Part>(configs[i], step, isPart, keys) : [],
  );
}

// the library's parts are callable objects
const hasMethod = (value: unknown, name: string): boolean =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof Reflect.get(value, name) === 'function';
const isNormalizer = (value: unknown): value is LibraryNormalizer => hasMethod(value, 'normalize');
const isPreTokenizer = (value: unknown): value is LibraryPreTokenizer =>
  hasMethod(value, 'pre_tokenize');

/** Opens a tokenizer from its parsed files. Throws the library's own errors. */
export function openLibrary(
  json: Record<string, unknown>,
  config: Record<string, unknown>,
): Library {
  const raw: RawTokenizer = new Tokenizer(json, config);
  return {
    model: raw.model,
    normalizers: flatten<LibraryNormalizer>(json['normalizer'], raw.normalizer, isNormalizer, [
      'normalizers',
      'normalizers',
    ]),
    preTokenizers: flatten<LibraryPreTokenizer>(
      json['pre_tokenizer'],
      raw.pre_tokenizer,
      isPreTokenizer,
      ['pretokenizers', 'tokenizers'],
    ),
    preTokenizer: raw.pre_tokenizer,
    decode: (ids) => raw.decode(ids, { clean_up_tokenization_spaces: false }),
  };
}
