/** Held-out English novels as one stream of tokens. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadTokenizer } from '../../src/tokenize/load.ts';

const sources: readonly string[] = ['COST-ELTeC/ELTeC-eng', 'mlschmitt/classic-books-markdown'];

export interface Stream {
  readonly ids: Uint32Array;
  readonly excerpts: number;
}

/** Null when the file is not there. @throws when xz is missing or a line is no JSON */
export function readStream(path: string, model: string): Stream | null {
  if (!existsSync(path)) return null;
  const text = execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 30, encoding: 'utf8' });
  const excerpts = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): { readonly text: string; readonly source: string } => JSON.parse(line))
    .filter(({ source }) => sources.includes(source));
  const tokenizer = loadTokenizer(model);
  const parts = excerpts.map((excerpt) => tokenizer.encode(`${excerpt.text}\n\n`).ids);
  const ids = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return { ids, excerpts: excerpts.length };
}

/** Ends of `count` stretches with at least `longest` tokens before each, spread evenly; the last one first. */
export function endsOf(tokens: number, longest: number, count: number): number[] {
  const room = tokens - longest;
  if (room < 0) return [];
  return Array.from(
    { length: count },
    (_, i) => tokens - Math.floor((room * i) / Math.max(1, count - 1)),
  );
}
