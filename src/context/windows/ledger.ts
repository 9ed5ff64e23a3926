/** What is asked for one request: how many at once, what it costs, what failures are called. */
import { SluiceError } from '../../core/errors.ts';
import { sumOfTokens, type TokenSum } from '../../core/spending.ts';
import type { Ask, WindowJob, WindowPrompt } from './types.ts';

/** What was asked and answered so far. */
export interface Ledger {
  readonly ask: Ask;
  calls: number;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
  /** Tokens of all prompts and answers, as the server reports them, else as counted here. */
  spent: TokenSum;
  cutOff: boolean;
  readonly notes: string[];
}

export function counting(job: WindowJob, ask: Ask): Ledger {
  const ledger: Ledger = {
    calls: 0,
    promptTokens: 0,
    completionTokens: 0,
    cachedTokens: 0,
    spent: { prompt: 0, answer: 0 },
    cutOff: false,
    notes: [],
    ask: async (prompt, options) => {
      ledger.calls += 1;
      const answer = await ask(prompt, options);
      ledger.spent = sumOfTokens(ledger.spent, {
        prompt: answer.promptTokens ?? promptTokensOf(prompt, job),
        answer: answer.completionTokens ?? options.maxTokens,
      });
      ledger.promptTokens += answer.promptTokens ?? 0;
      ledger.completionTokens += answer.completionTokens ?? 0;
      ledger.cachedTokens += answer.cachedTokens ?? 0;
      return answer;
    },
  };
  return ledger;
}

function promptTokensOf(prompt: WindowPrompt, job: WindowJob): number {
  if (prompt.type === 'text') return job.frameTokens + serverTokens(prompt.text, job);
  if (prompt.type === 'record') return job.windows[prompt.window]?.tokens ?? 0;
  const whole = prompt.type === 'bare' ? job.frameTokens : job.windows[prompt.window]?.tokens;
  return (whole ?? 0) + serverTokens(prompt.continuation ?? '', job);
}

/** As the server is believed to count. */
export function serverTokens(text: string, { count, scale }: WindowJob): number {
  return Math.ceil(count(text) * scale);
}

/** Some at once, in order. Rejects with the first failure, after which no further one starts. */
export async function inTurns<T, R>(
  items: readonly T[],
  job: Pick<WindowJob, 'concurrency' | 'signal'>,
  act: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length && !failed; at = next++) {
      job.signal.throwIfAborted();
      const item = items[at];
      if (item === undefined) continue;
      try {
        results[at] = await act(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.max(1, job.concurrency) }, worker);
  await Promise.all(workers);
  return results;
}

/** What a failure is called in a report: never a message, which may quote a prompt. */
export function nameOf(error: unknown): string {
  if (SluiceError.isInstance(error)) return error.code;
  if (error instanceof Error)
    return 'status' in error ? `HTTP ${String(error.status)}` : error.name;
  return 'unknown';
}
