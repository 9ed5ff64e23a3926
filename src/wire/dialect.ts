/** The dialects that are read; a new one is a file in dialects/ and a row here. */
import type { DialectName } from './types.ts';
import { openaiChat } from './dialects/openai-chat.ts';
import { openaiCompletions } from './dialects/openai-completions.ts';
import type { Dialect } from './dialects/types.ts';

const byPath: ReadonlyMap<string, Dialect> = new Map(
  [openaiChat, openaiCompletions].map((dialect) => [dialect.path, dialect]),
);

/** The dialect spoken on a request path (without query), or null. */
export function findDialect(path: string): Dialect | null {
  return byPath.get(path) ?? null;
}

/** Name of the dialect spoken on a request path (without query), or null. */
export function dialectOf(path: string): DialectName | null {
  return findDialect(path)?.name ?? null;
}
