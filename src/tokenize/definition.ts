/** Reading of `tokenizer.json`, and the change that makes special-token text in a prompt plain text. */

/** One entry of `added_tokens`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** White space before (`lstrip`) or after (`rstrip`) the token belongs to it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only as a word of its own is it this token. */
  readonly singleWord: boolean;
}

export interface TokenizerDefinition {
  /** The whole file, with special tokens out of reach of any text. */
  readonly json: Record<string, unknown>;
  readonly added: readonly AddedToken[];
  /** Entries of the model's vocabulary and added tokens: highest id + 1. */
  readonly size: number;
  /** Tokens around a text when special tokens are asked for; null = not known. */
  readonly edges: { readonly before: readonly number[]; readonly after: readonly number[] } | null;
  /** True when some entry has a word border `▁` after another character, so that text may not be cut at borders. */
  readonly crossesWords: boolean;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function stringAt(record: unknown, key: string): string | null {
  const value = isRecord(record) ? record[key] : undefined;
  return typeof value === 'string' ? value : null;
}

function readAdded(json: Record<string, unknown>): AddedToken[] {
  const list: unknown = json['added_tokens'];
  const found: AddedToken[] = [];
  for (const entry of Array.isArray(list) ? list : []) {
    if (!isRecord(entry)) continue;
    const { id, content } = entry;
    if (typeof id !== 'number' || typeof content !== 'string' || content === '') continue;
    found.push({
      id,
      content,
      special: entry['special'] === true,
      lstrip: entry['lstrip'] === true,
      rstrip: entry['rstrip'] === true,
      singleWord: entry['single_word'] === true,
    });
  }
  return found;
}

/** A vocabulary key that no text can equal: text with unpaired surrogates never reaches the model as such. */
const unreachable = (id: number): string => `\uDC00${id}\uD800`;

/** The vocabulary (object of BPE and WordPiece, or list of pairs of Unigram) with the named tokens out of reach. */
function hideTokens(vocabulary: unknown, hidden: ReadonlyMap<string, number>): unknown {
  if (Array.isArray(vocabulary))
    return vocabulary.map((entry: unknown, id) => {
      if (!Array.isArray(entry)) return entry;
      const [piece, score]: unknown[] = entry;
      return typeof piece === 'string' && hidden.has(piece) ? [unreachable(id), score] : entry;
    });
  if (!isRecord(vocabulary)) return vocabulary;
  const result: Record<string, unknown> = { ...vocabulary };
  for (const [content] of hidden) {
    const id = result[content];
    if (typeof id !== 'number') continue;
    delete result[content];
    result[unreachable(id)] = id;
  }
  return result;
}

function vocabularyKeys(vocabulary: unknown): string[] {
  if (isRecord(vocabulary)) return Object.keys(vocabulary);
  const keys: string[] = [];
  for (const entry of Array.isArray(vocabulary) ? vocabulary : [])
    if (Array.isArray(entry) && typeof entry[0] === 'string') keys.push(entry[0]);
  return keys;
}

/** What a post-processor puts around one text. Those of encoders are not read. */
function readEdges(rules: unknown): TokenizerDefinition['edges'] {
  if (rules === null || rules === undefined) return { before: [], after: [] };
  const type = stringAt(rules, 'type');
  if (!isRecord(rules) || type === null) return null;
  if (type === 'ByteLevel') return { before: [], after: [] };
  if (type === 'TemplateProcessing') return templateEdges(rules);
  const steps: unknown = rules['processors'];
  if (type !== 'Sequence' || !Array.isArray(steps)) return null;
  const before: number[] = [];
  const after: number[] = [];
  for (const step of steps) {
    const edges = readEdges(step);
    if (edges === null) return null;
    before.unshift(...edges.before);
    after.push(...edges.after);
  }
  return { before, after };
}

function templateEdges(rules: Record<string, unknown>): TokenizerDefinition['edges'] {
  const { single, special_tokens: tokens } = rules;
  if (!Array.isArray(single)) return null;
  const before: number[] = [];
  const after: number[] = [];
  let seen = false;
  for (const item of single) {
    if (!isRecord(item)) return null;
    const name = stringAt(item['SpecialToken'], 'id');
    if (name === null) {
      seen = true;
      continue;
    }
    const entry = isRecord(tokens) ? tokens[name] : undefined;
    const ids: unknown = isRecord(entry) ? entry['ids'] : undefined;
    if (!Array.isArray(ids)) return null;
    for (const id of ids) {
      if (typeof id !== 'number') return null;
      (seen ? after : before).push(id);
    }
  }
  return { before, after };
}

/**
 * Prepares a parsed `tokenizer.json`. Special tokens leave the added tokens and the reachable vocabulary: the same
 * characters in a prompt are encoded as ordinary text. Added tokens that are not special (`<tool_call>`, runs of
 * blanks) stay units of their own, as the backends treat them.
 */
export function readDefinition(json: Record<string, unknown>): TokenizerDefinition {
  const added = readAdded(json);
  const model = isRecord(json['model']) ? json['model'] : {};
  const hidden = new Map<string, number>();
  for (const token of added) if (token.special) hidden.set(token.content, token.id);
  const unknownToken = stringAt(model, 'unk_token');
  const vocabulary = model['vocab'];
  const unknownId =
    unknownToken !== null && isRecord(vocabulary) ? vocabulary[unknownToken] : undefined;
  const keys = vocabularyKeys(vocabulary);
  const hiddenModel: Record<string, unknown> = {
    ...model,
    vocab: hideTokens(vocabulary, hidden),
  };
  if (unknownToken !== null && hidden.has(unknownToken) && typeof unknownId === 'number')
    hiddenModel['unk_token'] = unreachable(unknownId);
  return {
    json: {
      ...json,
      model: hiddenModel,
      added_tokens: [],
      post_processor: null,
      normalizer: json['normalizer'] ?? null,
      pre_tokenizer: json['pre_tokenizer'] ?? null,
      decoder: json['decoder'] ?? null,
    },
    added,
    edges: readEdges(json['post_processor']),
    size: added.reduce((size, token) => Math.max(size, token.id + 1), keys.length),
    crossesWords: keys.some((key) => /[^▁]▁/.test(key)),
  };
}
