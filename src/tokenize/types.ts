/** What the rest of the code base may ask of a tokenizer. */
import type { Steps } from '../core/steps.ts';

/** Token ids of a text and where each token lies in it; the three arrays have one entry per token. */
export interface Encoding {
  readonly ids: Uint32Array;
  /** UTF-16 offset where the token's text starts. A token that is part of a character starts at that character. */
  readonly starts: Uint32Array;
  /** UTF-16 offset just after the token's text. */
  readonly ends: Uint32Array;
}

export interface TextTokenizer {
  /** Names vocabulary and rules, e.g. `scout@1` or `tokenizer.json:<sha256 prefix>`. Part of every decision's key. */
  readonly id: string;
  /** True when counts stand in for the backend's own tokenizer. */
  readonly estimated: boolean;
  readonly vocabularySize: number;
  /**
   * Encodes without adding special tokens. Text that looks like a special token (`<|endoftext|>`) is plain text.
   * Offsets never split a surrogate pair.
   */
  encode(text: string): Encoding;
  /** Number of tokens of `encode(text)`. */
  count(text: string): number;
  /** `encode` and `count` in steps, for long texts; left out = only at once. See `encodeInSteps`, `countInSteps`. */
  encodeSteps?(text: string): Steps<Encoding>;
  countSteps?(text: string): Steps<number>;
  decode(ids: ArrayLike<number>): string;
  /** Id of a special token by its literal text, or null. */
  specialId(literal: string): number | null;
  /** Whole prompts as a server tokenizes them; left out = its rules for added tokens are not known here. */
  readonly prompts?: PromptEncoder;
}

/** Tokens of a rendered prompt, where text that looks like a special token is that token. */
export interface PromptEncoder {
  /** Stretches between added tokens are remembered (bounded): a conversation repeats its history every turn. */
  encodeSteps(text: string): Steps<Uint32Array>;
  /** What the tokenizer puts around a text when it is asked for special tokens; null = not known. */
  readonly edges: { readonly before: readonly number[]; readonly after: readonly number[] } | null;
}

/** What a chat template is rendered with. */
export interface ChatTemplateInput {
  readonly messages: readonly unknown[];
  /** null = none given. */
  readonly tools: readonly unknown[] | null;
  readonly addGenerationPrompt: boolean;
  /** Further variables (`chat_template_kwargs`). */
  readonly variables: Readonly<Record<string, unknown>>;
}

export interface RenderedChat {
  readonly text: string;
  /** Everything that the template read from the clock; empty = the text depends on the input alone. */
  readonly clock: readonly string[];
}

/** The chat template of a model folder. */
export interface ChatTemplate {
  /** `parts`: the template walks through content that is a list; `string`: it takes content as one text. */
  contentFormat(withTools: boolean): 'string' | 'parts';
  /** The template mentions the role `developer`. */
  namesDeveloper(withTools: boolean): boolean;
  /** Renders. Throws what the template raises, and for what the renderer cannot do. */
  render(input: ChatTemplateInput): RenderedChat;
}

/** Kinds of word group, the smallest deletable unit. */
export type GroupKind =
  | 'word'
  | 'number'
  | 'url'
  | 'email'
  | 'path'
  | 'identifier'
  | 'cjk'
  | 'punctuation'
  | 'newline'
  | 'emoji';

/** Groups of a text: parallel arrays, ascending, no overlap; what lies between groups is blank (spaces, tabs). */
export interface WordGroups {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly kinds: readonly GroupKind[];
}

/** A half-open range of UTF-16 offsets. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}
