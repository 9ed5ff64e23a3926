/** From a model's `config.json` and a target length to every scheme that can carry it there, and what each costs. */
import { planServers, type PlanServer } from '../../core/backend-kind.ts';
import { runSteps, type Steps } from '../../core/steps.ts';
import { cacheCost, prefillCost, type CacheCost, type PrefillCost } from './costs.ts';
import {
  estimateEffective,
  publishedLengths,
  type EffectiveEstimate,
  type EffectiveLength,
} from './effective.ts';
import { readModelConfig, type ModelShape } from './read-config.ts';
import { ropeParameters } from './rope-override.ts';
import { ntkBase, dynamicFactor, plainFrequencies, scaledRope, steppedFactor } from './rope.ts';
import type { RopeScaling, RopeScalingType } from './rope.ts';
import {
  baseForLength,
  continuousBase,
  criticalDimension,
  predictedLength,
  retrievalBase,
  retrievalLengthSteps,
} from './scaling-law.ts';
import { candidatesFor, schemeFacts, type SchemeFacts } from './schemes.ts';
import { llamaPlan, ollamaPlan } from './server-llama.ts';
import { sglangPlan, vllmPlan } from './server-python.ts';
import type { ServerPlan } from './server-types.ts';

/** Bound by perplexity (arXiv 2310.05209) and by retrieval (arXiv 2405.14591), side by side. */
export interface LengthBounds {
  /** Up to where the law expects low perplexity; null = it speaks of other bases only. */
  readonly perplexity: number | null;
  /** Up to where sum cos(m theta) stays above 0; looked at no further than the target and 2^20 tokens. */
  readonly retrieval: number;
  readonly retrievalReached: boolean;
}

export interface SchemePlan extends SchemeFacts {
  readonly type: RopeScalingType;
  /** As for `config.json`. */
  readonly ropeParameters: Readonly<Record<string, unknown>>;
  /** For a sequence of the target length, radians per position, one per pair. */
  readonly inverseFrequencies: readonly number[];
  readonly attentionFactor: number;
  /** Pairs that turn differently from the model's own configuration in a prompt of the trained length. */
  readonly changedPairs: number;
  readonly bounds: LengthBounds;
  readonly servers: readonly ServerPlan[];
}

export interface ExtensionPlan {
  readonly model: Pick<
    ModelShape,
    'family' | 'layers' | 'headDim' | 'ropeDim' | 'base' | 'trainedLength' | 'configuredLength'
  > & { readonly scaling: RopeScalingType };
  /** Tokens wanted. */
  readonly length: number;
  /** Target / trained length. */
  readonly factor: number;
  /** Channels of `ropeDim` that saw a whole period in training. */
  readonly criticalDimension: number;
  /** Bases for the target; null where the law says nothing. */
  readonly bases: {
    readonly perplexity: number | null;
    readonly perplexityContinuous: number | null;
    /** Smallest by the published fit. */
    readonly retrieval: number;
  };
  readonly schemes: readonly SchemePlan[];
  readonly cache: CacheCost;
  readonly prefill: PrefillCost | null;
  readonly effective: {
    readonly estimate: EffectiveEstimate;
    readonly published: readonly EffectiveLength[];
  };
  /** What was not in the configuration, and what to know before believing the numbers. */
  readonly notes: readonly string[];
}

export interface PlanExtensionOptions {
  /** Parsed `config.json`. */
  readonly config: unknown;
  /** Tokens of the longest prompt with its answer. */
  readonly length: number;
  /** Left out = all. */
  readonly server?: PlanServer;
}

/** @throws SluiceError REQUEST_INVALID: a configuration without rotary positions or with unknown ones, a target out of reach */
export function planExtension(options: PlanExtensionOptions): ExtensionPlan {
  return runSteps(planExtensionSteps(options));
}

/** The same with places to stop: distances of a million tokens take a second to look at. */
export function* planExtensionSteps({
  config,
  length,
  server,
}: PlanExtensionOptions): Steps<ExtensionPlan> {
  const shape = readModelConfig(config);
  const schemes = candidatesFor(shape, length);
  const pretraining = pretrainingOf(shape);
  const { family, layers, headDim, ropeDim, base, trainedLength, configuredLength } = shape;
  const critical = criticalDimension(pretraining);
  const lawful = critical > 0 && length > trainedLength;
  const plans: SchemePlan[] = [];
  for (const scaling of schemes) {
    plans.push(yield* schemePlan(shape, scaling, { length, server }));
  }
  return {
    model: {
      family,
      layers,
      headDim,
      ropeDim,
      base,
      trainedLength,
      configuredLength,
      scaling: shape.scaling.type,
    },
    length,
    factor: length / trainedLength,
    criticalDimension: critical,
    bases: {
      perplexity: lawful ? baseForLength(length, ropeDim, critical) : null,
      perplexityContinuous: lawful ? continuousBase(length, pretraining) : null,
      retrieval: retrievalBase(length),
    },
    schemes: plans,
    cache: cacheCost(shape, length),
    prefill: prefillCost(shape, length),
    effective: { estimate: estimateEffective(length), published: publishedLengths },
    notes: notesOf(shape, length),
  };
}

