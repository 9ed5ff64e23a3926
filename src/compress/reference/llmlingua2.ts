/**
 * llmlingua 0.2.2's classifier path with its own arithmetic, for comparison on the same weights:
 * chunks by the classifier's tokens, words by its pieces, percentile per chunk weighted by the tokens that each word
 * has in another vocabulary (cl100k), strict comparison.
 */
import { mean, percentile } from './numbers.ts';

/** The classifier's vocabulary as the reference sees it: text with special tokens recognised. */
export interface PieceVocabulary {
  readonly maxLength: number;
  /** Pieces of a text (`mid`, `##House`, `[NEW3]`), without `[CLS]` and `[SEP]`. */
  pieces(text: string): readonly string[];
  idOf(piece: string): number;
  readonly clsPiece: string;
  readonly sepPiece: string;
  /** Special pieces that never become words (`[UNK]`, `[MASK]`, ...). */
  readonly special: ReadonlySet<string>;
}

export interface ReferenceKeepModel extends PieceVocabulary {
  /** Keep probability per position of exactly these ids. */
  probabilities(ids: Uint32Array): Promise<Float32Array>;
  /** Tokens of a word in the vocabulary that counts (cl100k in the reference). */
  countTokens(text: string): number;
}

export interface Llmlingua2Prompt {
  readonly contexts: readonly string[];
  readonly rate: number;
  /** -1 = none, as in the reference. */
  readonly targetToken: number;
  readonly useContextFilter: boolean;
  readonly useTokenFilter: boolean;
  readonly targetContext: number;
  readonly contextRate: number;
  readonly contextTargetToken: number;
  readonly forcedContexts: readonly number[];
  readonly tokenToWord: 'mean' | 'first';
  readonly forceTokens: readonly string[];
  readonly reserveDigit: boolean;
  readonly dropConsecutive: boolean;
  readonly chunkEndTokens: readonly string[];
}

export interface ChunkWords {
  readonly text: string;
  readonly words: string[];
  /** Keep probability per word after forcing. */
  readonly probabilities: number[];
  readonly bare: number[];
}

export interface Llmlingua2Run {
  /** Per context, per chunk. */
  readonly chunks: readonly (readonly ChunkWords[])[];
  readonly contextKept: readonly boolean[];
  /** Per context, per chunk, per word; null where nothing was to be reduced. */
  readonly labels: readonly (readonly Uint8Array[])[] | null;
  readonly thresholds: readonly number[];
}

export async function referenceLlmlingua2(
  model: ReferenceKeepModel,
  prompt: Llmlingua2Prompt,
): Promise<Llmlingua2Run> {
  const force = forceMap(model, prompt.forceTokens);
  const ends = new Set(prompt.chunkEndTokens);
  for (const end of prompt.chunkEndTokens) {
    const piece = force.get(end);
    if (piece !== undefined) ends.add(piece);
  }
  const chunks: ChunkWords[][] = [];
  let total = 0;
  for (const context of prompt.contexts) {
    total += model.countTokens(context);
    let mapped = context;
    for (const [token, piece] of force) mapped = mapped.replaceAll(token, piece);
    const scored: ChunkWords[] = [];
    for (const text of chunkTexts(model, mapped, ends))
      scored.push(await scoreChunk(model, { text, prompt, force }));
    chunks.push(scored);
  }
  const { contextKept, rate } = contextStage(model, { prompt, chunks, total });
  const reduce = Math.max(0, 1 - rate);
  if (!prompt.useTokenFilter || reduce <= 0)
    return { chunks, contextKept, labels: null, thresholds: [] };
  const thresholds: number[] = [];
  const labels = chunks.map((list, index) =>
    list.map((chunk) => {
      if (contextKept[index] !== true) return new Uint8Array(chunk.words.length);
      const choice = chooseWords(chunk, {
        prompt,
        reduce,
        count: (word) => model.countTokens(word),
      });
      thresholds.push(choice.threshold);
      return choice.labels;
    }),
  );
  return { chunks, contextKept, labels, thresholds };
}

