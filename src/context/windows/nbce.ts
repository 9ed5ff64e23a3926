/**
 * NBCE over HTTP: one step asks every window, and the request without text, for one token with the likeliest ones
 * beside it. Every prompt is the one before with one token more, so that servers with a prefix cache compute one token;
 * where tokens are paid for, every step is paid for in full, which is why a cap ends it.
 */
import { defaultPooling, poolStep, type Distribution } from './pooling.ts';
import type { Ask, AskOptions, WindowAnswer, WindowJob, WindowPrompt } from './types.ts';

/** Likeliest tokens asked for; OpenAI's chat route allows 20, vLLM by default as well. */
const topTokens = 20;

export interface PoolingCalls {
  readonly ask: Ask;
  /** A window's distribution was taken. */
  readonly spoke: (window: number) => void;
  readonly note: (note: string) => void;
}

/** The text of the answer, token by token. @throws what asking throws, before the first token */
export async function* poolingAnswer(
  job: WindowJob,
  { ask, spoke, note }: PoolingCalls,
): AsyncGenerator<string> {
  const step: AskOptions = { maxTokens: 1, top: topTokens };
  let text = '';
  let previous: number | null = null;
  let spent = 0;
  for (let length = 0; length < job.maxTokens; length++) {
    const cost = job.windows.reduce((sum, { tokens }) => sum + tokens + length, 0);
    if (spent + cost > job.maxTotalTokens) {
      note(`stopped-by-cap;tokens=${length}`);
      return;
    }
    spent += cost;
    const answers = await oneStep(job, { ask, text, step });
    const windows = answers.slice(1).map(distributionOf);
    const pooled = poolStep(
      { windows, bare: distributionOf(answers[0] ?? null), previous },
      defaultPooling,
    );
    if (pooled === null) {
      if (length === 0) note('no-probabilities');
      return;
    }
    previous = pooled.window;
    spoke(pooled.window);
    if (ends(answers[pooled.window + 1] ?? null, pooled.token)) return;
    text += pooled.token;
    yield pooled.token;
  }
}

async function oneStep(
  job: WindowJob,
  { ask, text, step }: { readonly ask: Ask; readonly text: string; readonly step: AskOptions },
): Promise<(WindowAnswer | null)[]> {
  const prompts: WindowPrompt[] = [
    { type: 'bare', continuation: text },
    ...job.windows.map((_, window) => ({ type: 'window' as const, window, continuation: text })),
  ];
  const results: (WindowAnswer | null)[] = [];
  for (let at = 0; at < prompts.length; at += job.concurrency) {
    job.signal.throwIfAborted();
    const group = prompts.slice(at, at + job.concurrency);
    const answers = await Promise.allSettled(group.map((prompt) => ask(prompt, step)));
    job.signal.throwIfAborted();
    for (const answer of answers) results.push(answer.status === 'fulfilled' ? answer.value : null);
    const [first] = answers;
    if (text === '' && at === 0 && first?.status === 'rejected') throw first.reason;
  }
  return results;
}

function distributionOf(answer: WindowAnswer | null): Distribution {
  const token = answer?.tokens?.[0];
  if (token === undefined) return new Map();
  const listed = new Map(token.top.map((entry) => [entry.text, entry.logProbability]));
  if (listed.size === 0) listed.set(token.text, token.logProbability);
  return listed;
}

/** The model would end here: the token it chose is one that leaves no text, and pooling chose the same. */
function ends(answer: WindowAnswer | null, token: string): boolean {
  if (answer === null) return true;
  const chosen = answer.tokens?.[0]?.text;
  return token === '' || (answer.text === '' && answer.ended && chosen === token);
}
