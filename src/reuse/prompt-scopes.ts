/** Who may share a prompt's KV with whom: salts of bodies and tenants, adapters, slots. */
import { SluiceError } from '../core/errors.ts';
import type { Chain } from './chain.ts';
import type { PlacementOptions } from './placement-options.ts';
import { promptChain, textChain } from './prompt-chains.ts';
import { fieldOf, saltedKinds, tenantSalt } from './salt.ts';
import type { Station } from './station.ts';
import type { PlacementRequest } from './types.ts';
import { createVllmChains } from './vllm-chains.ts';

/** A request with the salt that its body itself names. */
export interface ScopedPrompt {
  readonly request: PlacementRequest;
  readonly ownSalt: string | null;
}

export interface PromptScopes {
  prompt(request: PlacementRequest): ScopedPrompt;
  /** The prompt as this replica caches it. */
  chain(station: Station, prompt: ScopedPrompt, tokens: Uint32Array): Chain;
  /** The prompt as text, alike for all replicas. */
  text(prompt: ScopedPrompt, tokens: number | null): Chain;
  /** What the forwarded body gets for this replica. Takes the slot that it names. */
  fields(station: Station, prompt: ScopedPrompt): Readonly<Record<string, string | number>>;
}

/** @throws SluiceError INTERNAL when tenants are to be salted and there is no secret */
export function createPromptScopes(
  { salt, secret, pinSlots }: PlacementOptions,
  stations: readonly Station[],
): PromptScopes {
  if (salt === 'tenant' && (secret ?? '') === '') {
    throw new SluiceError('INTERNAL', 'Salts of tenants need a secret, and there is none');
  }
  const engine = createVllmChains();
  const saltOf = ({ request, ownSalt }: ScopedPrompt): string | null =>
    ownSalt !== null || salt !== 'tenant' ? ownSalt : tenantSalt(secret ?? '', request.tenant);
  const text = (prompt: ScopedPrompt, tokens: number | null): Chain => {
    const { body, model } = prompt.request;
    return textChain(body, { fingerprint: '', salt: saltOf(prompt), adapter: model }, tokens);
  };
  const slotOf = (station: Station, prompt: ScopedPrompt): string | null => {
    const slots = pinSlots === true ? station.slots() : null;
    if (slots === null) return null;
    return `slot ${slots.peek(prompt.request.session ?? null, text(prompt, null))}`;
  };
  return {
    prompt(request) {
      const salted = stations.some(({ facts }) => saltedKinds.includes(facts.kind));
      const own = salted ? fieldOf(request.body, 'cache_salt') : null;
      return { request, ownSalt: typeof own === 'string' ? own : null };
    },
    chain(station, prompt, tokens) {
      const { facts, shape, reader } = station;
      const { model } = prompt.request;
      const scope = {
        fingerprint: facts.fingerprint,
        // What one slot holds is of no use in another.
        salt: saltedKinds.includes(facts.kind) ? saltOf(prompt) : slotOf(station, prompt),
        adapter: model !== null && reader?.adapters.has(model) === true ? model : null,
      };
      return promptChain(tokens, scope, { shape, position: facts.position, engine });
    },
    text,
    fields(station, prompt) {
      const { request, ownSalt } = prompt;
      if (saltedKinds.includes(station.facts.kind)) {
        const added = ownSalt === null ? saltOf(prompt) : null;
        return added === null ? {} : { cache_salt: added };
      }
      const slots = pinSlots === true ? station.slots() : null;
      if (slots === null || fieldOf(request.body, 'id_slot') !== null) return {};
      return { id_slot: slots.take(request.session ?? null, text(prompt, null)) };
    },
  };
}