/** Force tokens that are not one piece of the vocabulary stand for reserved pieces `[NEWi]`. */
function forceMap(model: PieceVocabulary, tokens: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  tokens.forEach((token, i) => {
    if (model.pieces(token).length !== 1) map.set(token, `[NEW${i}]`);
  });
  return map;
}

/** Texts of at most 511 pieces, cut after the last end token in reach, put together again from their pieces. */
function chunkTexts(model: PieceVocabulary, text: string, ends: ReadonlySet<string>): string[] {
  const reach = model.maxLength - 2;
  const pieces = model.pieces(text);
  const texts: string[] = [];
  for (let start = 0; start < pieces.length;) {
    if (start + reach > pieces.length - 1) {
      texts.push(joinPieces(pieces.slice(start)));
      break;
    }
    let last = start + reach;
    for (let back = 0; back < reach; back++) {
      if (!ends.has(pieces[start + reach - back] ?? '')) continue;
      last = start + reach - back;
      break;
    }
    texts.push(joinPieces(pieces.slice(start, last + 1)));
    start = last + 1;
  }
  return texts;
}

const cleanups: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** Text of WordPiece pieces as the Hugging Face decoder writes it: blanks between words, none before marks. */
export function joinPieces(pieces: readonly string[]): string {
  return pieces
    .map((piece, i) => {
      let text = i === 0 ? piece : piece.startsWith('##') ? piece.slice(2) : ` ${piece}`;
      for (const [from, to] of cleanups) text = text.replaceAll(from, to);
      return text;
    })
    .join('');
}

