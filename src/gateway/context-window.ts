/** How long a prompt may be. */
import type { Backend } from '../backends/types.ts';

/**
 * Context window of the model that a request names, tokens; null = not known.
 * @param configured as the operator says; null = as the backend tells
 */
export function contextWindowOf(
  backend: Pick<Backend, 'capabilities' | 'contextWindowOf'>,
  model: string | null,
  configured: number | null,
): number | null {
  if (configured !== null) return configured;
  if (backend.contextWindowOf === undefined) return backend.capabilities.contextWindow;
  return backend.contextWindowOf(model);
}