function* schemePlan(
  shape: ModelShape,
  scaling: RopeScaling,
  { length, server }: { readonly length: number; readonly server: PlanServer | undefined },
): Steps<SchemePlan> {
  const rope = { ...pretrainingOf(shape), headDim: shape.ropeDim };
  const { inverseFrequencies, attentionFactor } = scaledRope(rope, scaling, length);
  const own = scaledRope(rope, shape.scaling, shape.trainedLength).inverseFrequencies;
  const short = scaledRope(rope, scaling, shape.trainedLength).inverseFrequencies;
  const limit = Math.min(length, retrievalLimit);
  const retrieval = yield* retrievalLengthSteps(inverseFrequencies, limit);
  const { type } = scaling;
  return {
    type,
    ...schemeFacts[type],
    ...(scaling === shape.scaling ? { title: titleAsConfigured(type) } : {}),
    ropeParameters: ropeParameters(shape, scaling),
    inverseFrequencies: [...inverseFrequencies],
    attentionFactor,
    changedPairs: short.filter((theta, i) => theta !== own[i]).length,
    bounds: {
      perplexity: perplexityBound(shape, scaling, length),
      retrieval,
      retrievalReached: retrieval >= length,
    },
    servers: (server === undefined ? planServers : [server]).map((name) =>
      serverPlans[name](shape, scaling, length),
    ),
  };
}

/** A scan of a million tokens takes a tenth of a second. */
const retrievalLimit = 2 ** 20;

function titleAsConfigured(type: RopeScalingType): string {
  const { title } = schemeFacts[type];
  return type === 'default' ? title : `${title}, as configured`;
}

const serverPlans: Readonly<
  Record<PlanServer, (shape: ModelShape, scaling: RopeScaling, length: number) => ServerPlan>
> = { vllm: vllmPlan, sglang: sglangPlan, llamacpp: llamaPlan, ollama: ollamaPlan };

function pretrainingOf(shape: ModelShape): {
  readonly headDim: number;
  readonly base: number;
  readonly trainedLength: number;
} {
  const { ropeDim, base, trainedLength } = shape;
  return { headDim: ropeDim, base, trainedLength };
}

/** The law speaks of bases alone. */
function perplexityBound(shape: ModelShape, scaling: RopeScaling, length: number): number | null {
  const base = baseOf(shape, scaling, length);
  if (base === null || criticalDimension(pretrainingOf(shape)) === 0) return null;
  const tuned = { base, tunedLength: shape.trainedLength };
  return Math.round(predictedLength(pretrainingOf(shape), tuned).length);
}

function baseOf(shape: ModelShape, scaling: RopeScaling, length: number): number | null {
  const { ropeDim: headDim, base, trainedLength } = shape;
  const byFactor = (factor: number): number => ntkBase({ headDim, base }, factor);
  switch (scaling.type) {
    case 'default':
      return base;
    case 'adjusted-base':
      return scaling.base;
    case 'ntk-static':
      return byFactor(scaling.factor);
    case 'dynamic':
      return byFactor(dynamicFactor(scaling.factor, trainedLength, length));
    case 'ntk-stepped':
      return byFactor(steppedFactor(trainedLength, length));
    default:
      return null;
  }
}

/** Base that the law was found with. */
const studiedBase = 10_000;

function notesOf(shape: ModelShape, length: number): readonly string[] {
  const { assumed, base, scaling, configuredLength, trainedLength, window } = shape;
  const notes = assumed.map((what) => `Assumed: ${what}.`);
  if (length <= configuredLength) {
    notes.push(`The configuration reaches ${configuredLength} tokens: nothing has to be extended.`);
  } else if (scaling.type !== 'default') {
    notes.push(
      `The model was made with ${scaling.type} for ${configuredLength} tokens: a larger factor goes beyond what it was tuned for.`,
    );
  }
  if (length > trainedLength && base !== studiedBase) {
    notes.push(
      `The scaling law was found on models with base ${studiedBase}; for a base of ${base} its inverse is too large: prefer a published configuration where there is one.`,
    );
  }
  if (window !== null) {
    notes.push(
      `${window.layers} of ${shape.layers} layers see ${window.tokens} tokens back: their positions never leave the window.`,
    );
  }
  notes.push(
    'Bounds by perplexity hold for models tuned with the base; low perplexity is not retrieval: measure at the length you need.',
  );
  return notes;
}

/** Plain frequencies of a shape, for plots beside those of a plan. */
export function frequenciesOf(plan: Pick<ExtensionPlan, 'model'>): Float64Array {
  const { ropeDim: headDim, base } = plan.model;
  return plainFrequencies({ headDim, base });
}