async function scoreChunk(
  model: ReferenceKeepModel,
  at: {
    readonly text: string;
    readonly prompt: Llmlingua2Prompt;
    readonly force: ReadonlyMap<string, string>;
  },
): Promise<ChunkWords> {
  const { text, prompt, force } = at;
  const sequence = [model.clsPiece, ...model.pieces(text), model.sepPiece].slice(
    0,
    model.maxLength,
  );
  const values = await model.probabilities(Uint32Array.from(sequence, (p) => model.idOf(p)));
  const words: string[] = [];
  const forced: number[][] = [];
  const bare: number[][] = [];
  const reserved = new Set(force.values());
  let stale = 0;
  sequence.forEach((piece, i) => {
    if (model.special.has(piece)) return;
    const pure = piece.replace(/^#+/u, '');
    const original = replaceReserved(piece, force);
    const starts =
      prompt.forceTokens.includes(pure) || reserved.has(pure) || !piece.startsWith('##');
    const value = values[i] ?? 0;
    const digit = prompt.reserveDigit && /\p{Nd}/u.test(starts ? original : piece);
    if (starts || words.length === 0) {
      stale = value;
      const own = prompt.forceTokens.includes(pure) || reserved.has(pure) ? 1 : value;
      words.push(original);
      forced.push([digit ? 1 : own]);
      bare.push([stale]);
    } else {
      words[words.length - 1] += pure;
      forced.at(-1)?.push(digit ? 1 : value);
      bare.at(-1)?.push(stale);
    }
  });
  const toWord = (list: number[]): number =>
    prompt.tokenToWord === 'first' ? (list[0] ?? 0) : mean(list);
  return { text, words, probabilities: forced.map(toWord), bare: bare.map(toWord) };
}

function replaceReserved(piece: string, force: ReadonlyMap<string, string>): string {
  let text = piece;
  for (const [token, reserved] of force) text = text.replaceAll(reserved, token);
  return text;
}

function contextStage(
  model: ReferenceKeepModel,
  at: {
    readonly prompt: Llmlingua2Prompt;
    readonly chunks: readonly (readonly ChunkWords[])[];
    readonly total: number;
  },
): { readonly contextKept: boolean[]; readonly rate: number } {
  const { prompt, chunks, total } = at;
  const targeted = prompt.targetToken;
  if (chunks.length === 1 || !prompt.useContextFilter)
    return {
      contextKept: chunks.map(() => true),
      rate: targeted > 0 ? Math.min(targeted / total, 1) : prompt.rate,
    };
  const contextRate = contextLevelRate(prompt, { contexts: chunks.length, total });
  const scores = chunks.map((list) => mean(list.flatMap((chunk) => chunk.bare)));
  const threshold = percentile(scores, Math.trunc(100 * (1 - contextRate)));
  const contextKept = scores.map(
    (score, i) => score >= threshold || prompt.forcedContexts.includes(i),
  );
  const reserved = chunks
    .filter((_, i) => contextKept[i] === true)
    .flat()
    .reduce((sum, chunk) => sum + model.countTokens(chunk.text), 0);
  return {
    contextKept,
    rate: targeted >= 0 ? Math.min(targeted / reserved, 1) : prompt.rate,
  };
}

function contextLevelRate(
  prompt: Llmlingua2Prompt,
  sizes: { readonly contexts: number; readonly total: number },
): number {
  let { contextRate, contextTargetToken } = prompt;
  if (prompt.targetContext <= 0 && contextRate >= 1 && contextTargetToken <= 0) {
    if (prompt.targetToken < 0 && prompt.rate < 1)
      contextRate = prompt.useTokenFilter ? (prompt.rate + 1) / 2 : prompt.rate;
    if (prompt.targetToken >= 0)
      contextTargetToken = prompt.useTokenFilter ? prompt.targetToken * 2 : prompt.targetToken;
  }
  if (prompt.targetContext >= 0) contextRate = Math.min(prompt.targetContext / sizes.contexts, 1);
  return contextTargetToken >= 0 ? Math.min(contextTargetToken / sizes.total, 1) : contextRate;
}

/**
 * Labels of one chunk's words. The threshold is the percentile floor(100 reduce + 1) of the probabilities, each word
 * counted once per token; a word stays above it, or at it where it is 1.
 */
export function chooseWords(
  chunk: { readonly words: readonly string[]; readonly probabilities: readonly number[] },
  at: {
    readonly prompt: Pick<Llmlingua2Prompt, 'forceTokens' | 'dropConsecutive'>;
    readonly reduce: number;
    readonly count: (word: string) => number;
  },
): { readonly labels: Uint8Array; readonly threshold: number } {
  const { prompt, reduce, count } = at;
  const probabilities = [...chunk.probabilities];
  const isForced = (word: string): boolean => prompt.forceTokens.includes(word);
  if (prompt.dropConsecutive) dropRepeated(chunk.words, { probabilities, isForced, reduce });
  const weighted = chunk.words.flatMap((word, i) =>
    Array.from({ length: count(word) }, () => probabilities[i] ?? 0),
  );
  const threshold = percentile(weighted, Math.trunc(100 * reduce + 1));
  let previous: string | null = null;
  const labels = Uint8Array.from(chunk.words, (word, i) => {
    const value = probabilities[i] ?? 0;
    if (!(value > threshold || (threshold === 1 && value === threshold))) return 0;
    if (prompt.dropConsecutive && isForced(word) && previous === word) return 0;
    previous = word;
    return 1;
  });
  return { labels, threshold };
}

/** Sets a force token to 0 that repeats the last one with no word above the threshold between them. */
function dropRepeated(
  words: readonly string[],
  at: {
    readonly probabilities: number[];
    readonly isForced: (word: string) => boolean;
    readonly reduce: number;
  },
): void {
  const { probabilities, isForced, reduce } = at;
  const threshold = percentile(probabilities, Math.trunc(100 * reduce));
  let between = false;
  let previous: string | null = null;
  words.forEach((word, i) => {
    if (!isForced(word)) {
      between ||= (probabilities[i] ?? 0) > threshold;
      return;
    }
    if (between) between = false;
    else if (word === previous) probabilities[i] = 0;
    previous = word;
  });
}
