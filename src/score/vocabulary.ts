/** Tokenizers of the models; models with the same `tokenizer.json` share one. */
import { loadTokenizer } from '../tokenize/load.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { openWordIds } from '../tokenize/word-ids.ts';
import type { ModelManifest } from './types.ts';

export interface Vocabulary {
  readonly tokenizer: TextTokenizer;
  /** Ids of a text, without offsets. */
  idsOf(text: string): Uint32Array;
}

export function openVocabulary(folder: string): Vocabulary {
  const tokenizer = loadTokenizer(folder);
  let wordIds: Vocabulary['idsOf'] | null = null;
  const idsOf: Vocabulary['idsOf'] = (text) => {
    wordIds ??= openWordIds(folder, tokenizer);
    return wordIds(text);
  };
  return { tokenizer, idsOf };
}

/** Opens each distinct tokenizer file once, as told apart by the hashes of the manifests. */
export function vocabularySource(): (folder: string, manifest: ModelManifest) => Vocabulary {
  const opened = new Map<string, Vocabulary>();
  return (folder, manifest) => {
    const hashes = ['tokenizer.json', 'tokenizer_config.json'].map(
      (name) => manifest.files[name]?.sha256,
    );
    const key = hashes[0] === undefined ? folder : hashes.join(' ');
    const vocabulary = opened.get(key) ?? openVocabulary(folder);
    opened.set(key, vocabulary);
    return vocabulary;
  };
}
