/** Inputs longer than the window as parts that are encoded alone, on a runtime. */
import { SluiceError } from '../core/errors.ts';
import type { Sequence } from './kv/sequence.ts';
import type { EngineRuntime } from './runtime.ts';

export interface Parts {
  /** Tokens of every part, at least one part of at least one token; each encoded alone and cached as any prompt. */
  readonly parts: readonly ArrayLike<number>[];
  /** Text that sees all parts: question and answer; at least one token. */
  readonly text: ArrayLike<number>;
  readonly signal?: AbortSignal;
}

/**
 * Parallel context windows (arXiv 2212.10947, section 2): every window starts at 0, the text where the longest one
 * ends. The order of the windows makes no difference.
 * @returns the text's sequence with all its tokens pending
 */
export function openParallelWindows(runtime: EngineRuntime, parts: Parts): Promise<Sequence> {
  return openBehindParts(runtime, parts, () => 0);
}

/**
 * Structured prompting (arXiv 2212.06713, section 2): groups end together, the text starts there. Rescaled attention
 * is the runtime's scheme: `structured` with as many groups.
 */
export function openGroups(runtime: EngineRuntime, parts: Parts): Promise<Sequence> {
  const longest = longestOf(parts.parts);
  return openBehindParts(runtime, parts, (part) => longest - part.length);
}

async function openBehindParts(
  runtime: EngineRuntime,
  { parts, text, signal }: Parts,
  originOf: (part: ArrayLike<number>) => number,
): Promise<Sequence> {
  if (parts.length === 0 || text.length === 0 || parts.some((part) => part.length === 0)) {
    throw new SluiceError(
      'REQUEST_INVALID',
      'Parallel parts: at least one part and a text, none empty',
    );
  }
  const encoded: Sequence[] = [];
  try {
    for (const part of parts) {
      const sequence = runtime.open(part, { origin: originOf(part) });
      encoded.push(sequence);
      await runtime.read(sequence, signal === undefined ? {} : { signal });
    }
    return runtime.openBehind(encoded, { tokens: text, origin: longestOf(parts) });
  } finally {
    for (const sequence of encoded) runtime.release(sequence);
  }
}

function longestOf(parts: readonly ArrayLike<number>[]): number {
  return Math.max(...parts.map((part) => part.length));
}
