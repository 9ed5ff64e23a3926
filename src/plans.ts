/** Plans of conversations: each is made on a gateway that has seen nothing, beside the one that serves. */
import type { Backend } from './backends/types.ts';
import type { CompressorDeps } from './compress/types.ts';
import { compressorSource, type CompressorSource } from './compressors.ts';
import type { Config } from './config/types.ts';
import type { BackendKind } from './core/backend-kind.ts';
import { systemClock } from './core/clock.ts';
import { SluiceError } from './core/errors.ts';
import { createDecisions, policyOf, prefillRateOf, type DecisionDeps } from './decisions.ts';
import { scoutFolder } from './folders.ts';
import { createGateway } from './gateway/gateway.ts';
import type { Gateway, Wishes } from './gateway/types.ts';
import { silentObserver } from './observe/silent.ts';
import { planConversation, type ConversationPlan } from './plan-conversation.ts';
import type { Placement } from './reuse/types.ts';
import { loadTokenizer } from './tokenize/load.ts';
import type { TextTokenizer } from './tokenize/types.ts';

export interface PlanOptions {
  /** Whose prices and caching rules count; left out = the configured or detected kind. */
  readonly backend?: BackendKind;
  /** Prompt tokens a second of a server of one's own; left out = as measured, else 5000. */
  readonly prefillRate?: number;
  /** Tokens of its cache blocks; left out = as the server says, else 16. */
  readonly blockTokens?: number;
  /** For every request of the conversation. */
  readonly wishes?: Wishes;
  /** Ends the planning. */
  readonly signal?: AbortSignal | null;
}

export interface PlansDeps {
  readonly backend: Backend;
  readonly tokenizer: TextTokenizer;
  readonly scorers: CompressorDeps['scorers'];
  readonly compressors: CompressorSource;
  /** Knows how fast the servers are; null = nobody does. */
  readonly placement: Placement | null;
}

/** Plans that are made at once: each holds the decisions of its conversation in memory. */
const maxPlans = 4;
const usualPrefillRate = 5000;
const usualBlockTokens = 16;

/** What a plan counts with. */
type Counting = Pick<PlansDeps, 'tokenizer' | 'compressors'>;

export function createPlans(
  config: Config,
  deps: PlansDeps,
): (input: unknown, options?: PlanOptions) => Promise<ConversationPlan> {
  const { backend } = deps;
  let running = 0;
  return async (input, options = {}) => {
    if (running >= maxPlans) {
      throw new SluiceError('QUEUE_FULL', `${running} plans are being made already`);
    }
    running += 1;
    const kind = options.backend ?? (config.backend === 'auto' ? backend.kind : config.backend);
    const prefillRate = options.prefillRate ?? prefillRateOf(deps.placement) ?? usualPrefillRate;
    try {
      return await onNewGateway(config, { ...deps, kind }, (gateway) =>
        planConversation(input, {
          gateway,
          backend: kind,
          prefillRate,
          blockTokens: options.blockTokens ?? backend.limits?.blockTokens ?? usualBlockTokens,
          wishes: options.wishes ?? {},
          signal: options.signal ?? null,
        }),
      );
    } finally {
      running -= 1;
    }
  };
}

/** Runs something on a gateway that decides as the serving one does, and forgets everything afterwards. */
async function onNewGateway<T>(
  config: Config,
  deps: PlansDeps & { readonly kind: BackendKind },
  use: (gateway: Gateway) => Promise<T>,
): Promise<T> {
  const { backend, kind } = deps;
  const { tokenizer, compressors } = countingFor(config, deps);
  const inMemory: Config = {
    ...config,
    reuse: { ...config.reuse, store: 'memory' },
    // The window of another server is not known, and this one's says nothing about it.
    windows: { ...config.windows, ...(backend.kind === kind ? {} : { fit_rate: null }) },
  };
  const { ledger, reuse } = await createDecisions(inMemory, {
    backend: factsOf(backend, kind),
    // A first measurement would decide for the whole conversation.
    placement: null,
    observer: silentObserver,
  });
  const gateway = createGateway({
    // Nobody asks it for originals, or for the report of a request that is over.
    config: { ...inMemory, limits: { ...config.limits, originals_bytes: 1, reports: 1 } },
    backends: [backend],
    placement: null,
    tokenizer,
    compressors,
    reuse,
    policy: policyOf(config, tokenizer.id),
    observer: silentObserver,
    clock: systemClock,
    checks: {},
    close: () => ledger.close(),
  });
  try {
    return await use(gateway);
  } finally {
    await gateway.close();
  }
}

/** As the serving gateway counts; without an upstream, for a server that is not there yet, with the tokenizer named for it. */
function countingFor(
  config: Config,
  { backend, kind, tokenizer, scorers, compressors }: PlansDeps & { readonly kind: BackendKind },
): Counting {
  if (backend.kind !== 'embedded' || kind === 'embedded') return { tokenizer, compressors };
  const { tokenizer: folder, compress } = config;
  const other =
    folder === null ? loadTokenizer(scoutFolder, { estimated: true }) : loadTokenizer(folder);
  const { tier } = compress;
  return {
    tokenizer: other,
    compressors: compressorSource({ tokenizer: other, scorers, tier }),
  };
}

/** Of a server of another kind than the one behind this Sluice nothing but its kind is known. */
function factsOf(backend: Backend, kind: BackendKind): DecisionDeps['backend'] {
  if (backend.kind === kind) return backend;
  const capabilities = { ...backend.capabilities, contextWindow: null };
  return { kind, fingerprint: kind, capabilities };
}
