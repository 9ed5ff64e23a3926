/** Emptying a server's prompt cache, for measurements that begin cold. */
import type { Ask } from './questions.ts';
import type { BackendKind } from './types.ts';

/**
 * - vllm: `POST /reset_prefix_cache` (needs `VLLM_SERVER_DEV_MODE=1`)
 * - sglang: `POST /flush_cache`
 * - llamacpp: `POST /slots/{id}?action=erase` for each slot (needs `--slot-save-path`); prompts kept by `--cache-ram` stay
 *
 * @returns false when the server does not do it, or not now
 */
export async function resetCache(
  server: { readonly kind: BackendKind; readonly slots: number | null; readonly ask: Ask },
  signal: AbortSignal,
): Promise<boolean> {
  for (const route of resetRoutes(server.kind, server.slots)) {
    try {
      const { status } = await server.ask(route, '{}', signal);
      if (status !== 200) return false;
    } catch {
      return false;
    }
  }
  return resetRoutes(server.kind, server.slots).length > 0;
}

function resetRoutes(kind: BackendKind, slots: number | null): string[] {
  switch (kind) {
    case 'vllm':
      return ['/reset_prefix_cache'];
    case 'sglang':
      return ['/flush_cache'];
    case 'llamacpp':
      return Array.from({ length: slots ?? 0 }, (_, slot) => `/slots/${slot}?action=erase`);
    default:
      return [];
  }
}
