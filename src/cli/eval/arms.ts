/** Opens the arms: compressors over the shipped models, and the way of a request for the product's own methods. */
import { SluiceError } from '../../core/errors.ts';
import {
  baselineNames,
  methodNames,
  tierNames,
  type BaselineName,
  type MethodName,
  type Tier,
} from '../../core/method.ts';
import { loadTokenizer } from '../../index.ts';
import { createSluice, scoutFolder, type Sluice } from '../../sluice.ts';
import { isRecord } from './record.ts';
import type { OpenArm } from './run.ts';
import type { ArmName, ChatMessage, ModelSettings, TierArm } from './types.ts';

export const tierArms: readonly TierArm[] = tierNames.map((tier): TierArm => `auto-${tier}`);

/** The tier that an arm names, or null for the default one. */
export function tierOf(arm: ArmName): Tier | null {
  return tierNames.find((tier) => arm === `auto-${tier}`) ?? null;
}

export interface ArmOpenerOptions extends ModelSettings {
  readonly rates: readonly number[];
  /** Arms that get scorers of their own, so that none finds scores that another one left in the cache. */
  readonly modelArms: ReadonlySet<ArmName>;
}

export interface ArmOpener {
  open(arm: ArmName): Promise<OpenArm>;
  close(): Promise<void>;
}

export function armOpener(options: ArmOpenerOptions): ArmOpener {
  const tokenizer = loadTokenizer(scoutFolder);
  let shared: Sluice | null = null;
  const start = (tier: Tier | null): Promise<Sluice> =>
    createSluice({
      log: { level: 'silent' },
      // A request may ask for any rate from the configured one up; nothing is too short or too slow here.
      compress: {
        rate: Math.min(...options.rates),
        min_tokens: 1,
        ...(tier === null ? {} : { tier }),
      },
      limits: { compress_ms: 600_000 },
      score: { classifier: options.classifier, vectors: options.vectors },
    });
  return {
    async open(arm) {
      const tier = tierOf(arm);
      const method = tier === null ? methodOrBaseline(arm) : 'auto';
      const own = tier !== null || options.modelArms.has(arm);
      const sluice = own ? await start(tier) : (shared ??= await start(null));
      const close = async (): Promise<void> => (own ? await sluice.close() : undefined);
      try {
        const compressor = sluice.compressor(method);
        return { compressor, tokenizer, forward: forwardVia(sluice, method), close };
      } catch (error) {
        await close();
        throw error;
      }
    },
    close: async () => shared?.close(),
  };
}

function methodOrBaseline(arm: ArmName): MethodName | BaselineName {
  const named = [...methodNames, ...baselineNames].find((name) => name === arm);
  if (named === undefined) throw new SluiceError('INTERNAL', `The arm ${arm} names no method`);
  return named;
}

/** Baselines are not offered on requests. */
function forwardVia(sluice: Sluice, arm: MethodName | BaselineName): OpenArm['forward'] {
  const method = methodNames.find((name) => name === arm);
  if (method === undefined) return null;
  return async (messages, { rate, tenant }) => {
    const prepared = await sluice.gateway.prepare({
      path: '/v1/chat/completions',
      contentEncoding: null,
      body: new TextEncoder().encode(JSON.stringify({ model: 'evaluation', messages })),
      wishes: { method, rate },
      tenant,
      signal: null,
    });
    return messagesOf(prepared.body);
  };
}

function messagesOf(body: Uint8Array): ChatMessage[] {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(body));
  const messages = isRecord(parsed) ? parsed['messages'] : null;
  if (!Array.isArray(messages) || !messages.every(isMessage)) {
    throw new SluiceError('INTERNAL', 'A forwarded body has no list of messages');
  }
  return messages;
}

function isMessage(value: unknown): value is ChatMessage {
  return isRecord(value) && typeof value['role'] === 'string';
}
