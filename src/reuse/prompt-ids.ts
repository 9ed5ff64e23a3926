/** Token ids of prompts, asked for with limits on how long and how many at a time. */
import { setImmediate as othersTurn } from 'node:timers/promises';
import type { PlacementReplica, PromptTokens } from './placement-options.ts';
import type { PlacementRequest } from './types.ts';

/** Ids with who told them. */
export interface ToldIds extends PromptTokens {
  /** The server counted this many: whoever told them may learn from it. */
  confirm(promptTokens: number): void;
}

export interface PromptIds {
  /**
   * Never rejects; null = not known (in time). `aside`: the request's forwarding, which does not wait for this, goes
   * first.
   */
  ask(
    replica: PlacementReplica,
    request: PlacementRequest,
    how: { readonly aside: boolean },
  ): Promise<ToldIds | null>;
  close(): void;
}

/** Prompts that are tokenised at the same time; further ones go without. */
const maxAsked = 256;

export function createPromptIds(options: { readonly lateMs: number }): PromptIds {
  const asked = new Set<AbortController>();
  let closed = false;
  return {
    async ask(replica, request, { aside }) {
      if (closed || asked.size >= maxAsked) return null;
      const controller = new AbortController();
      const { signal } = controller;
      const giveUp = (): void => controller.abort();
      const timer = setTimeout(giveUp, options.lateMs).unref();
      asked.add(controller);
      request.signal?.addEventListener('abort', giveUp);
      try {
        if (aside) await othersTurn();
        const ended = new Promise<null>((resolve) => {
          if (signal.aborted) resolve(null);
          signal.addEventListener('abort', () => resolve(null));
        });
        const told = await Promise.race([
          replica.promptTokens(request.body, request.path, signal),
          ended,
        ]);
        if (told === null) return null;
        const { tokens, exact } = told;
        return { tokens, exact, confirm: (counted) => replica.confirm?.(told, counted) };
      } catch {
        // What could not be told is not known: the forecast and the choice do with less.
        return null;
      } finally {
        clearTimeout(timer);
        asked.delete(controller);
        request.signal?.removeEventListener('abort', giveUp);
      }
    },
    close() {
      closed = true;
      for (const controller of asked) controller.abort();
    },
  };
}
