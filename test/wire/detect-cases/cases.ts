/** Shape of the detection cases and the short names of the parts they expect. */
import type { DetectedPart, StringPlace } from '../../../src/wire/types.ts';

/**
 * `[code, start, end]`: the part's trimmed text starts with `start` and, when given, ends with `end`. Parts that
 * frame documents (tags, headings, white space) are left out of the list; the test checks that they are pinned.
 */
export type Want = readonly [code: keyof typeof codes, start: string, end?: string];

export interface DetectCase {
  readonly name: string;
  readonly text: string;
  readonly place?: Partial<StringPlace>;
  readonly want: readonly Want[];
}

type Expected = Pick<DetectedPart, 'kind' | 'policy'> & Partial<Pick<DetectedPart, 'content'>>;

const document = { kind: 'document', policy: 'compressible' } as const;
const tool = { kind: 'tool-result', policy: 'compressible' } as const;

export const codes = {
  D: { ...document, content: 'prose' },
  Djson: { ...document, content: 'json' },
  Dlog: { ...document, content: 'log' },
  Ddiff: { ...document, content: 'diff' },
  Dtable: { ...document, content: 'table' },
  Dsearch: { ...document, content: 'search' },
  Dmarkup: { ...document, content: 'markup' },
  Code: { kind: 'document', policy: 'pinned', content: 'code' },
  Q: { kind: 'question', policy: 'pinned' },
  I: { kind: 'instruction', policy: 'pinned' },
  H: { kind: 'history', policy: 'pinned' },
  X: { kind: 'demonstration', policy: 'droppable' },
  T: { ...tool, content: 'prose' },
  Tjson: { ...tool, content: 'json' },
  Tlog: { ...tool, content: 'log' },
  Tdiff: { ...tool, content: 'diff' },
  Ttable: { ...tool, content: 'table' },
  Tsearch: { ...tool, content: 'search' },
  Tmarkup: { ...tool, content: 'markup' },
  Tcode: { kind: 'tool-result', policy: 'pinned', content: 'code' },
} as const satisfies Record<string, Expected>;

export const prompt: Partial<StringPlace> = { role: 'prompt' };
export const earlier: Partial<StringPlace> = { lastUser: false };
